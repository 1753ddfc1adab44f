//! JPEG, chroma subsampling, and real video codecs.

mod vp8;

use std::ffi::{c_int, c_void};

use anyhow::{Context, bail};
use image::codecs::jpeg::JpegEncoder;
use openh264::OpenH264API;
use openh264::Timestamp;
use openh264::decoder::Decoder;
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, RateControlMode, UsageType,
};
use openh264::formats::{YUVBuffer, YUVSource};
use openh264_sys2::{ENCODER_OPTION_TRACE_LEVEL, WELS_LOG_QUIET};
use rand::Rng;

use crate::data::photo::Photo;
use crate::data::random::Stream;
use crate::picture::Picture;
pub(super) use vp8::vp8;

const FPS: f32 = 30.0;

/// Through JPEG and back.
pub(super) fn jpeg(picture: &mut Picture, quality: f32) -> anyhow::Result<()> {
    let (width, height) = (
        u32::try_from(picture.width)?,
        u32::try_from(picture.height)?,
    );
    let mut coded = Vec::new();
    JpegEncoder::new_with_quality(&mut coded, quality.round() as u8)
        .encode(
            &picture.to_bytes(),
            width,
            height,
            image::ExtendedColorType::Rgb8,
        )
        .context("cannot code a JPEG")?;
    let decoded = image::load_from_memory_with_format(&coded, image::ImageFormat::Jpeg)
        .context("cannot decode the JPEG just made")?;
    *picture = Picture::from_bytes(3, picture.height, picture.width, decoded.to_rgb8().as_raw());
    Ok(())
}

/// Full-range BT.601 luma and chroma, 4:2:0; chroma averaged.
struct Yuv {
    width: usize,
    height: usize,
    planes: Vec<u8>,
}

impl Yuv {
    /// Width is rounded up to a multiple of `columns`, an even number, and height to even.
    fn new(picture: &Picture, columns: usize) -> Self {
        let width = picture.width.next_multiple_of(columns);
        let height = picture.height.next_multiple_of(2);
        let (half_width, plane) = (width / 2, width * height);
        let mut luma = vec![0_u8; plane];
        let mut chroma = vec![[0.0_f32; 2]; plane / 4];
        let source = picture.height * picture.width;
        for y in 0..height {
            for x in 0..width {
                let at = y.min(picture.height - 1) * picture.width + x.min(picture.width - 1);
                let [r, g, b] =
                    std::array::from_fn(|c| picture.data[c * source + at].clamp(0.0, 1.0) * 255.0);
                let bright = 0.299 * r + 0.587 * g + 0.114 * b;
                luma[y * width + x] = (bright + 0.5) as u8;
                let sum = &mut chroma[(y / 2) * half_width + x / 2];
                sum[0] += 0.25 * (b - bright) / 1.772;
                sum[1] += 0.25 * (r - bright) / 1.402;
            }
        }
        let mut planes = luma;
        for c in 0..2 {
            planes.extend(
                chroma
                    .iter()
                    .map(|v| (v[c] + 128.5).clamp(0.0, 255.0) as u8),
            );
        }
        Self {
            width,
            height,
            planes,
        }
    }

    /// Writes back into a picture, chroma interpolated bilinearly at its sites (between four pixels).
    fn read_into(&self, picture: &mut Picture) {
        let (half_width, half_height) = (self.width / 2, self.height / 2);
        let (luma, chroma) = self.planes.split_at(self.width * self.height);
        let plane = picture.height * picture.width;
        for y in 0..picture.height {
            // The nearer chroma row weighs 3/4.
            let near = y / 2;
            let far = (near + (y % 2) * 2).saturating_sub(1).min(half_height - 1);
            for x in 0..picture.width {
                let near_x = x / 2;
                let far_x = (near_x + (x % 2) * 2).saturating_sub(1).min(half_width - 1);
                let at = |c: usize, y: usize, x: usize| {
                    f32::from(chroma[c * half_width * half_height + y * half_width + x])
                };
                let [cb, cr] = std::array::from_fn(|c| {
                    let upper = 0.75 * at(c, near, near_x) + 0.25 * at(c, near, far_x);
                    let lower = 0.75 * at(c, far, near_x) + 0.25 * at(c, far, far_x);
                    0.75 * upper + 0.25 * lower - 128.0
                });
                let bright = f32::from(luma[y * self.width + x]);
                let i = y * picture.width + x;
                picture.data[i] = ((bright + 1.402 * cr) / 255.0).clamp(0.0, 1.0);
                picture.data[plane + i] =
                    ((bright - 0.344_136 * cb - 0.714_136 * cr) / 255.0).clamp(0.0, 1.0);
                picture.data[2 * plane + i] = ((bright + 1.772 * cb) / 255.0).clamp(0.0, 1.0);
            }
        }
    }
}

/// 4:2:0 and back.
pub(super) fn subsample_chroma(picture: &mut Picture) {
    Yuv::new(picture, 2).read_into(picture);
}

/// The bit rate for this picture that is `kbps` at 1280x720.
fn bits_per_second(picture: &Picture, kbps: f32) -> u32 {
    let share = (picture.width * picture.height) as f32 / (1280.0 * 720.0);
    (kbps * 1000.0 * share).max(1000.0) as u32
}

/// Frames of a slow pan that ends at `picture`; the width is a multiple of `columns`.
fn pan(picture: &Picture, columns: usize, frames: f32, rng: &mut Stream) -> Vec<Yuv> {
    let mut drift = || rng.random_range(-1..=1_i32) as isize;
    let (dx, dy) = (drift(), drift());
    let photo = Photo::from_picture(picture);
    (0..frames.round() as isize)
        .rev()
        .map(|back| photo.window(back * dy, back * dx, photo.height, photo.width))
        .map(|frame| Yuv::new(&frame, columns))
        .collect()
}

/// H.264 by OpenH264's encoder and decoder, as WebRTC uses it.
pub(super) fn h264(
    picture: &mut Picture,
    kbps: f32,
    frames: f32,
    rng: &mut Stream,
) -> anyhow::Result<()> {
    if picture.width < 16 || picture.height < 16 {
        bail!(
            "H.264 needs pictures of 16x16 pixels or more, got {}x{}",
            picture.width,
            picture.height
        );
    }
    let config = EncoderConfig::new()
        .bitrate(BitRate::from_bps(bits_per_second(picture, kbps)))
        .max_frame_rate(FrameRate::from_hz(FPS))
        .rate_control_mode(RateControlMode::Bitrate)
        .usage_type(UsageType::CameraVideoRealTime)
        .complexity(Complexity::Low)
        .skip_frames(false)
        .scene_change_detect(false)
        .num_threads(1);
    let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), config)
        .context("cannot start the H.264 encoder")?;
    quieten(&mut encoder);
    let mut decoder = Decoder::new().context("cannot start the H.264 decoder")?;
    let mut last = None;
    for (number, frame) in pan(picture, 2, frames, rng).into_iter().enumerate() {
        let (width, height) = (frame.width, frame.height);
        let source = YUVBuffer::from_vec(frame.planes, width, height);
        let time = Timestamp::from_millis(number as u64 * 33);
        let coded = encoder
            .encode_at(&source, time)
            .context("the H.264 encoder failed")?
            .to_vec();
        if coded.is_empty() {
            continue;
        }
        if let Some(yuv) = decoder.decode(&coded).context("the H.264 decoder failed")? {
            let (y_stride, u_stride, v_stride) = yuv.strides();
            let mut planes = Vec::with_capacity(width * height * 3 / 2);
            for (data, stride, columns) in [
                (yuv.y(), y_stride, width),
                (yuv.u(), u_stride, width / 2),
                (yuv.v(), v_stride, width / 2),
            ] {
                let rows = columns * height / width;
                planes.extend(
                    data.chunks(stride)
                        .take(rows)
                        .flat_map(|row| &row[..columns]),
                );
            }
            last = Some(Yuv {
                width,
                height,
                planes,
            });
        }
    }
    last.context("the H.264 decoder gave no picture")?
        .read_into(picture);
    Ok(())
}

/// Stops the encoder from writing a warning per picture to standard error: that no frame is skipped is meant.
fn quieten(encoder: &mut Encoder) {
    let mut level = WELS_LOG_QUIET as c_int;
    // SAFETY: the option is one int that the encoder copies before it returns, and it may be set before the
    // encoder is initialised; it changes no coding parameter.
    unsafe {
        encoder.raw_api().set_option(
            ENCODER_OPTION_TRACE_LEVEL,
            (&raw mut level).cast::<c_void>(),
        );
    }
}

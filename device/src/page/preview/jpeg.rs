//! Frames as small JPEG pictures, by GStreamer.

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use crate::camera::elements::{self, named};
use crate::camera::error::CameraError;

/// Widest picture.
const WIDTH: u32 = 640;
/// Time for one picture.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(5);

/// Makes pictures of frames, one after another.
pub(super) struct Jpeg {
    pipeline: gst::Pipeline,
    feed: gst_app::AppSrc,
    pictures: gst_app::AppSink,
    size: gst::Element,
    caps: Option<gst::Caps>,
    count: u64,
}

impl Jpeg {
    /// Starts the encoder; `at_start` runs on its thread, before the first picture.
    ///
    /// # Errors
    /// [`CameraError`] when an element is missing.
    pub(super) fn start(at_start: fn()) -> Result<Self, CameraError> {
        elements::require("jpegenc")?;
        let pipeline = elements::launch(
            "appsrc name=in format=time ! videoscale name=scale add-borders=false ! videoconvert \
             ! capsfilter name=size ! jpegenc quality=75 ! appsink name=out sync=false",
            CameraError::Gstreamer,
        )?;
        let (feed, pictures) = (named(&pipeline, "in")?, named(&pipeline, "out")?);
        let size = named(&pipeline, "size")?;
        if let Some(pad) = named::<gst::Element>(&pipeline, "scale")?.static_pad("sink") {
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                at_start();
                gst::PadProbeReturn::Remove
            });
        }
        let jpeg = Self {
            pipeline,
            feed,
            pictures,
            size,
            caps: None,
            count: 0,
        };
        let started = jpeg.pipeline.set_state(gst::State::Playing);
        started.map_err(|_| CameraError::Gstreamer("the JPEG encoder does not start".into()))?;
        Ok(jpeg)
    }

    /// The picture of a frame.
    ///
    /// # Errors
    /// [`CameraError`] when the frame cannot be encoded; the encoder is of no use after.
    pub(super) fn picture(
        &mut self,
        mut buffer: gst::Buffer,
        caps: &gst::Caps,
    ) -> Result<Bytes, CameraError> {
        let failed = || CameraError::Gstreamer("a frame cannot be made a JPEG picture".into());
        if self.caps.as_ref() != Some(caps) {
            let info = gst_video::VideoInfo::from_caps(caps).map_err(|_| failed())?;
            let (width, height) = fitted(info.width(), info.height(), info.par());
            // From video's luma range to JPEG's: between two I420 formats videoconvert leaves it as it is.
            let small = gst_video::VideoCapsBuilder::new()
                .format(gst_video::VideoFormat::Rgb)
                .width(width)
                .height(height)
                .pixel_aspect_ratio(gst::Fraction::new(1, 1))
                .build();
            self.size.set_property("caps", small);
            self.feed.set_caps(Some(caps));
            self.caps = Some(caps.clone());
        }
        // Only the shell is copied, to carry a time of its own; the picture stays shared.
        buffer
            .make_mut()
            .set_pts(gst::ClockTime::from_mseconds(self.count));
        self.count += 1;
        self.feed.push_buffer(buffer).map_err(|_| failed())?;
        let sample = self.pictures.try_pull_sample(PATIENCE).ok_or_else(failed)?;
        let map = sample.buffer().and_then(|b| b.map_readable().ok());
        Ok(Bytes::copy_from_slice(&map.ok_or_else(failed)?))
    }
}

impl Drop for Jpeg {
    fn drop(&mut self) {
        // Nothing is left to do when even this fails.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// The largest size in square pixels of the shape of a frame whose pixels are `pixel` that is no wider than [`WIDTH`], even in
/// both directions.
fn fitted(width: u32, height: u32, pixel: gst::Fraction) -> (i32, i32) {
    let part = |part: i32| u64::try_from(part).unwrap_or(1).max(1);
    let shown = u64::from(width) * part(pixel.numer()) / part(pixel.denom());
    let wide = shown.clamp(2, WIDTH.into());
    let high = u64::from(height) * wide / shown.max(1);
    let even = |side: u64| i32::try_from(side.max(2) & !1).unwrap_or(2);
    (even(wide), even(high))
}

/// A whole frame as PNG, losslessly in RGB.
///
/// # Errors
/// [`CameraError`] when it cannot be encoded.
pub(super) fn png(buffer: gst::Buffer, caps: &gst::Caps) -> Result<Bytes, CameraError> {
    let failed = |e: &dyn std::fmt::Display| {
        CameraError::Gstreamer(format!("the frame cannot be made a PNG picture: {e}"))
    };
    let sample = gst::Sample::builder().buffer(&buffer).caps(caps).build();
    let png = gst::Caps::new_empty_simple("image/png");
    let wait = gst::ClockTime::from_seconds(20);
    let sample = gst_video::convert_sample(&sample, &png, Some(wait)).map_err(|e| failed(&e))?;
    let map = sample.buffer().and_then(|b| b.map_readable().ok());
    Ok(Bytes::copy_from_slice(
        &map.ok_or_else(|| failed(&"it is empty"))?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(value: u8) -> (gst::Buffer, gst::Caps) {
        let caps = "video/x-raw,format=I420,width=1282,height=722,framerate=30/1,colorimetry=bt601";
        let mut frame = vec![value; 1282 * 722];
        frame.extend(vec![128; 2 * 641 * 361]);
        // Rows of I420 are padded to four bytes.
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, 1282, 722).build();
        frame.resize(info.unwrap().size(), value);
        (gst::Buffer::from_mut_slice(frame), caps.parse().unwrap())
    }

    /// Luma of a JPEG or PNG picture's middle, and its size.
    fn middle(picture: &Bytes) -> (u8, i32, i32) {
        let line = "appsrc name=in ! decodebin ! videoconvert \
                    ! video/x-raw,format=RGB ! appsink name=out sync=false";
        let pipeline = gst::parse::launch(line)
            .unwrap()
            .downcast::<gst::Pipeline>()
            .unwrap();
        let feed: gst_app::AppSrc = named(&pipeline, "in").unwrap();
        let out: gst_app::AppSink = named(&pipeline, "out").unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        feed.push_buffer(gst::Buffer::from_slice(picture.clone()))
            .unwrap();
        feed.end_of_stream().unwrap();
        let sample = out.pull_sample().unwrap();
        let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
        let (w, h) = (info.width() as i32, info.height() as i32);
        let at = (h / 2 * info.stride()[0] + w / 2 * 3) as usize;
        let value = sample.buffer().unwrap().map_readable().unwrap()[at];
        pipeline.set_state(gst::State::Null).unwrap();
        (value, w, h)
    }

    #[test]
    fn white_stays_white_and_black_black() {
        gst::init().unwrap();
        let mut jpeg = Jpeg::start(|| ()).unwrap();
        for (luma, shown) in [(16, 0), (235, 255)] {
            let (buffer, caps) = grey(luma);
            let (value, w, h) = middle(&jpeg.picture(buffer.clone(), &caps).unwrap());
            assert!(value.abs_diff(shown) <= 2, "{luma}: {value} for {shown}");
            assert_eq!((w, h), (640, 360));
            let (value, w, h) = middle(&png(buffer, &caps).unwrap());
            assert!(value.abs_diff(shown) <= 2, "{luma}: {value} for {shown}");
            assert_eq!((w, h), (1282, 722));
        }
    }

    #[test]
    fn pictures_keep_their_shape() {
        let fitted = |width, height, (n, d)| fitted(width, height, gst::Fraction::new(n, d));
        assert_eq!(fitted(1920, 1080, (1, 1)), (640, 360));
        assert_eq!(fitted(320, 240, (1, 1)), (320, 240));
        assert_eq!(fitted(1, 9000, (1, 1)), (2, 18000));
        assert_eq!(fitted(16384, 1, (1, 1)), (640, 2));
        assert_eq!(fitted(720, 576, (16, 11)), (640, 352));
        assert_eq!(fitted(352, 288, (12, 11)), (384, 288));
    }
}

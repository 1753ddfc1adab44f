//! H.264 with the encoder that the board has.

use gstreamer as gst;

use super::elements;
use super::error::CameraError;

/// Shortest side that encoders take.
const LEAST: i32 = 16;

/// Sees that frames of this shape can be encoded for `sink`.
///
/// # Errors
/// [`CameraError::Unfit`] with what to do.
pub fn fits(sink: &str, caps: &gst::Caps) -> Result<(), CameraError> {
    let shape = caps.structure(0);
    let side = |name: &str| shape.and_then(|s| s.get::<i32>(name).ok());
    let (Some(width), Some(height)) = (side("width"), side("height")) else {
        return Ok(());
    };
    let fits = |side: i32| side >= LEAST && side % 2 == 0;
    if fits(width) && fits(height) {
        return Ok(());
    }
    // FFV1 fails on some of the smallest.
    let other = match width.min(height) < LEAST {
        true => "frames:DIR",
        false => "lossless:FILE.mkv",
    };
    Err(CameraError::Unfit {
        sink: sink.to_owned(),
        reason: format!(
            "H.264 takes even sides of at least {LEAST} pixels, not {width}x{height}: ask the source for another size, or write \
             {other}"
        ),
    })
}

/// H.264 encoders that `honed` knows, the best first.
pub const ENCODERS: &[Encoder] = &[
    Encoder::V4l2,
    Encoder::Nvidia,
    Encoder::X264,
    Encoder::OpenH264,
];

/// An H.264 encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoder {
    /// The hardware of a Raspberry Pi up to the 4 and of many other boards.
    V4l2,
    /// The hardware of a Jetson.
    Nvidia,
    /// Software.
    X264,
    /// Software, without x264's licence.
    OpenH264,
}

impl Encoder {
    /// The best one installed here.
    ///
    /// # Errors
    /// [`CameraError::MissingElement`] when there is none.
    pub fn of_this_board() -> Result<Self, CameraError> {
        let found = ENCODERS.iter().find(|e| elements::installed(e.element()));
        found.copied().ok_or_else(|| elements::missing("x264enc"))
    }

    /// The GStreamer element.
    pub const fn element(self) -> &'static str {
        match self {
            Self::V4l2 => "v4l2h264enc",
            Self::Nvidia => "nvv4l2h264enc",
            Self::X264 => "x264enc",
            Self::OpenH264 => "openh264enc",
        }
    }

    /// Whether a circuit of its own does the work, and the cores are free for the student.
    pub const fn hardware(self) -> bool {
        matches!(self, Self::V4l2 | Self::Nvidia)
    }

    /// What a person should know of it on a board with this model name, if anything.
    pub fn warning(self, model: &str) -> Option<String> {
        if self.hardware() {
            return None;
        }
        let why = if model.contains("Raspberry Pi 5") {
            "a Raspberry Pi 5 has no H.264 encoder in hardware"
        } else {
            "no H.264 encoder in hardware was found"
        };
        Some(format!(
            "{why}: {} takes about one core; a smaller --size or --fps leaves more for the student",
            self.element()
        ))
    }

    /// From raw video to H.264; the element `exit` takes the frame. Only x264 writes the range of its samples into the stream;
    /// players take the others' for limited ([`super::levels`]).
    fn line(self, live: bool) -> String {
        const I420: &str = "videoconvert ! capsfilter name=coded caps=video/x-raw,format=I420";
        const LIMITED: &str = "identity name=limited";
        match self {
            Self::V4l2 => {
                format!("{I420} ! {LIMITED} ! v4l2h264enc name=exit ! video/x-h264,level=(string)4")
            }
            Self::Nvidia => format!(
                "{I420} ! {LIMITED} ! nvvidconv ! video/x-raw(memory:NVMM),format=NV12 ! nvv4l2h264enc name=exit insert-sps-pps=true"
            ),
            Self::X264 if live => format!(
                "{I420} ! x264enc name=exit tune=zerolatency speed-preset=ultrafast key-int-max=60 bitrate=4000"
            ),
            Self::X264 => {
                format!("{I420} ! x264enc name=exit speed-preset=veryfast pass=quant quantizer=18")
            }
            Self::OpenH264 => {
                format!("{I420} ! {LIMITED} ! openh264enc name=exit gop-size=60")
            }
        }
    }
}

/// From raw video to a parsed H.264 stream, with the encoder that this board has.
///
/// # Errors
/// [`CameraError::MissingElement`] when there is none.
pub(super) fn h264(live: bool) -> Result<String, CameraError> {
    elements::require("h264parse")?;
    let encode = Encoder::of_this_board()?.line(live);
    Ok(format!("{encode} ! h264parse"))
}

#[cfg(test)]
mod tests {
    use gstreamer::prelude::*;
    use gstreamer_app as gst_app;

    use super::*;

    #[test]
    fn a_raspberry_pi_5_is_told_what_it_lacks() {
        let pi5 = "Raspberry Pi 5 Model B Rev 1.0";
        let warning = Encoder::X264.warning(pi5).unwrap();
        assert!(warning.starts_with("a Raspberry Pi 5 has no H.264"));
        assert_eq!(Encoder::V4l2.warning("Raspberry Pi 4 Model B"), None);
    }

    #[test]
    fn every_encoder_installed_here_builds() {
        elements::start().unwrap();
        let mut built = 0;
        for encoder in ENCODERS {
            if !elements::installed(encoder.element()) {
                continue;
            }
            for live in [true, false] {
                let line = format!("appsrc ! {} ! fakesink", encoder.line(live));
                elements::launch(&line, |reason| CameraError::SinkSpec {
                    given: line.clone(),
                    reason,
                })
                .unwrap();
                built += 1;
            }
        }
        assert!(built > 0, "no encoder is installed");
    }

    /// What a decoder shows of a ramp that `encoder` was given in full range as `format`, with nothing but the stream to go by.
    fn shown(encoder: Encoder, format: &str, ramp: [u8; 8]) -> [u8; 8] {
        let line = format!(
            "appsrc name=in format=time ! {} ! h264parse ! avdec_h264 ! videoconvert \
             ! video/x-raw,format=RGB ! appsink name=out sync=false",
            encoder.line(true)
        );
        let pipeline = elements::launch(&line, CameraError::Gstreamer).unwrap();
        crate::camera::levels::keep(pipeline.upcast_ref());
        let feed: gst_app::AppSrc = elements::named(&pipeline, "in").unwrap();
        let out: gst_app::AppSink = elements::named(&pipeline, "out").unwrap();
        let caps = format!(
            "video/x-raw,format={format},width=64,height=48,framerate=10/1,colorimetry=1:4:0:0"
        );
        feed.set_caps(Some(&caps.parse().unwrap()));
        pipeline.set_state(gst::State::Playing).unwrap();
        let row = ramp.map(|value| [value; 8]).concat();
        let mut frame = row.repeat(48);
        if format == "I420" {
            frame.extend([128; 64 * 48 / 2]);
        }
        let mut buffer = gst::Buffer::from_mut_slice(frame);
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::ZERO);
        feed.push_buffer(buffer).unwrap();
        feed.end_of_stream().unwrap();
        let sample = out.pull_sample().unwrap();
        let map = sample.buffer().unwrap().map_readable().unwrap();
        let middle: [usize; 8] = std::array::from_fn(|step| (24 * 64 + 8 * step + 4) * 3);
        let shown = middle.map(|at| map[at]);
        pipeline.set_state(gst::State::Null).unwrap();
        shown
    }

    #[test]
    fn the_full_range_is_seen_behind_every_encoder() {
        elements::start().unwrap();
        if !elements::installed("avdec_h264") {
            eprintln!("skipped: avdec_h264 is not installed");
            return;
        }
        let ramp = [0, 7, 15, 31, 127, 231, 239, 255];
        let software = [Encoder::X264, Encoder::OpenH264];
        for encoder in software.iter().filter(|e| elements::installed(e.element())) {
            for format in ["GRAY8", "I420"] {
                let shown = shown(*encoder, format, ramp);
                let near = shown.iter().zip(ramp).all(|(a, b)| a.abs_diff(b) <= 4);
                assert!(near, "{encoder:?} of {format}: {shown:?}");
            }
        }
    }
}

//! GStreamer's elements, the encoder, and the student itself.

use std::time::{Duration, Instant};

use gstreamer as gst;

use super::{Check, Verdict};
use crate::camera::elements;
use crate::camera::encoder::Encoder;
use crate::camera::student::{self, Choice, Source};
use crate::engine::{FrameView, FrameViewMut, PixelFormat};

/// Elements without which nothing works.
const NEEDED: &[&str] = &[
    "appsink",
    "appsrc",
    "videoconvert",
    "videoscale",
    "decodebin",
];
/// Elements that some sources and sinks need, and what for.
const WANTED: &[(&str, &str)] = &[
    ("v4l2src", "USB cameras"),
    ("libcamerasrc", "CSI cameras of a Raspberry Pi"),
    ("rtspsrc", "network cameras"),
    ("avdec_h264", "decoding H.264"),
    ("deinterlace", "interlaced cameras and films"),
    ("videoflip", "films that lie on their side"),
    ("mp4mux", "recording .mp4"),
    ("matroskamux", "recording .mkv"),
    ("pngenc", "writing images"),
    ("v4l2sink", "the virtual camera"),
    ("rtph264pay", "the RTSP server"),
    ("hlssink2", "HLS for browsers"),
];
/// Time for which the students are run, all together.
const BENCH: Duration = Duration::from_secs(5);

/// Looks at GStreamer, on a board with this model name.
pub fn examine(model: &str) -> Vec<Check> {
    if let Err(error) = elements::start() {
        let advice = "install gstreamer1.0-plugins-base";
        return vec![Check::new(
            "GStreamer",
            Verdict::Bad,
            error.to_string(),
            advice,
        )];
    }
    let mut checks = vec![Check::good("GStreamer", gst::version_string().to_string())];
    for element in NEEDED.iter().filter(|e| !elements::installed(e)) {
        checks.push(Check::new(
            element,
            Verdict::Bad,
            "missing",
            elements::advice(element),
        ));
    }
    for (element, purpose) in WANTED {
        checks.push(if elements::installed(element) {
            Check::good(element, *purpose)
        } else {
            let found = format!("missing, for {purpose}");
            Check::new(element, Verdict::Lacking, found, elements::advice(element))
        });
    }
    checks.push(encoder(model));
    checks
}

fn encoder(model: &str) -> Check {
    const WHAT: &str = "H.264 encoder";
    match Encoder::of_this_board() {
        Ok(encoder) => {
            let (name, warning) = (encoder.element(), encoder.warning(model));
            let kind = if encoder.hardware() {
                "hardware"
            } else {
                "software"
            };
            let advice = warning.unwrap_or_default();
            Check::new(WHAT, Verdict::Good, format!("{name}, {kind}"), advice)
        }
        Err(error) => Check::new(WHAT, Verdict::Lacking, "none", error.to_string()),
    }
}

/// Loads and runs every student of `source`.
pub fn student(source: &Source) -> Vec<Check> {
    let levels = match student::load(source, &Choice::default()) {
        Ok(levels) => levels,
        Err(error) => {
            let advice = match source {
                Source::Bundle { .. } | Source::Slot(_) | Source::Shipped | Source::Lost(_) => {
                    "copy the bundle again, or trust its signer"
                }
                Source::Model(_) => "export the student again",
            };
            return vec![Check::new(
                "student",
                Verdict::Bad,
                error.to_string(),
                advice,
            )];
        }
    };
    let (width, height) = (1280, 720);
    let share = BENCH / u32::try_from(levels.len()).unwrap_or(1).max(1);
    let run = |mut level: crate::camera::sharpener::Level| {
        let format = match level.engine.student().colour {
            hone_shared::student::Colour::Luma => PixelFormat::Gray8,
            hone_shared::student::Colour::Rgb => PixelFormat::Rgb8,
        };
        let name = format!("student {}", level.name);
        let bytes = format
            .plane_sizes(width, height)
            .iter()
            .map(|(w, h)| w * h)
            .sum();
        let input: Vec<u8> = (0..bytes).map(|i: usize| (i / 7 % 251) as u8).collect();
        let mut output = vec![0; bytes];
        let (mut frames, start) = (0_u32, Instant::now());
        while start.elapsed() < share {
            let result = FrameView::packed(format, width, height, &input)
                .and_then(|view| {
                    Ok((
                        view,
                        FrameViewMut::packed(format, width, height, &mut output)?,
                    ))
                })
                .map_err(Into::into)
                .and_then(|(view, mut out)| level.engine.run(&view, &mut out, 1.0));
            if let Err(error) = result {
                let advice = "the student does not fit this board";
                return Check::new(&name, Verdict::Bad, error.to_string(), advice);
            }
            frames += 1;
        }
        let each = start.elapsed().as_secs_f64() * 1e3 / f64::from(frames);
        let found = format!(
            "{each:.1} ms for {width}x{height} ({:.0} fps), {}",
            1e3 / each,
            level.engine.description()
        );
        if each > 33.0 {
            let advice = "too slow for 30 fps: use a smaller student or a smaller --size";
            return Check::new(&name, Verdict::Lacking, found, advice);
        }
        Check::good(&name, found)
    };
    levels.into_iter().map(run).collect()
}

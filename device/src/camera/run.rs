//! The loop that carries frames from a camera to the outputs.

use std::time::Duration;

use gstreamer as gst;
use gstreamer_video as gst_video;

use super::capture::{Camera, Frame, Next, frame_rate};
use super::error::CameraError;
use super::histogram::Histogram;
use super::output::Output;
use super::report::{OutputReport, RunReport};
use super::sharpener::Sharpener;
use super::timeline::{Timeline, between};

/// How often the loop looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// When a run ends by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// After so many frames.
    pub frames: Option<u64>,
}

/// What the loop measures.
#[derive(Debug, Default)]
struct Meter {
    wait: Histogram,
    deliver: Histogram,
    age: Histogram,
    frames: u64,
    first: Option<gst::ClockTime>,
    last: gst::ClockTime,
    caps: String,
}

impl Meter {
    fn note(&mut self, frame: &Frame, now: gst::ClockTime) {
        let mark = &frame.mark;
        if let (Some(begun), Some(done)) = (mark.begun, mark.done) {
            self.wait.add(between(mark.captured, begun));
            self.deliver.add(between(done, now));
        }
        self.age.add(between(mark.captured, now));
        self.frames += 1;
        self.first.get_or_insert(now);
        self.last = now;
        if self.frames == 1 {
            self.caps = describe(&frame.caps);
        }
    }
}

/// Format, size and rate in one line.
fn describe(caps: &gst::Caps) -> String {
    match gst_video::VideoInfo::from_caps(caps) {
        Ok(info) => format!(
            "{} {}x{} at {:.4} fps",
            info.format().to_str(),
            info.width(),
            info.height(),
            frame_rate(caps)
        ),
        Err(_) => caps.to_string(),
    }
}

/// Carries frames from `camera` to `outputs` until the camera ends, a limit is reached or `stop`
/// says so; then completes the outputs.
///
/// # Errors
/// [`CameraError`] when the camera or an output fails; then no output appears.
pub fn run(
    source: &str,
    camera: &mut dyn Camera,
    outputs: &mut [Box<dyn Output>],
    sharpener: &Sharpener,
    timeline: &Timeline,
    limits: Limits,
    stop: &dyn Fn() -> bool,
) -> Result<RunReport, CameraError> {
    let mut meter = Meter::default();
    while !stop() && limits.frames.is_none_or(|n| meter.frames < n) {
        match camera.next(LOOK)? {
            Next::Frame(frame) => {
                for output in outputs.iter_mut() {
                    output.push(&frame)?;
                }
                meter.note(&frame, timeline.now());
            }
            Next::Waiting => {}
            Next::Ended => break,
        }
    }
    if meter.frames == 0 && !stop() {
        return Err(CameraError::NoFrame {
            source_name: source.to_owned(),
            reason: "it ended before the first frame".into(),
        });
    }
    for output in outputs.iter_mut() {
        output.finish()?;
    }
    Ok(report(source, camera, outputs, sharpener, &meter))
}

fn report(
    source: &str,
    camera: &dyn Camera,
    outputs: &[Box<dyn Output>],
    sharpener: &Sharpener,
    meter: &Meter,
) -> RunReport {
    let stats = sharpener.stats();
    let seconds = meter
        .first
        .map_or(0.0, |first| between(first, meter.last).as_secs_f64());
    let outputs = outputs.iter().map(|output| {
        let stats = output.stats();
        OutputReport {
            sink: output.name().to_owned(),
            frames: stats.taken,
            dropped: stats.given.saturating_sub(stats.taken),
            age_ms: (&stats.age).into(),
            restarts: 0,
        }
    });
    RunReport {
        source: source.to_owned(),
        engine: sharpener.description(),
        live: camera.live(),
        caps: meter.caps.clone(),
        seconds,
        fps: if seconds > 0.0 {
            (meter.frames - 1) as f64 / seconds
        } else {
            0.0
        },
        captured: camera.captured(),
        frames: meter.frames,
        sharpened: stats.sharpened,
        untouched: stats.untouched,
        failed: stats.failed,
        dropped: camera.captured().saturating_sub(meter.frames),
        slates: 0,
        reconnects: 0,
        governor: Vec::new(),
        wait_ms: (&meter.wait).into(),
        sharpen_ms: (&stats.time).into(),
        deliver_ms: (&meter.deliver).into(),
        age_ms: (&meter.age).into(),
        outputs: outputs.collect(),
    }
}

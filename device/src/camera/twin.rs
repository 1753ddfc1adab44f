//! In-memory twins for tests: an engine, a camera, an output and a clock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gstreamer as gst;
use hone_shared::student::{Colour, Precision};

use super::error::CameraError;
use super::feed::{Camera, Frame, Next};
use super::output::{Output, OutputStats};
use super::sharpener::lock;
use super::timeline::{Clock, Mark};
use crate::engine::{Engine, EngineError, FrameView, FrameViewMut, StudentInfo};

/// Inverts the planes that a student would restore, so that a test sees who touched a frame.
pub struct InvertingEngine {
    info: StudentInfo,
    /// How often it was told that a frame is a first one.
    pub resets: Arc<AtomicUsize>,
}

impl InvertingEngine {
    /// A twin of a student for `colour`.
    pub fn new(colour: Colour) -> Self {
        Self {
            info: StudentInfo {
                colour,
                scale: 1,
                halo: Some(0),
                precision: Precision::Int8,
                temporal: false,
                limited: false,
                macs_per_pixel: 1.0,
            },
            resets: Arc::default(),
        }
    }
}

impl Engine for InvertingEngine {
    fn student(&self) -> &StudentInfo {
        &self.info
    }

    fn description(&self) -> String {
        "inverts, for tests".into()
    }

    fn reset(&mut self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
    }

    fn run(
        &mut self,
        frame: &FrameView<'_>,
        out: &mut FrameViewMut<'_>,
        strength: f32,
    ) -> Result<(), EngineError> {
        out.validate_against(frame)?;
        let sizes = frame.format.plane_sizes(frame.width, frame.height);
        for (plane, (row, rows)) in sizes.into_iter().enumerate() {
            let (Some(from), Some(to)) = (&frame.planes[plane], &mut out.planes[plane]) else {
                continue;
            };
            for y in 0..rows {
                let source = &from.data[y * from.stride..][..row];
                for (to, from) in to.data[y * to.stride..][..row].iter_mut().zip(source) {
                    *to = if plane == 0 && strength > 0.0 {
                        255 - from
                    } else {
                        *from
                    };
                }
            }
        }
        Ok(())
    }
}

/// A clock that stands still until someone lets time pass.
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<Mutex<Duration>>);

impl Clock for ManualClock {
    fn now(&self) -> gst::ClockTime {
        gst::ClockTime::try_from(*lock(&self.0)).unwrap()
    }

    fn sleep(&self, time: Duration) {
        // A thread that opens the camera gets its turn, however little time passes here.
        std::thread::sleep(Duration::from_micros(200));
        *lock(&self.0) += time.max(Duration::from_millis(1));
    }
}

/// What a scripted camera does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Gives a frame after a thirtieth of a second.
    Frame,
    /// The same, with a timestamp 0.7 seconds ahead.
    Ahead,
    /// Gives a frame after 0.4 seconds that was captured at their start.
    Slow,
    /// Captures a frame that does not come.
    Held,
    /// Fails.
    Fail,
    /// Says nothing ever again.
    Silence,
}

/// A live camera that follows a script and is silent after it.
#[derive(Debug)]
pub struct ScriptedCamera {
    script: std::vec::IntoIter<Script>,
    silent: bool,
    /// A slow frame is on its way since, and is to be asked for again.
    begun: Option<gst::ClockTime>,
    again: bool,
    clock: ManualClock,
    caps: gst::Caps,
    captured: u64,
}

/// Time that a slow frame takes.
const SLOW: gst::ClockTime = gst::ClockTime::from_mseconds(400);

impl ScriptedCamera {
    /// A camera whose frames have `caps`, GRAY8.
    pub fn new(script: Vec<Script>, clock: ManualClock, caps: gst::Caps) -> Self {
        Self {
            script: script.into_iter(),
            silent: false,
            begun: None,
            again: false,
            clock,
            caps,
            captured: 0,
        }
    }

    /// A frame captured at `pts`.
    fn frame(&mut self, pts: gst::ClockTime) -> Frame {
        self.captured += 1;
        let mut buffer = gst::Buffer::with_size(96 * 64).unwrap();
        buffer.get_mut().unwrap().set_pts(pts);
        Frame {
            buffer,
            caps: self.caps.clone(),
            mark: Mark::at(pts),
        }
    }
}

impl Camera for ScriptedCamera {
    fn next(&mut self, wait: Duration) -> Result<Next, CameraError> {
        let step = if self.silent {
            None
        } else if std::mem::take(&mut self.again) {
            Some(Script::Slow)
        } else {
            self.script.next()
        };
        match step {
            Some(Script::Frame) => {
                self.clock.sleep(Duration::from_nanos(33_333_333));
                Ok(Next::Frame(self.frame(self.clock.now())))
            }
            Some(Script::Ahead) => {
                self.clock.sleep(Duration::from_nanos(33_333_333));
                let ahead = gst::ClockTime::from_mseconds(700);
                Ok(Next::Frame(self.frame(self.clock.now() + ahead)))
            }
            Some(Script::Slow) => {
                let begun = *self.begun.get_or_insert(self.clock.now());
                let left = Duration::from(begun + SLOW).saturating_sub(self.clock.now().into());
                self.clock.sleep(wait.min(left));
                if left > wait {
                    self.again = true;
                    return Ok(Next::Waiting);
                }
                self.begun = None;
                Ok(Next::Frame(self.frame(begun)))
            }
            Some(Script::Held) => {
                self.captured += 1;
                Ok(Next::Waiting)
            }
            Some(Script::Fail) => Err(CameraError::Source {
                source_name: "twin".into(),
                reason: "unplugged".into(),
            }),
            Some(Script::Silence) | None => {
                self.silent = true;
                self.clock.sleep(wait);
                Ok(Next::Waiting)
            }
        }
    }

    fn live(&self) -> bool {
        true
    }

    fn captured(&self) -> u64 {
        self.captured
    }
}

/// What collecting outputs got.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    /// Timestamps in the order they came.
    pub times: Arc<Mutex<Vec<gst::ClockTime>>>,
    /// Whether one was completed.
    pub finished: Arc<Mutex<bool>>,
}

/// An output that collects timestamps and may fail.
#[derive(Debug)]
pub struct CollectingOutput {
    collected: Collected,
    fails_at: Option<u64>,
    given: u64,
}

impl CollectingOutput {
    /// An output that fails on frame `fails_at`.
    pub fn new(collected: Collected, fails_at: Option<u64>) -> Self {
        Self {
            collected,
            fails_at,
            given: 0,
        }
    }
}

impl Output for CollectingOutput {
    fn name(&self) -> &str {
        "twin"
    }

    fn push(&mut self, frame: &Frame) -> Result<(), CameraError> {
        self.given += 1;
        if Some(self.given) == self.fails_at {
            return Err(CameraError::Sink {
                sink: "twin".into(),
                reason: "disk full".into(),
            });
        }
        lock(&self.collected.times).push(frame.buffer.pts().unwrap());
        Ok(())
    }

    fn complete(&mut self) -> Result<(), CameraError> {
        *lock(&self.collected.finished) = true;
        Ok(())
    }

    fn stats(&self) -> OutputStats {
        OutputStats {
            given: self.given,
            taken: self.given,
            age: super::histogram::Histogram::default(),
        }
    }
}

//! What takes frames: the trait that a session sees its outputs by, and starting the one that a sink stands for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use gstreamer as gst;

use super::elements::probe;
use super::error::CameraError;
use super::feed::Frame;
use super::gst_output::GstOutput;
use super::histogram::Histogram;
use super::sharpener::lock;
use super::sink::{SinkKind, SinkSpec};
use super::timeline::{Clock as _, Marks, Timeline, between};

/// The queue behind every feed, which holds one frame; its `leaky` follows.
pub(super) const FEED: &str =
    "! queue name=latest max-size-buffers=1 max-size-bytes=0 max-size-time=0 ";

/// Takes frames, one after another. What may hang with a disk or a peer, [`start`], [`Output::complete`], [`Output::settle`] and
/// the drop, is for threads that nobody has to wait for.
pub trait Output: Send {
    /// The sink as the user named it.
    fn name(&self) -> &str;

    /// Whether a frame would be taken now; waits a moment for it. Outputs of live sources always take frames, and drop
    /// what comes too fast.
    ///
    /// # Errors
    /// [`CameraError::Sink`] when the sink is gone; the output is only to be settled after.
    fn ready(&mut self) -> Result<bool, CameraError> {
        Ok(true)
    }

    /// Takes a frame; its timestamp is on the run's timeline and later than the one before.
    ///
    /// # Errors
    /// [`CameraError::Sink`] when the sink is gone, [`CameraError::Unfit`] when it never takes frames like this one;
    /// the output is only to be settled after.
    fn push(&mut self, frame: &Frame) -> Result<(), CameraError>;

    /// Says that no more frames come: the sink writes what it still holds.
    fn end(&mut self) {}

    /// Whether its sink has written everything, once it has ended, or what kept it from that; `None` as long as it still writes
    /// and the time for that is not `over`. Never waits.
    fn written(&mut self, _over: bool) -> Option<Result<(), CameraError>> {
        Some(Ok(()))
    }

    /// Completes the output, which has written everything: only now does its file appear.
    ///
    /// # Errors
    /// [`CameraError`] when it cannot be completed; it is only to be settled then.
    fn complete(&mut self) -> Result<(), CameraError> {
        Ok(())
    }

    /// Stops the output for good, complete or not, and sees to what it wrote; says what became of a live recording.
    fn settle(&mut self) -> Option<String> {
        None
    }

    /// What it did so far.
    fn stats(&self) -> OutputStats;

    /// What a person should know of the frames that it got, once.
    fn remark(&mut self) -> Option<String> {
        None
    }
}

/// Starts the output that `spec` stands for; `live` says whether late frames may be dropped.
///
/// # Errors
/// [`CameraError`] when its place cannot be written, its port is taken or an element is missing.
pub fn start(
    spec: &SinkSpec,
    timeline: &Timeline,
    live: bool,
) -> Result<Box<dyn Output>, CameraError> {
    if let SinkKind::Rtsp(address) = &spec.kind {
        let unfit = |reason: &str| CameraError::SinkSpec {
            given: spec.name.clone(),
            reason: reason.into(),
        };
        if !live {
            return Err(unfit(
                "viewers look by the clock: play a file to them with --realtime",
            ));
        }
        #[cfg(feature = "rtsp")]
        return Ok(Box::new(super::rtsp::RtspOutput::start(
            spec, address, timeline,
        )?));
        #[cfg(not(feature = "rtsp"))]
        return Err(unfit(&format!(
            "this honed was built without the feature rtsp, so it cannot serve {address}"
        )));
    }
    Ok(Box::new(GstOutput::start(spec, timeline, live)?))
}

/// What an output did.
#[derive(Debug, Clone, Default)]
pub struct OutputStats {
    /// Frames given to it.
    pub given: u64,
    /// Frames that its sink or encoder took.
    pub taken: u64,
    /// From capture until the sink or encoder took the frame.
    pub age: Histogram,
}

impl OutputStats {
    /// Adds what an earlier start of the same output did.
    pub fn add(&mut self, earlier: &Self) {
        self.given += earlier.given;
        self.taken += earlier.taken;
    }
}

/// What an output counts, from the session's thread and its sink's.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) given: AtomicU64,
    pub(super) taken: AtomicU64,
    marks: Marks,
    age: Mutex<Histogram>,
}

impl Counts {
    /// Counts every frame that `taker`, a sink or an encoder, takes.
    pub(super) fn watch(self: &Arc<Self>, taker: &gst::Element, timeline: &Timeline) {
        let (counts, timeline) = (self.clone(), timeline.clone());
        probe(taker, "sink", move |_, buffer| {
            counts.taken.fetch_add(1, Ordering::Relaxed);
            if let Some(mark) = buffer.pts().and_then(|pts| counts.marks.take(pts)) {
                lock(&counts.age).add(between(mark.captured, timeline.now()));
            }
        });
    }

    /// Counts `frame`, which is given with the timestamp `pts`; how many were given so far.
    pub(super) fn give(&self, frame: &Frame, pts: Option<gst::ClockTime>) -> u64 {
        if let Some(pts) = pts {
            self.marks.captured(pts, frame.mark.captured);
        }
        self.given.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// All of it.
    pub(super) fn stats(&self) -> OutputStats {
        OutputStats {
            given: self.given.load(Ordering::Relaxed),
            taken: self.taken.load(Ordering::Relaxed),
            age: lock(&self.age).clone(),
        }
    }
}

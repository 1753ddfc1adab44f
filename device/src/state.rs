//! What this board does right now, for whoever looks: the page, its API and telemetry.
//!
//! The session publishes what it measured four times a second and never waits for a reader; readers
//! take the newest, as old as it may be.

mod snapshot;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::camera::dials::Dials;
use crate::camera::histogram::Histogram;
use crate::camera::session::Event;
use crate::camera::sharpener::{SharpenStats, Sharpener, lock};
use crate::governor::thermometer::Reading;
use crate::journal::Journal;
#[cfg(feature = "telemetry")]
use crate::telemetry::Feed;

pub use snapshot::{
    DialsState, FrameCounts, GovernorState, SinkState, Snapshot, SourceState, StudentState,
};

/// Time between two publications.
const EVERY: Duration = Duration::from_millis(250);
/// Publications kept: the newest and those of the five seconds before.
const KEPT: usize = 21;

/// Frames that may be between capture and delivery, none of them lost: one waits, one is with the
/// student, one is done.
pub(crate) const ON_THEIR_WAY: u64 = 3;

/// Frames that may be between an output's feed and its sink or encoder, none of them lost: one waits at either queue, one
/// goes from queue to queue, one is being converted.
pub(crate) const ON_THEIR_WAY_OUT: u64 = 4;

/// What a session measured up to one moment.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Whether frames come by the clock.
    pub live: bool,
    /// Width, height and layout of the frames.
    pub caps: String,
    /// When the newest frame came from the camera.
    pub last_frame: Option<Instant>,
    /// Frames that the source delivered.
    pub captured: u64,
    /// Frames that went to the outputs.
    pub frames: u64,
    /// Frames shown in place of ones the source did not deliver.
    pub slates: u64,
    /// Times the source was lost.
    pub reconnects: u64,
    /// Complaints of decoders, pictures being delivered all the same.
    pub decode_errors: u64,
    /// From capture until every output had the frame.
    pub age: Histogram,
    /// What the sharpener did.
    pub sharpen: SharpenStats,
    /// The board's temperature.
    pub board: Reading,
    /// Each output.
    pub sinks: Vec<MeasuredSink>,
}

/// One output of [`Measured`].
#[derive(Debug, Clone, Default)]
pub struct MeasuredSink {
    /// The sink as the user named it.
    pub name: String,
    /// Whether it is there now.
    pub up: bool,
    /// Frames given to it.
    pub given: u64,
    /// Frames that it took.
    pub taken: u64,
    /// Times it failed and was started anew.
    pub restarts: u64,
}

/// What a session measured, and when it said so.
type Published = (Instant, Arc<Measured>);

#[derive(Debug, Clone, Default)]
struct Camera {
    /// Why no camera is there.
    dark: Option<String>,
    degraded: bool,
    step: Option<String>,
}

/// What is known of a running `honed`; shared between the session and everyone who looks.
#[derive(Debug)]
pub struct BoardState {
    started: Instant,
    source: String,
    governed_fps: Option<f64>,
    board: String,
    sharpener: Arc<Sharpener>,
    #[cfg(feature = "telemetry")]
    feed: Feed,
    /// Frames that were lost for certain; only grows, though those on their way come and go.
    dropped: AtomicU64,
    /// The same of each output.
    sinks_dropped: Mutex<Vec<u64>>,
    measured: Mutex<VecDeque<Published>>,
    camera: Mutex<Camera>,
    journal: Journal,
}

impl BoardState {
    /// The state of a board that takes frames from `source` (as it may be shown), is to hold
    /// `governed_fps`, and writes into `journal`.
    pub fn new(
        source: &str,
        governed_fps: Option<f64>,
        sharpener: Arc<Sharpener>,
        journal: Journal,
    ) -> Self {
        Self {
            started: Instant::now(),
            source: source.to_owned(),
            governed_fps,
            board: model(),
            sharpener,
            #[cfg(feature = "telemetry")]
            feed: Feed::default(),
            dropped: AtomicU64::new(0),
            sinks_dropped: Mutex::default(),
            measured: Mutex::default(),
            camera: Mutex::default(),
            journal,
        }
    }

    /// The dials, to turn.
    pub fn dials(&self) -> &Arc<Dials> {
        self.sharpener.dials()
    }

    /// Where what telemetry says can be heard.
    #[cfg(feature = "telemetry")]
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The students at work.
    pub fn sharpener(&self) -> &Arc<Sharpener> {
        &self.sharpener
    }

    /// Whether it is time to publish; `false` also while a reader looks, which is never waited for.
    pub fn is_due(&self) -> bool {
        self.measured
            .try_lock()
            .is_ok_and(|kept| kept.back().is_none_or(|(at, _)| at.elapsed() >= EVERY))
    }

    /// Takes what the session measured, unless a reader looks just now.
    pub fn publish(&self, measured: Measured) {
        let out = measured.frames + measured.sharpen.skipped + ON_THEIR_WAY;
        let lost = measured.captured.saturating_sub(out);
        self.dropped.fetch_max(lost, Ordering::Relaxed);
        self.note_sinks(&measured.sinks);
        if let Ok(mut kept) = self.measured.try_lock() {
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back((Instant::now(), Arc::new(measured)));
        }
    }

    /// Counts what outputs lost. It is locked only while it is changed or copied.
    fn note_sinks(&self, sinks: &[MeasuredSink]) {
        let mut dropped = lock(&self.sinks_dropped);
        dropped.resize(sinks.len(), 0);
        for (dropped, sink) in dropped.iter_mut().zip(sinks) {
            let lost = sink.given.saturating_sub(sink.taken + ON_THEIR_WAY_OUT);
            *dropped = lost.max(*dropped);
        }
    }

    /// Hears of an event of the session. What the camera does is locked only while it is copied.
    pub fn hear(&self, event: &Event) {
        lock(&self.camera).hear(event);
        self.journal.note(&event.to_string());
    }

    /// What was said so far.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The newest publication, and the one of about five seconds before.
    fn newest(&self) -> Option<(Published, Published)> {
        let kept = lock(&self.measured);
        Some((kept.back()?.clone(), kept.front()?.clone()))
    }

    /// The newest publication; everything zero before the first.
    pub fn measured(&self) -> Arc<Measured> {
        self.newest()
            .map_or_else(Arc::default, |((_, newest), _)| newest)
    }
}

impl Camera {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::Live => self.dark = None,
            Event::Dark(reason) => self.dark = Some(reason.clone()),
            Event::Governed { reason, degraded } => {
                self.degraded = *degraded;
                self.step = Some(reason.clone());
            }
            _ => {}
        }
    }
}

/// What this board calls itself.
fn model() -> String {
    let tree = std::fs::read_to_string("/proc/device-tree/model");
    let name = tree.or_else(|_| std::fs::read_to_string("/proc/sys/kernel/hostname"));
    let name = name.unwrap_or_else(|_| "board".into());
    name.trim_matches(['\0', '\n', ' ']).to_owned()
}

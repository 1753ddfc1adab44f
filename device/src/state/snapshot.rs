//! The state as one value that can be sent.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{BoardState, Measured, MeasuredSink, Published};
use crate::camera::report::Stage;
use crate::camera::sharpener::lock;

/// A frame must have been restored within this time for the board to be ready.
const FRESH: Duration = Duration::from_secs(2);

/// A publication this old is the last before frames stopped.
const STALE: Duration = Duration::from_secs(1);

/// What a board does, at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    /// The version of `honed`.
    pub version: &'static str,
    /// The board's model, or its host name.
    pub board: String,
    /// Seconds since the start.
    pub uptime_s: f64,
    /// Empty when frames are being restored now, otherwise why not.
    pub not_ready: String,
    /// The camera.
    pub source: SourceState,
    /// Frames out for each second, over the last five seconds.
    pub fps: f64,
    /// Frames since the start.
    pub frames: FrameCounts,
    /// Milliseconds from capture until every output had the frame, over the last five seconds.
    pub age_ms: Stage,
    /// Milliseconds in the engine, over the last five seconds.
    pub engine_ms: Stage,
    /// The student at work.
    pub student: StudentState,
    /// What a person can turn.
    pub dials: DialsState,
    /// What the governor does.
    pub governor: GovernorState,
    /// The warmest zone in degrees Celsius, where the board has one.
    pub celsius: Option<f32>,
    /// Whether the board slows itself down.
    pub throttled: bool,
    /// Each output.
    pub sinks: Vec<SinkState>,
}

/// The camera's part of a [`Snapshot`].
#[derive(Debug, Clone, Serialize)]
pub struct SourceState {
    /// As the user named it, without a password.
    pub name: String,
    /// `live`, `dark` or `starting`.
    pub state: &'static str,
    /// Why it is dark, or empty.
    pub reason: String,
    /// Width, height and layout of the frames.
    pub caps: String,
    /// Seconds since the newest frame.
    pub silent_s: Option<f64>,
    /// Times it was lost.
    pub reconnects: u64,
    /// Complaints of its decoders, pictures being delivered all the same.
    pub decode_errors: u64,
}

/// Frames since the start, by what became of them.
#[derive(Debug, Clone, Serialize)]
pub struct FrameCounts {
    /// That the source delivered.
    pub captured: u64,
    /// That went to the outputs.
    pub delivered: u64,
    /// Restored by the student.
    pub sharpened: u64,
    /// Passed as they came.
    pub untouched: u64,
    /// Refused by the engine, passed as they came.
    pub failed: u64,
    /// Left out by the governor, which keeps every second frame only.
    pub skipped: u64,
    /// Lost on the way because a newer one was there.
    pub dropped: u64,
    /// Shown in place of ones that the source did not deliver.
    pub slates: u64,
}

/// The student's part of a [`Snapshot`].
#[derive(Debug, Clone, Serialize)]
pub struct StudentState {
    /// Which student runs on what.
    pub engine: String,
    /// Index of the level in use, 0 the largest.
    pub level: usize,
    /// Names of the levels, the largest first.
    pub levels: Vec<String>,
    /// Whether every second frame is dropped.
    pub every_second: bool,
    /// Whether the governor gave up sharpening.
    pub shed: bool,
}

/// What a person can turn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DialsState {
    /// How much of the restoration is added, 0..=1.
    pub strength: f32,
    /// The part of the width, from the left, that shows the camera's own picture, 0..=1.
    pub split: f32,
    /// Whether frames pass as they came.
    pub bypass: bool,
}

/// The governor's part of a [`Snapshot`].
#[derive(Debug, Clone, Serialize)]
pub struct GovernorState {
    /// The frame rate that it holds; none when it is off.
    pub fps: Option<f64>,
    /// Whether less is done than the largest student on every frame.
    pub degraded: bool,
    /// Its newest step, with the reason.
    pub step: Option<String>,
}

/// One output of a [`Snapshot`].
#[derive(Debug, Clone, Serialize)]
pub struct SinkState {
    /// As the user named it, without a password.
    pub name: String,
    /// Whether it is there now.
    pub up: bool,
    /// Frames that it took.
    pub frames: u64,
    /// Frames given to it that it was too slow for.
    pub dropped: u64,
    /// Times it failed and was started anew.
    pub restarts: u64,
}

impl BoardState {
    /// What the board does now.
    pub fn snapshot(&self) -> Snapshot {
        let (measured, fps, earlier) = match self.newest() {
            Some((newest, oldest)) => {
                let fps = fps(&newest, &oldest, Instant::now());
                (newest.1, fps, Some(oldest.1))
            }
            None => Default::default(),
        };
        let (age, engine) = match &earlier {
            // The first publication is compared with nothing.
            Some(oldest) if !Arc::ptr_eq(oldest, &measured) => (
                measured.age.since(&oldest.age),
                measured.sharpen.time.since(&oldest.sharpen.time),
            ),
            _ => (measured.age.clone(), measured.sharpen.time.clone()),
        };
        let dials = self.dials();
        let camera = lock(&self.camera).clone();
        Snapshot {
            version: env!("CARGO_PKG_VERSION"),
            board: self.board.clone(),
            uptime_s: self.started.elapsed().as_secs_f64(),
            not_ready: self.not_ready(&measured, earlier.as_deref()),
            source: SourceState {
                name: self.source.clone(),
                state: match (&camera.dark, measured.frames) {
                    (Some(_), _) => "dark",
                    (None, 0) => "starting",
                    _ => "live",
                },
                reason: camera.dark.clone().unwrap_or_default(),
                caps: measured.caps.clone(),
                silent_s: measured.last_frame.map(|at| at.elapsed().as_secs_f64()),
                reconnects: measured.reconnects,
                decode_errors: measured.decode_errors,
            },
            fps,
            frames: counts(&measured, self.dropped.load(Ordering::Relaxed)),
            age_ms: (&age).into(),
            engine_ms: (&engine).into(),
            student: StudentState {
                engine: self.sharpener.description(),
                level: dials.level(),
                levels: self.sharpener.levels().to_vec(),
                every_second: dials.every_second(),
                shed: dials.shed(),
            },
            dials: DialsState {
                strength: dials.strength(),
                split: dials.split(),
                bypass: dials.bypass(),
            },
            governor: GovernorState {
                fps: self.governed_fps,
                degraded: camera.degraded,
                step: camera.step.clone(),
            },
            celsius: measured.board.celsius,
            throttled: measured.board.throttled,
            sinks: self.sinks(&measured.sinks),
        }
    }

    fn sinks(&self, sinks: &[MeasuredSink]) -> Vec<SinkState> {
        // Of a newer publication perhaps.
        let dropped = lock(&self.sinks_dropped).clone();
        let dropped = dropped.into_iter().chain(std::iter::repeat(0));
        let sink = |(sink, dropped): (&MeasuredSink, u64)| SinkState {
            name: sink.name.clone(),
            up: sink.up,
            frames: sink.taken,
            dropped,
            restarts: sink.restarts,
        };
        sinks.iter().zip(dropped).map(sink).collect()
    }

    /// Why no frames are being restored now; empty when they are.
    fn not_ready(&self, measured: &Measured, earlier: Option<&Measured>) -> String {
        let fresh = measured.last_frame.is_some_and(|at| at.elapsed() < FRESH);
        let dials = self.dials();
        if self.sharpener.levels().is_empty() {
            "no student is loaded".into()
        } else if !fresh {
            "no frame came for 2 s".into()
        } else if dials.bypass() {
            "bypass is on".into()
        } else if dials.shed() {
            "the governor gave up sharpening".into()
        } else if dials.untouched() {
            "strength or split leave every frame as it came".into()
        } else if earlier
            .is_none_or(|earlier| earlier.sharpen.sharpened == measured.sharpen.sharpened)
        {
            "no frame was restored in the last seconds".into()
        } else {
            String::new()
        }
    }
}

/// Frames out for each second between two publications; up to `now` when no newer one comes.
fn fps((at, newest): &Published, (since, oldest): &Published, now: Instant) -> f64 {
    let stale = now.saturating_duration_since(*at) > STALE;
    let until = if stale { now } else { *at };
    let frames = newest.frames.saturating_sub(oldest.frames);
    let length = until.saturating_duration_since(*since);
    frames as f64 / length.as_secs_f64().max(0.001)
}

/// The counts of a publication, of which `dropped` were lost.
fn counts(measured: &Measured, dropped: u64) -> FrameCounts {
    FrameCounts {
        captured: measured.captured,
        delivered: measured.frames,
        sharpened: measured.sharpen.sharpened,
        untouched: measured.sharpen.untouched,
        failed: measured.sharpen.failed,
        skipped: measured.sharpen.skipped,
        dropped,
        slates: measured.slates,
    }
}

#[cfg(test)]
mod tests;

//! What a run did, for people and for programs.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::histogram::Histogram;

/// Milliseconds of one stage.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Stage {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// All but one in a hundred are below.
    pub p99: f64,
    /// Longest.
    pub max: f64,
}

impl From<&Histogram> for Stage {
    fn from(histogram: &Histogram) -> Self {
        let ms = |d: Duration| (d.as_secs_f64() * 1e6).round() / 1e3;
        Self {
            mean: ms(histogram.mean()),
            p50: ms(histogram.quantile(0.5)),
            p99: ms(histogram.quantile(0.99)),
            max: ms(histogram.max()),
        }
    }
}

/// One output's part of a run.
#[derive(Debug, Clone, Serialize)]
pub struct OutputReport {
    /// The sink as the user named it.
    pub sink: String,
    /// Frames that the sink or its encoder took.
    pub frames: u64,
    /// Frames given to it that it was too slow for.
    pub dropped: u64,
    /// From capture until the sink or encoder took the frame, in milliseconds.
    pub age_ms: Stage,
    /// Times it failed and was started anew.
    pub restarts: u64,
}

/// A run from its first frame to its last.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The source as the user named it.
    pub source: String,
    /// Which student ran on what.
    pub engine: String,
    /// Whether frames came by the clock.
    pub live: bool,
    /// Width, height and layout of the frames, as GStreamer caps.
    pub caps: String,
    /// From the first frame out to the last, in seconds.
    pub seconds: f64,
    /// Frames out for each second.
    pub fps: f64,
    /// Frames that the source delivered.
    pub captured: u64,
    /// Frames that went to the outputs.
    pub frames: u64,
    /// Frames restored by the student.
    pub sharpened: u64,
    /// Frames that passed as they came.
    pub untouched: u64,
    /// Frames that the engine refused, passed as they came.
    pub failed: u64,
    /// Frames lost on the way because a newer one was there.
    pub dropped: u64,
    /// Frames shown in place of ones the source did not deliver.
    pub slates: u64,
    /// Times the source was started anew.
    pub reconnects: u64,
    /// Steps of the governor, each with its reason.
    pub governor: Vec<String>,
    /// Milliseconds: capture until the student begins.
    pub wait_ms: Stage,
    /// Milliseconds: the student.
    pub sharpen_ms: Stage,
    /// Milliseconds: student done until every output has the frame.
    pub deliver_ms: Stage,
    /// Milliseconds: capture until every output has the frame.
    pub age_ms: Stage,
    /// Each output.
    pub outputs: Vec<OutputReport>,
}

impl std::fmt::Display for RunReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "source    {} ({})", self.source, self.caps)?;
        writeln!(f, "student   {}", self.engine)?;
        writeln!(
            f,
            "frames    {} out of {} captured in {:.2} s: {:.2} fps; {} sharpened, {} untouched, {} dropped, {} slates, {} failed",
            self.frames,
            self.captured,
            self.seconds,
            self.fps,
            self.sharpened,
            self.untouched,
            self.dropped,
            self.slates,
            self.failed
        )?;
        if self.reconnects > 0 {
            writeln!(f, "source started anew {} times", self.reconnects)?;
        }
        for step in &self.governor {
            writeln!(f, "governor  {step}")?;
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header(["milliseconds", "mean", "p50", "p99", "max"]);
        let mut row = |name: String, s: &Stage| {
            let number = |n: f64| format!("{n:.2}");
            table.add_row([
                name,
                number(s.mean),
                number(s.p50),
                number(s.p99),
                number(s.max),
            ]);
        };
        row("wait".into(), &self.wait_ms);
        row("sharpen".into(), &self.sharpen_ms);
        row("deliver".into(), &self.deliver_ms);
        row("age".into(), &self.age_ms);
        for output in &self.outputs {
            row(format!("age at {}", output.sink), &output.age_ms);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        write!(f, "{table}")
    }
}

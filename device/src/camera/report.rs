//! What a run did, for people and for programs.

mod outputs;

use std::collections::VecDeque;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use gstreamer as gst;
use gstreamer_video as gst_video;
use serde::Serialize;

use super::feed::{Frame, declared_rate};
use super::histogram::Histogram;
use super::sharpener::Sharpener;
use super::status::Recent;
use super::timeline::between;
use crate::state::Measured;

pub use outputs::OutputReport;

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
    /// Frames that the governor left out, keeping every second one only.
    pub skipped: u64,
    /// Frames lost on the way because a newer one was there.
    pub dropped: u64,
    /// Frames shown in place of ones the source did not deliver.
    pub slates: u64,
    /// Times the source was lost.
    pub reconnects: u64,
    /// Complaints of decoders, pictures being delivered all the same.
    pub decode_errors: u64,
    /// Places where a file lacks pictures between two others.
    pub gaps: u64,
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

/// Steps of the governor that a report tells; older ones are forgotten.
const STEPS: usize = 100;

/// What a session measures.
#[derive(Debug, Default)]
pub struct Meter {
    /// Frames that went to the outputs.
    pub frames: u64,
    /// Frames that stood in for missing ones.
    pub slates: u64,
    /// Times the source was lost.
    pub reconnects: u64,
    /// Complaints of decoders.
    pub decode_errors: u64,
    /// Places where a file lacks pictures.
    pub gaps: u64,
    governor: VecDeque<String>,
    wait: Histogram,
    deliver: Histogram,
    age: Histogram,
    recent: Recent,
    first: Option<gst::ClockTime>,
    last: gst::ClockTime,
    caps: String,
}

impl Meter {
    /// Notes a frame that every output has at `now`.
    pub fn note(&mut self, frame: &Frame, now: gst::ClockTime) {
        let mark = &frame.mark;
        if let (Some(begun), Some(done)) = (mark.begun, mark.done) {
            self.wait.add(between(mark.captured, begun));
            self.deliver.add(between(done, now));
        }
        let age = between(mark.captured, now);
        self.age.add(age);
        self.recent.age.add(age);
        self.frames += 1;
        self.first.get_or_insert(now);
        self.last = now;
        if self.frames == 1 {
            self.caps = describe(&frame.caps);
        }
    }

    /// Notes a step of the governor.
    pub fn governed(&mut self, step: String) {
        if self.governor.len() == STEPS {
            self.governor.pop_front();
        }
        self.governor.push_back(step);
    }

    /// A line on the time since the last one, when `every` has passed.
    pub fn status(&mut self, now: gst::ClockTime, every: Duration) -> Option<String> {
        self.recent.line(now, every)
    }

    /// Counts, ages and shape of the frames so far.
    pub fn measured(&self) -> Measured {
        Measured {
            caps: self.caps.clone(),
            frames: self.frames,
            age: self.age.clone(),
            ..Measured::default()
        }
    }

    /// The report of a session that is over, still without its outputs; `captured` frames came from its cameras.
    pub fn report(
        &self,
        source: &str,
        live: bool,
        captured: u64,
        sharpener: &Sharpener,
    ) -> RunReport {
        let stats = sharpener.stats();
        let seconds = self
            .first
            .map_or(0.0, |first| between(first, self.last).as_secs_f64());
        RunReport {
            source: source.to_owned(),
            engine: sharpener.description(),
            live,
            caps: self.caps.clone(),
            seconds,
            fps: if seconds > 0.0 {
                (self.frames - 1) as f64 / seconds
            } else {
                0.0
            },
            captured,
            frames: self.frames,
            sharpened: stats.sharpened,
            untouched: stats.untouched,
            failed: stats.failed,
            skipped: stats.skipped,
            dropped: captured.saturating_sub(self.frames + stats.skipped),
            slates: self.slates,
            reconnects: self.reconnects,
            decode_errors: self.decode_errors,
            gaps: self.gaps,
            governor: self.governor.iter().cloned().collect(),
            wait_ms: (&self.wait).into(),
            sharpen_ms: (&stats.time).into(),
            deliver_ms: (&self.deliver).into(),
            age_ms: (&self.age).into(),
            outputs: Vec::new(),
        }
    }
}

/// Format, size and, where one is declared, rate in one line.
fn describe(caps: &gst::Caps) -> String {
    let Ok(info) = gst_video::VideoInfo::from_caps(caps) else {
        return caps.to_string();
    };
    let rate = declared_rate(caps).map_or_else(String::new, |rate| format!(" at {rate:.4} fps"));
    let (format, width, height) = (info.format().to_str(), info.width(), info.height());
    format!("{format} {width}x{height}{rate}")
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
            writeln!(f, "source    lost {} times", self.reconnects)?;
        }
        if self.decode_errors + self.gaps > 0 {
            writeln!(
                f,
                "damage    {} decoder errors, {} gaps between pictures",
                self.decode_errors, self.gaps
            )?;
        }
        for output in &self.outputs {
            output.tell_restarts(f)?;
        }
        if self.skipped > 0 {
            let skipped = self.skipped;
            writeln!(f, "governor  left out {skipped} frames, to keep up")?;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn frames_that_the_governor_leaves_out_are_not_lost() {
        let sharpener = Sharpener::new(Vec::new(), Arc::default()).unwrap();
        sharpener.dials().set_load(0, true, false);
        let skipped = (0..20).filter(|&index| sharpener.skips(index)).count();
        assert_eq!(skipped, 10);
        let meter = Meter {
            frames: 8,
            ..Meter::default()
        };
        let report = meter.report("twin", true, 20, &sharpener);
        assert_eq!((report.skipped, report.dropped), (10, 2));
        assert!(report.to_string().contains("left out 10 frames"));
    }

    #[test]
    fn only_a_declared_rate_is_told() {
        gst::init().unwrap();
        let told = |rate: &str| {
            let caps = format!("video/x-raw,format=GRAY8,width=96,height=64,framerate={rate}");
            describe(&caps.parse().unwrap())
        };
        assert_eq!(told("25/2"), "GRAY8 96x64 at 12.5000 fps");
        assert_eq!(told("0/1"), "GRAY8 96x64");
    }
}

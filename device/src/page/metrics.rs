//! The state as Prometheus reads it (text format 0.0.4).

use std::fmt::Write as _;

use crate::camera::histogram::Histogram;
use crate::state::{BoardState, SinkState};

/// Bounds of the histograms, in thirds of a doubling from a microsecond on: 0.5 ms to 2 s. The alert for late frames asks
/// for one of them, as what lies within a bucket is guessed.
const BOUNDS: std::ops::RangeInclusive<usize> = 27..=63;

/// Name, type and help of a metric that each output has, and its value.
type OfSink = (
    &'static str,
    &'static str,
    &'static str,
    fn(&SinkState) -> f64,
);

/// All metrics of `board`, each with HELP and TYPE.
pub(super) fn text(board: &BoardState, viewers: usize) -> String {
    let (now, measured) = (board.snapshot(), board.measured());
    let mut page = Page::default();
    let f = &now.frames;
    page.head(
        "hone_frames_total",
        "counter",
        "Frames by what became of them: skipped ones the governor left out, dropped ones a newer one overtook.",
    );
    for (what, count) in [
        ("captured", f.captured),
        ("delivered", f.delivered),
        ("sharpened", f.sharpened),
        ("untouched", f.untouched),
        ("failed", f.failed),
        ("skipped", f.skipped),
        ("dropped", f.dropped),
        ("slate", f.slates),
    ] {
        page.value("hone_frames_total", &[("result", what)], count as f64);
    }
    page.one(
        "hone_fps",
        "gauge",
        "Frames out for each second, over the last five.",
        now.fps,
    );
    page.histogram(
        "hone_frame_age_seconds",
        "From capture until every output had the frame.",
        &measured.age,
    );
    page.histogram(
        "hone_engine_seconds",
        "In the engine, for each restored frame.",
        &measured.sharpen.time,
    );
    page.one(
        "hone_level",
        "gauge",
        "Level of the ladder in use, 0 the largest.",
        now.student.level as f64,
    );
    page.one(
        "hone_degraded",
        "gauge",
        "1 while the governor does less than the largest student on every frame.",
        flag(now.governor.degraded),
    );
    page.one(
        "hone_ready",
        "gauge",
        "1 while frames are being restored.",
        flag(now.not_ready.is_empty()),
    );
    page.one(
        "hone_strength",
        "gauge",
        "How much of the restoration is added, 0 to 1.",
        now.dials.strength.into(),
    );
    page.one(
        "hone_bypass",
        "gauge",
        "1 while a person asked for the camera's own picture.",
        flag(now.dials.bypass),
    );
    page.one(
        "hone_camera_up",
        "gauge",
        "1 while the camera delivers.",
        flag(now.source.state == "live"),
    );
    page.one(
        "hone_camera_reconnects_total",
        "counter",
        "Times the camera was lost.",
        now.source.reconnects as f64,
    );
    page.one(
        "hone_camera_decode_errors_total",
        "counter",
        "Complaints of the camera's decoders, pictures being delivered all the same.",
        now.source.decode_errors as f64,
    );
    if let Some(celsius) = now.celsius {
        page.one(
            "hone_temperature_celsius",
            "gauge",
            "The warmest zone of the board.",
            celsius.into(),
        );
    }
    page.one(
        "hone_throttled",
        "gauge",
        "1 while the board slows itself down.",
        flag(now.throttled),
    );
    page.outputs(&now.sinks);
    page.one(
        "hone_preview_viewers",
        "gauge",
        "Who watch the preview.",
        viewers as f64,
    );
    page.one(
        "hone_uptime_seconds",
        "gauge",
        "Since honed started.",
        now.uptime_s,
    );
    page.head(
        "hone_build_info",
        "gauge",
        "Always 1; the version is in the label.",
    );
    page.value("hone_build_info", &[("version", now.version)], 1.0);
    page.0
}

fn flag(set: bool) -> f64 {
    f64::from(u8::from(set))
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    /// What each output did. Two may have one name, as null and null: they are told apart by where they stand among
    /// the sinks, for Prometheus takes no series twice.
    fn outputs(&mut self, outputs: &[SinkState]) {
        let sinks: [OfSink; 4] = [
            (
                "hone_sink_up",
                "gauge",
                "1 while the output is there.",
                |s| flag(s.up),
            ),
            (
                "hone_sink_frames_total",
                "counter",
                "Frames that the output took.",
                |s| s.frames as f64,
            ),
            (
                "hone_sink_dropped_total",
                "counter",
                "Frames that the output was too slow for.",
                |s| s.dropped as f64,
            ),
            (
                "hone_sink_restarts_total",
                "counter",
                "Times the output failed and was started anew.",
                |s| s.restarts as f64,
            ),
        ];
        for (name, kind, help, value) in sinks {
            self.head(name, kind, help);
            for (at, sink) in outputs.iter().enumerate() {
                let at = at.to_string();
                let labels = [("sink", sink.name.as_str()), ("output", &at)];
                let shared = outputs.iter().filter(|o| o.name == sink.name).count() > 1;
                let labels = if shared { &labels[..] } else { &labels[..1] };
                self.value(name, labels, value(sink));
            }
        }
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.head(name, kind, help);
        self.value(name, &[], value);
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        for thirds in BOUNDS {
            // Whole microseconds, for a label that people can read.
            let bound = (thirds as f64 / 3.0).exp2().round() / 1e6;
            let below = histogram.shorter_than(thirds) as f64;
            self.value(&bucket, &[("le", &bound.to_string())], below);
        }
        let count = histogram.count() as f64;
        self.value(&bucket, &[("le", "+Inf")], count);
        self.value(&format!("{name}_sum"), &[], histogram.sum().as_secs_f64());
        self.value(&format!("{name}_count"), &[], count);
    }
}

/// A label's value as the format wants it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_alert_for_late_frames_asks_for_a_bound() {
        let mut histogram = Histogram::default();
        for millis in [140, 200, 215] {
            histogram.add(Duration::from_millis(millis));
        }
        let mut page = Page::default();
        page.histogram("age", "", &histogram);
        let rules = include_str!("../../../cross/monitoring/alerts.yml");
        let asked = rules.lines().find_map(|line| {
            let (query, bound) = line.rsplit_once(" > ")?;
            query
                .contains("hone_frame_age_seconds_bucket")
                .then_some(bound)
        });
        let late = format!("age_bucket{{le=\"{}\"}} 2", asked.unwrap());
        assert!(
            page.0.lines().any(|line| line == late),
            "no {late} in\n{}",
            page.0
        );
        assert!(page.0.contains("le=\"0.000512\"") && page.0.contains("le=\"2.097152\""));
    }

    #[test]
    fn no_series_comes_twice() {
        let sink = |name: &str| SinkState {
            name: name.into(),
            up: true,
            frames: 7,
            dropped: 0,
            restarts: 0,
        };
        let mut page = Page::default();
        page.outputs(&[sink("null"), sink("a.mkv"), sink("null")]);
        let of = |name: &str| -> Vec<String> {
            let lines = page.0.lines().filter(|line| line.starts_with(name));
            lines.map(str::to_owned).collect()
        };
        let wanted = [
            "hone_sink_frames_total{sink=\"null\",output=\"0\"} 7",
            "hone_sink_frames_total{sink=\"a.mkv\"} 7",
            "hone_sink_frames_total{sink=\"null\",output=\"2\"} 7",
        ];
        assert_eq!(of("hone_sink_frames_total"), wanted);
        assert_eq!(of("hone_sink_up").len(), 3);
    }
}

//! One line now and then on how a run does: for the journal, and for long tests.

use std::time::Duration;

use gstreamer as gst;

use super::histogram::Histogram;
use super::report::Stage;
use super::timeline::between;
use crate::bench::memory;

/// What was measured since the last line.
#[derive(Debug, Default)]
pub struct Recent {
    /// Ages of the frames that went out.
    pub age: Histogram,
    since: gst::ClockTime,
}

impl Recent {
    /// The line, when `every` has passed; then counting starts anew.
    pub fn line(&mut self, now: gst::ClockTime, every: Duration) -> Option<String> {
        let time = between(self.since, now);
        if time < every {
            return None;
        }
        let recent = std::mem::replace(
            self,
            Self {
                since: now,
                ..Self::default()
            },
        );
        let fps = recent.age.count() as f64 / time.as_secs_f64();
        let age = Stage::from(&recent.age);
        let memory = match memory::status("VmRSS:") {
            Some(bytes) => format!(", resident {} KiB", bytes / 1024),
            None => String::new(),
        };
        Some(format!(
            "status: {fps:.2} fps, age p50 {:.2} p99 {:.2} max {:.2} ms{memory}",
            age.p50, age.p99, age.max
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_when_they_are_due_and_start_anew() {
        let mut recent = Recent::default();
        let (at, every) = (gst::ClockTime::from_seconds, Duration::from_secs(10));
        for _ in 0..100 {
            recent.age.add(Duration::from_millis(20));
        }
        assert_eq!(recent.line(at(9), every), None);
        let line = recent.line(at(10), every).unwrap();
        assert!(line.starts_with("status: 10.00 fps, age p50 2"), "{line}");
        assert!(line.contains("resident"), "{line}");
        let line = recent.line(at(20), every).unwrap();
        assert!(line.starts_with("status: 0.00 fps"), "{line}");
    }
}

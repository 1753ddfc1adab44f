//! How far apart frames are, also of cameras that do not declare it.

use std::collections::VecDeque;
use std::time::Duration;

use gstreamer as gst;

use crate::camera::feed::declared_rate;
use crate::camera::timeline::between;

/// Intervals that are looked back at.
const BACK: usize = 8;
/// So many tell: the first two frames of a camera may come at once.
const ENOUGH: u32 = 3;
/// Before that. No slate shows between the first two of a camera that gives one in two seconds.
const UNKNOWN: Duration = Duration::from_millis(500);
/// A network delivers frames in a bunch too, which says nothing of those that follow.
const SHORTEST: Duration = Duration::from_nanos(33_333_333);

/// The intervals between the last frames.
#[derive(Debug, Default)]
pub(super) struct Rhythm {
    last: Option<gst::ClockTime>,
    intervals: VecDeque<Duration>,
}

impl Rhythm {
    /// Notes a frame at `pts`.
    pub(super) fn note(&mut self, pts: gst::ClockTime) {
        let Some(last) = self.last.replace(pts) else {
            return;
        };
        if self.intervals.len() == BACK {
            self.intervals.pop_front();
        }
        self.intervals.push_back(between(last, pts));
    }

    /// The time until the next frame is none between frames: the camera was away.
    pub(super) fn pause(&mut self) {
        self.last = None;
    }

    /// What `caps` declare, or else what was measured. It is the mean: after the longest, one frame that was held up would let
    /// outputs stand still for five times as long.
    pub(super) fn interval(&self, caps: &gst::Caps) -> Duration {
        if let Some(rate) = declared_rate(caps) {
            return Duration::from_secs_f64(1.0 / rate);
        }
        let sum: Duration = self.intervals.iter().sum();
        let count = u32::try_from(self.intervals.len()).unwrap_or_default();
        let least = if count < ENOUGH { UNKNOWN } else { SHORTEST };
        sum.checked_div(count).unwrap_or_default().max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(rate: &str) -> gst::Caps {
        gst::init().unwrap();
        format!("video/x-raw,format=GRAY8,width=96,height=64,framerate={rate}")
            .parse()
            .unwrap()
    }

    #[test]
    fn what_is_not_declared_is_measured() {
        let ms = gst::ClockTime::from_mseconds;
        let mut rhythm = Rhythm::default();
        let free = caps("0/1");
        assert_eq!(rhythm.interval(&free), UNKNOWN);
        for at in [0, 2000, 4000] {
            rhythm.note(ms(at));
        }
        assert_eq!(rhythm.interval(&free), Duration::from_secs(2));
        assert_eq!(rhythm.interval(&caps("10/1")), Duration::from_millis(100));
        // An hour away, and then a bunch.
        rhythm.pause();
        for at in 3_600_000..3_600_020 {
            rhythm.note(ms(at));
        }
        assert_eq!(rhythm.interval(&free), SHORTEST);
    }
}

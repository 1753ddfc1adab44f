//! How far apart frames are, also of cameras that do not declare it.

use std::collections::VecDeque;
use std::time::Duration;

use gstreamer as gst;

use crate::camera::feed::declared_rate;
use crate::camera::timeline::between;

/// Intervals that are looked back at.
const BACK: usize = 8;
/// So many tell: the first two frames of a camera may come at once.
const ENOUGH: usize = 3;
/// Before that. No slate shows between the first two of a camera that gives one in two seconds.
const UNKNOWN: Duration = Duration::from_millis(500);
/// A network delivers frames in a bunch too, which says nothing of those that follow.
const SHORTEST: Duration = Duration::from_nanos(33_333_333);

/// No picture is shorter: of a film that declares no rate, decoders say a nanosecond.
const LEAST: Duration = Duration::from_millis(1);

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

    /// The time until the next frame is none between frames: the camera was away. Of those before, only how far apart they
    /// were is kept, for one that declares nothing may be as slow as before.
    pub(super) fn pause(&mut self) {
        self.last = None;
        self.intervals = self.median().into_iter().collect();
    }

    /// The longer of what `caps` declare and what was measured: cameras declare rates that they do not hold.
    pub(super) fn interval(&self, caps: &gst::Caps) -> Duration {
        let median = self.median().unwrap_or_default();
        let few = self.intervals.len() < ENOUGH;
        match declared(caps) {
            Some(declared) if few => declared,
            Some(declared) => declared.max(median),
            None => median.max(if few { UNKNOWN } else { SHORTEST }),
        }
    }

    /// How long a picture lasts that is said to last `said`.
    pub(super) fn length(&self, said: Option<Duration>, caps: &gst::Caps) -> Duration {
        let plausible = |length: &Duration| *length >= LEAST;
        let measured = || self.median().filter(|_| declared(caps).is_none());
        said.filter(plausible)
            .or_else(|| measured().filter(plausible))
            .unwrap_or_else(|| self.interval(caps))
    }

    /// How far apart stand-ins for a camera that is lost are: nobody waits for its next frame, so how slow it was matters
    /// little.
    pub(super) fn away(&self, caps: &gst::Caps) -> Duration {
        declared(caps)
            .unwrap_or_else(|| self.interval(caps))
            .clamp(SHORTEST, UNKNOWN)
    }

    /// No mean: a few frames that were held up would let outputs stand still for seconds.
    fn median(&self) -> Option<Duration> {
        let mut sorted: Vec<_> = self.intervals.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

fn declared(caps: &gst::Caps) -> Option<Duration> {
    declared_rate(caps).map(|rate| Duration::from_secs_f64(1.0 / rate))
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
        rhythm.note(ms(6000));
        assert_eq!(rhythm.interval(&caps("10/1")), Duration::from_secs(2));
        assert_eq!(rhythm.interval(&caps("1/4")), Duration::from_secs(4));
        for (rate, ms) in [("0/1", 500), ("1/4", 500), ("10/1", 100)] {
            assert_eq!(rhythm.away(&caps(rate)), Duration::from_millis(ms));
        }
        assert_eq!(rhythm.away(&caps("90000/1")), SHORTEST);
        // An hour away, and then a bunch.
        rhythm.pause();
        assert_eq!(rhythm.interval(&free), Duration::from_secs(2));
        assert_eq!(rhythm.interval(&caps("10/1")), Duration::from_millis(100));
        for at in 3_600_000..3_600_020 {
            rhythm.note(ms(at));
        }
        assert_eq!(rhythm.interval(&free), SHORTEST);
        assert_eq!(rhythm.interval(&caps("10/1")), Duration::from_millis(100));
    }

    #[test]
    fn a_picture_of_a_nanosecond_lasts_until_the_next() {
        let (ms, nothing) = (Duration::from_millis, Some(Duration::from_nanos(1)));
        let mut rhythm = Rhythm::default();
        assert_eq!(rhythm.length(nothing, &caps("0/1")), UNKNOWN);
        for at in [0, 20, 40, 60] {
            rhythm.note(gst::ClockTime::from_mseconds(at));
        }
        for said in [nothing, None] {
            assert_eq!(rhythm.length(said, &caps("0/1")), ms(20));
            assert_eq!(rhythm.length(said, &caps("10/1")), ms(100));
        }
        assert_eq!(rhythm.length(Some(ms(70)), &caps("0/1")), ms(70));
    }

    #[test]
    fn a_few_frames_that_were_held_up_tell_nothing() {
        let mut rhythm = Rhythm::default();
        for at in [0, 100, 200, 5000, 5100, 5200, 10_000, 10_100, 10_200] {
            rhythm.note(gst::ClockTime::from_mseconds(at));
        }
        for rate in ["10/1", "0/1"] {
            assert_eq!(rhythm.interval(&caps(rate)), Duration::from_millis(100));
        }
    }
}

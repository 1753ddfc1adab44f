//! One time for every pipeline of a run, and when each frame passed which station.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;

use super::sharpener::lock;

/// Frames that can be on their way at one time.
const ON_THEIR_WAY: usize = 128;

/// The time of a session.
pub trait Clock {
    /// Time since the start; never goes back.
    fn now(&self) -> gst::ClockTime;

    /// Lets `time` pass.
    fn sleep(&self, time: Duration);
}

/// Counts from the start of a run on the clock that all its pipelines use.
#[derive(Debug, Clone)]
pub struct Timeline {
    clock: gst::Clock,
    base: gst::ClockTime,
}

impl Timeline {
    /// A timeline that starts now.
    pub fn starting_now() -> Self {
        let clock = gst::SystemClock::obtain();
        let base = clock.time();
        Self { clock, base }
    }

    /// Makes a pipeline's running time this timeline's.
    pub fn rule(&self, pipeline: &gst::Pipeline) {
        pipeline.use_clock(Some(&self.clock));
        pipeline.set_start_time(gst::ClockTime::NONE);
        pipeline.set_base_time(self.base);
    }

    /// The clock of all pipelines.
    pub fn clock(&self) -> &gst::Clock {
        &self.clock
    }

    /// `time` as the running time of a pipeline on the same clock whose base time is `base`; `None`
    /// when it was before that pipeline's start.
    pub fn on_pipeline(
        &self,
        time: gst::ClockTime,
        base: gst::ClockTime,
    ) -> Option<gst::ClockTime> {
        (self.base + time).checked_sub(base)
    }
}

impl Clock for Timeline {
    fn now(&self) -> gst::ClockTime {
        self.clock.time().saturating_sub(self.base)
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// When one frame passed each station.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    /// The frame's timestamp, by which it is found again.
    pub pts: gst::ClockTime,
    /// Captured (a camera's own stamp) or decoded (a file's frame).
    pub captured: gst::ClockTime,
    /// The student began.
    pub begun: Option<gst::ClockTime>,
    /// The student was done.
    pub done: Option<gst::ClockTime>,
}

impl Mark {
    /// A frame that was made at `pts` and is not for the student.
    pub fn at(pts: gst::ClockTime) -> Self {
        Self {
            pts,
            captured: pts,
            begun: None,
            done: None,
        }
    }
}

/// The marks of the frames on their way.
#[derive(Debug, Default)]
pub struct Marks {
    ring: Mutex<VecDeque<Mark>>,
}

impl Marks {
    /// Notes a captured frame.
    pub fn captured(&self, pts: gst::ClockTime, captured: gst::ClockTime) {
        let mut ring = lock(&self.ring);
        if ring.len() == ON_THEIR_WAY {
            ring.pop_front();
        }
        ring.push_back(Mark {
            captured,
            ..Mark::at(pts)
        });
    }

    /// Changes the mark of the frame with timestamp `pts`, if it is still known.
    pub fn change(&self, pts: gst::ClockTime, change: impl FnOnce(&mut Mark)) {
        if let Some(mark) = lock(&self.ring).iter_mut().rev().find(|m| m.pts == pts) {
            change(mark);
        }
    }

    /// Takes the mark of the frame with timestamp `pts` and forgets all older ones.
    pub fn take(&self, pts: gst::ClockTime) -> Option<Mark> {
        let mut ring = lock(&self.ring);
        let index = ring.iter().position(|m| m.pts == pts)?;
        ring.drain(..=index).next_back()
    }
}

/// The time from `earlier` to `later`, zero when they are the wrong way round.
pub fn between(earlier: gst::ClockTime, later: gst::ClockTime) -> Duration {
    later.saturating_sub(earlier).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_a_mark_forgets_the_dropped_frames_before_it() {
        let marks = Marks::default();
        let at = gst::ClockTime::from_mseconds;
        for ms in 0..200 {
            marks.captured(at(ms), at(ms + 1));
        }
        marks.change(at(190), |m| m.begun = Some(at(195)));
        assert!(marks.take(at(3)).is_none());
        assert_eq!(marks.take(at(190)).unwrap().begun, Some(at(195)));
        assert!(marks.take(at(189)).is_none());
        assert_eq!(marks.take(at(191)).unwrap().captured, at(192));
    }
}

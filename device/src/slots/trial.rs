//! When a slot on trial has proved itself, and when it is given up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A longer time without a frame counts as this: the camera may have been away.
const LONGEST_GAP: Duration = Duration::from_secs(1);

/// What a slot on trial has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Sharpened frames, each no older than `age` when it was delivered.
    pub frames: u64,
    /// The bound of a frame's age, from capture until every output has it.
    pub age: Duration,
    /// Time for it, while frames flow.
    pub within: Duration,
}

/// Counts frames as they are captured and delivered, for whoever judges them.
#[derive(Debug)]
pub struct Tally {
    age: Duration,
    captured: AtomicU64,
    sharpened: AtomicU64,
    delivered: AtomicU64,
    in_time: AtomicU64,
}

impl Tally {
    /// Counts frames no older than `age` as in time.
    pub fn new(age: Duration) -> Self {
        Self {
            age,
            captured: AtomicU64::new(0),
            sharpened: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            in_time: AtomicU64::new(0),
        }
    }

    /// Notes that the camera has given `frames` so far, wherever they are by now.
    pub fn captured(&self, frames: u64) {
        self.captured.store(frames, Ordering::Relaxed);
    }

    /// Whether no camera has given a frame.
    pub fn is_empty(&self) -> bool {
        self.captured.load(Ordering::Relaxed) == 0
    }

    /// Counts a frame that every output has; `sharpened` is how many the student has restored so
    /// far. Where that stands still, the frame passed as it came.
    pub fn note(&self, sharpened: u64, age: Duration) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
        let before = self.sharpened.swap(sharpened, Ordering::Relaxed);
        if sharpened > before && age <= self.age {
            self.in_time.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What is known of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not enough yet.
    Open,
    /// The run did not crash and had nothing to show: no camera gave a frame all the time, or frames flow left as they come
    /// by a person's dials. The starts so far say nothing of the slot either.
    Idle,
    /// The slot proved itself.
    Good,
    /// The slot had its time.
    Bad(String),
}

/// Watches a run on trial. Time without frames does not count: a camera that is not there says nothing of an update, nor do
/// frames that a person wants as they come. Frames that are captured and go nowhere do: a student that hangs is no good.
#[derive(Debug, Clone)]
pub struct Probation {
    rule: Rule,
    /// When the run was looked at first.
    began: Option<Duration>,
    /// Frames captured so far, and when the newest was seen.
    captured: u64,
    captured_at: Duration,
    /// Time in which frames flowed.
    flowed: Duration,
    /// Frames not sharpened in time that a person wanted so.
    excused: u64,
}

impl Probation {
    /// A trial whose time begins with the first frame.
    pub fn new(rule: Rule) -> Self {
        Self {
            rule,
            began: None,
            captured: 0,
            captured_at: Duration::ZERO,
            flowed: Duration::ZERO,
            excused: 0,
        }
    }

    /// Judges what a run has delivered at `now`, a time that only goes forward; `untouched` says whether a person's dials
    /// leave frames as they come, and the time for it begins anew after that.
    pub fn judge(&mut self, now: Duration, tally: &Tally, untouched: bool) -> Verdict {
        let captured = tally.captured.load(Ordering::Relaxed);
        let in_time = tally.in_time.load(Ordering::Relaxed);
        if in_time >= self.rule.frames {
            return Verdict::Good;
        }
        let began = *self.began.get_or_insert(now);
        if captured > self.captured {
            let gap = now.saturating_sub(self.captured_at);
            self.flowed += gap.min(LONGEST_GAP);
            (self.captured, self.captured_at) = (captured, now);
        }
        let missed = captured.saturating_sub(in_time);
        let idle = if captured == 0 {
            now.saturating_sub(began) >= self.rule.within
        } else if untouched {
            (self.flowed, self.excused) = (Duration::ZERO, missed);
            // As many as a proof takes: what crashes at its first frames is no good slot, whatever the dials.
            tally.delivered.load(Ordering::Relaxed) >= self.rule.frames
        } else {
            false
        };
        if idle {
            return Verdict::Idle;
        }
        // As many must have failed as a proof takes: a slow camera needs its time for so many, and some may be late.
        if self.flowed < self.rule.within || missed.saturating_sub(self.excused) < self.rule.frames
        {
            return Verdict::Open;
        }
        Verdict::Bad(format!(
            "{in_time} of {captured} frames were sharpened within {} ms in {} s, {} are needed",
            self.rule.age.as_millis(),
            self.rule.within.as_secs(),
            self.rule.frames
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule {
        frames: 30,
        age: Duration::from_millis(200),
        within: Duration::from_secs(60),
    };

    /// A run on trial, looked at in each of its seconds.
    struct Run {
        probation: Probation,
        tally: Tally,
        second: u64,
        captured: u64,
        sharpened: u64,
        untouched: bool,
    }

    impl Run {
        fn new() -> Self {
            Self {
                probation: Probation::new(RULE),
                tally: Tally::new(RULE.age),
                second: 1000,
                captured: 0,
                sharpened: 0,
                untouched: false,
            }
        }

        /// The verdict after so many seconds with so many frames each, delivered after `millis` or never.
        fn after(&mut self, seconds: u64, frames: u64, millis: Option<u64>) -> Verdict {
            let mut verdict = Verdict::Open;
            for _ in 0..seconds {
                self.captured += frames;
                self.tally.captured(self.captured);
                for _ in 0..millis.map_or(0, |_| frames) {
                    self.sharpened += u64::from(!self.untouched);
                    let age = Duration::from_millis(millis.unwrap_or_default());
                    self.tally.note(self.sharpened, age);
                }
                self.second += 1;
                let now = Duration::from_secs(self.second);
                verdict = self.probation.judge(now, &self.tally, self.untouched);
            }
            verdict
        }
    }

    #[test]
    fn frames_in_time_prove_a_slot_and_late_ones_do_not() {
        let mut run = Run::new();
        assert_eq!(run.after(58, 30, Some(201)), Verdict::Open);
        assert_eq!(run.after(1, 29, Some(200)), Verdict::Open);
        let Verdict::Bad(reason) = run.after(1, 1, Some(201)) else {
            panic!("a slot without frames in time went on");
        };
        assert!(reason.starts_with("29 of 1770 frames"), "{reason}");
        // Left as they come, they give it all its time again.
        run.untouched = true;
        assert_eq!(run.after(300, 30, Some(10)), Verdict::Idle);
        run.untouched = false;
        assert_eq!(run.after(59, 30, Some(201)), Verdict::Open);
        assert!(matches!(run.after(1, 30, Some(201)), Verdict::Bad(_)));
        assert_eq!(run.after(1, 1, Some(10)), Verdict::Good);
    }

    #[test]
    fn a_slow_camera_has_its_time() {
        let mut run = Run::new();
        let slow = Rule { frames: 90, ..RULE };
        run.probation = Probation::new(slow);
        assert_eq!(run.after(3, 1, Some(500)), Verdict::Open);
        assert_eq!(run.after(89, 1, Some(20)), Verdict::Open);
        assert_eq!(run.after(1, 1, Some(20)), Verdict::Good);
        let mut run = Run::new();
        run.probation = Probation::new(slow);
        assert_eq!(run.after(89, 1, Some(500)), Verdict::Open);
        assert!(matches!(run.after(1, 1, Some(500)), Verdict::Bad(_)));
    }

    #[test]
    fn time_without_a_camera_says_nothing() {
        let mut run = Run::new();
        assert_eq!(run.after(60, 0, None), Verdict::Open);
        assert_eq!(run.after(1, 0, None), Verdict::Idle);
        // A few late frames, as while the board is still busy with its start.
        assert_eq!(run.after(3, 30, Some(500)), Verdict::Open);
        assert_eq!(run.after(3600, 0, None), Verdict::Open);
        assert_eq!(run.after(1, 30, Some(500)), Verdict::Open);
        assert_eq!(run.after(1, 30, Some(20)), Verdict::Good);
    }

    #[test]
    fn a_student_that_hangs_is_given_up() {
        let mut run = Run::new();
        assert_eq!(run.after(59, 30, None), Verdict::Open);
        let verdict = run.after(1, 30, None);
        assert!(matches!(verdict, Verdict::Bad(_)), "{verdict:?}");
    }
}

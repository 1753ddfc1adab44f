//! When a slot on trial has proved itself, and when it is given up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a slot on trial has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Sharpened frames, each no older than `age` when it was delivered.
    pub frames: u64,
    /// The bound of a frame's age, from capture until every output has it.
    pub age: Duration,
    /// Time for it, from the first frame.
    pub within: Duration,
}

/// Counts frames as they are delivered, for whoever judges them.
#[derive(Debug)]
pub struct Tally {
    age: Duration,
    sharpened: AtomicU64,
    frames: AtomicU64,
    in_time: AtomicU64,
}

impl Tally {
    /// Counts frames no older than `age` as in time.
    pub fn new(age: Duration) -> Self {
        Self {
            age,
            sharpened: AtomicU64::new(0),
            frames: AtomicU64::new(0),
            in_time: AtomicU64::new(0),
        }
    }

    /// Counts a frame that every output has; `sharpened` is how many the student has restored so
    /// far. Where that stands still, the frame passed as it came.
    pub fn note(&self, sharpened: u64, age: Duration) {
        self.frames.fetch_add(1, Ordering::Relaxed);
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
    /// Frames flow, left as they come by a person's dials: neither they nor the starts so far say anything of the slot.
    Untouched,
    /// The slot proved itself.
    Good,
    /// The slot had its time.
    Bad(String),
}

/// Watches a run on trial. Without any frame it waits: a camera that is not there says nothing of
/// an update, nor do frames that a person wants as they come.
#[derive(Debug, Clone)]
pub struct Probation {
    rule: Rule,
    first: Option<Duration>,
}

impl Probation {
    /// A trial that begins with the first frame.
    pub fn new(rule: Rule) -> Self {
        Self { rule, first: None }
    }

    /// Judges what a run has delivered at `now`, a time that only goes forward; `untouched` says whether a person's dials
    /// leave frames as they come, and the time for it begins anew after that.
    pub fn judge(&mut self, now: Duration, tally: &Tally, untouched: bool) -> Verdict {
        let frames = tally.frames.load(Ordering::Relaxed);
        let in_time = tally.in_time.load(Ordering::Relaxed);
        if in_time >= self.rule.frames {
            return Verdict::Good;
        }
        if frames == 0 || untouched {
            self.first = None;
            // As many as a proof takes: what crashes at its first frames is no good slot, whatever the dials.
            return if frames >= self.rule.frames {
                Verdict::Untouched
            } else {
                Verdict::Open
            };
        }
        let first = *self.first.get_or_insert(now);
        if now.saturating_sub(first) < self.rule.within {
            return Verdict::Open;
        }
        Verdict::Bad(format!(
            "{in_time} of {frames} frames were sharpened within {} ms in {} s, {} are needed",
            self.rule.age.as_millis(),
            self.rule.within.as_secs(),
            self.rule.frames
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_in_time_prove_a_slot_and_late_ones_do_not() {
        let rule = Rule {
            frames: 30,
            age: Duration::from_millis(200),
            within: Duration::from_secs(60),
        };
        let at = Duration::from_secs;
        let tally = Tally::new(rule.age);
        let mut total = 0;
        let mut note = |frames: usize, sharpened: bool, millis: u64| {
            for _ in 0..frames {
                total += u64::from(sharpened);
                tally.note(total, Duration::from_millis(millis));
            }
        };
        let mut probation = Probation::new(rule);
        assert_eq!(probation.judge(at(1000), &tally, false), Verdict::Open);
        note(1, false, 20);
        assert_eq!(probation.judge(at(1000), &tally, true), Verdict::Open);
        assert_eq!(probation.judge(at(1001), &tally, false), Verdict::Open);
        note(1700, true, 201);
        note(29, true, 200);
        assert_eq!(probation.judge(at(1060), &tally, false), Verdict::Open);
        let Verdict::Bad(reason) = probation.judge(at(1061), &tally, false) else {
            panic!("a slot without frames in time went on");
        };
        assert!(reason.starts_with("29 of 1730 frames"), "{reason}");
        // Bypassed, it has all its time again.
        for now in [1061, 1300] {
            let verdict = probation.judge(at(now), &tally, true);
            assert_eq!(verdict, Verdict::Untouched);
        }
        assert_eq!(probation.judge(at(1301), &tally, false), Verdict::Open);
        assert_eq!(probation.judge(at(1360), &tally, false), Verdict::Open);
        let late = probation.judge(at(1361), &tally, false);
        assert!(matches!(late, Verdict::Bad(_)), "{late:?}");
        note(1, true, 10);
        assert_eq!(probation.judge(at(1361), &tally, true), Verdict::Good);
    }
}

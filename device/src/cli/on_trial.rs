//! A run of a slot that has yet to prove itself.

use std::sync::Arc;
use std::time::Duration;

use hone_shared::config::SlotsConfig;

use crate::journal::Journal;
use crate::slots::{Begun, FolderDisk, GivenUp, Probation, Rule, Slots, Tally, Tried, Verdict};

/// Time until what the slots could not note is tried again: a full disk may have room by then.
const AGAIN: Duration = Duration::from_secs(60);

/// Watches the frames of a run and tells the slots how the trial ended.
#[derive(Debug)]
pub struct OnTrial {
    slots: Slots<FolderDisk>,
    tried: Tried,
    probation: Option<Probation>,
    /// How it ended, until the slots have noted it.
    ended: Option<Ending>,
    /// Whether this start still counts as one of the few that a trial may take.
    counts: bool,
    tally: Arc<Tally>,
    journal: Journal,
    /// What was said last of slots that note nothing, and when they are tried again.
    said: String,
    retry_at: Duration,
}

/// How a trial ended.
#[derive(Debug, Clone)]
enum Ending {
    Good,
    Bad(String),
}

impl OnTrial {
    /// The run of what `begun` found, by the rule of the configuration; `journal` hears how it ends.
    pub fn new(config: &SlotsConfig, begun: &Begun, journal: &Journal) -> Self {
        let rule = Rule {
            frames: config.trial_frames,
            age: Duration::from_millis(config.trial_age_ms),
            within: Duration::from_secs(config.trial_seconds),
        };
        Self {
            slots: Slots::new(FolderDisk::new(&config.folder)),
            tried: begun.tried(),
            probation: Some(Probation::new(rule)),
            ended: None,
            counts: true,
            tally: Arc::new(Tally::new(rule.age)),
            journal: journal.clone(),
            said: String::new(),
            retry_at: Duration::ZERO,
        }
    }

    /// What counts the frames.
    pub fn tally(&self) -> Arc<Tally> {
        self.tally.clone()
    }

    /// Judges the run at `now`, `untouched` as long as a person's dials leave frames as they come; a reason when the slot
    /// was given up and another start runs the one before.
    pub fn look(&mut self, now: Duration, untouched: bool) -> Option<String> {
        if let Some(probation) = &mut self.probation {
            match probation.judge(now, &self.tally, untouched) {
                Verdict::Open => {}
                Verdict::Idle => self.forget_start(now),
                Verdict::Good => self.end(Ending::Good),
                Verdict::Bad(reason) => self.end(Ending::Bad(reason)),
            }
        }
        self.note_end(now)
    }

    /// Ends the trial badly before the run's time begins; the reason again when another start runs the slot before.
    pub fn give_up(&mut self, reason: &str) -> Option<String> {
        self.end(Ending::Bad(reason.into()));
        self.note_end(Duration::ZERO)
    }

    /// Notes that the run ends because it was asked to: without a frame, its start does not count. What the disk refused to
    /// note of the trial has its last chance.
    pub fn stopped(&mut self) {
        if self.ended.is_some() {
            self.note_end(Duration::MAX);
            return;
        }
        if self.probation.is_some() && self.tally.is_empty() {
            // Should the disk refuse, it counts: that alone ends no trial.
            let _ = self.slots.forget_starts(&self.tried);
        }
    }

    fn end(&mut self, ending: Ending) {
        self.probation = None;
        self.retry_at = Duration::ZERO;
        self.ended = Some(ending);
    }

    fn forget_start(&mut self, now: Duration) {
        if !self.counts || now < self.retry_at {
            return;
        }
        match self.slots.forget_starts(&self.tried) {
            Ok(()) => self.counts = false,
            Err(error) => self.put_off(now, format!("this start counts, as {error}")),
        }
    }

    /// Has the slots note how the trial ended.
    fn note_end(&mut self, now: Duration) -> Option<String> {
        let ending = self.ended.take_if(|_| now >= self.retry_at)?;
        let slot = self.tried.slot();
        let noted = match &ending {
            Ending::Good => self.slots.confirm(&self.tried).map(|confirmed| {
                if confirmed {
                    self.journal.say(format_args!("slot {slot} proved itself"));
                }
                None
            }),
            Ending::Bad(reason) => self.slots.fail(&self.tried, reason).map(|given_up| {
                let how = match given_up {
                    GivenUp::CameBack => {
                        return Some(format!(
                            "slot {slot} was given up, the one before runs at the next start: {reason}"
                        ));
                    }
                    GivenUp::GoesOn => "is the only one, but",
                    GivenUp::Nothing => "is not on trial with what runs here, and",
                };
                self.journal
                    .say(format_args!("warning: slot {slot} {how} {reason}"));
                None
            }),
        };
        noted.unwrap_or_else(|error| {
            let said = match ending {
                Ending::Good => format!("slot {slot} proved itself, but {error}"),
                Ending::Bad(_) => format!("slot {slot} cannot be given up: {error}"),
            };
            self.ended = Some(ending);
            self.put_off(now, said);
            None
        })
    }

    /// Says once why the slots noted nothing, and sets when they are tried again.
    fn put_off(&mut self, now: Duration, why: String) {
        self.retry_at = now.saturating_add(AGAIN);
        if self.said != why {
            self.journal
                .say(format_args!("warning: {why}; trying again every minute"));
            self.said = why;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Update;
    use crate::slots::tests::{bundle_signed, policy_of};

    /// Empty slots whose trials take so many frames.
    fn empty(trial_frames: u64) -> (tempfile::TempDir, SlotsConfig, Slots<FolderDisk>) {
        let folder = tempfile::tempdir().unwrap();
        let config = SlotsConfig {
            folder: folder.path().to_str().unwrap().into(),
            trial_frames,
            ..SlotsConfig::default()
        };
        let slots = Slots::new(FolderDisk::new(&config.folder));
        (folder, config, slots)
    }

    fn install(slots: &Slots<FolderDisk>, release: &str) {
        let bundle = bundle_signed(release, 1);
        let update = Update {
            bundle: &bundle,
            program: None,
        };
        slots.install(update, &policy_of(&[1]), false).unwrap();
    }

    #[test]
    fn a_trial_that_is_left_open_stays_so_over_many_starts() {
        let (_folder, config, slots) = empty(2);
        let policy = policy_of(&[1]);
        for release in ["1.0.0", "2.0.0"] {
            install(&slots, release);
            let begun = slots.begin(&policy).unwrap().unwrap();
            if release == "1.0.0" {
                assert!(slots.confirm(&begun.tried()).unwrap());
            }
        }
        let starts = || slots.state().unwrap().trial.map(|trial| trial.starts);
        for _ in 0..4 {
            let begun = slots.begin(&policy).unwrap().unwrap();
            assert!(begun.on_trial);
            OnTrial::new(&config, &begun, &Journal::default()).stopped();
        }
        for frames in [2, 2, 2, 1, 1, 1] {
            let begun = slots.begin(&policy).unwrap().unwrap();
            assert!(begun.on_trial);
            let mut run = OnTrial::new(&config, &begun, &Journal::default());
            run.tally().captured(frames);
            for _ in 0..frames {
                run.tally().note(0, Duration::ZERO);
            }
            run.stopped();
            let before = starts();
            assert_eq!(run.look(Duration::from_secs(1), true), None);
            assert_eq!(starts(), if frames == 2 { Some(0) } else { before });
        }
        // What crashes before frames flow is given up all the same.
        assert!(!slots.begin(&policy).unwrap().unwrap().on_trial);
    }

    #[test]
    fn what_the_disk_does_not_take_is_noted_later() {
        let (folder, config, slots) = empty(1);
        let policy = policy_of(&[1]);
        let full = folder.path().join("state.json.part");
        let mut now = Duration::ZERO;
        for (release, good) in [("1.0.0", true), ("2.0.0", false)] {
            install(&slots, release);
            let begun = slots.begin(&policy).unwrap().unwrap();
            let journal = Journal::default();
            let mut run = OnTrial::new(&config, &begun, &journal);
            std::fs::create_dir(&full).unwrap();
            let given_up = match good {
                true => {
                    run.tally().note(1, Duration::ZERO);
                    run.look(now, false)
                }
                false => run.give_up("no student"),
            };
            assert_eq!(given_up, None);
            for _ in 0..2 {
                now += AGAIN;
                assert_eq!(run.look(now, false), None);
            }
            assert_eq!(journal.lines(0).len(), 1, "{:?}", journal.lines(0));
            std::fs::remove_dir(&full).unwrap();
            assert_eq!(run.look(now + AGAIN / 2, false), None);
            assert!(slots.state().unwrap().trial.is_some());
            assert_eq!(run.look(now + AGAIN, false).is_some(), !good);
            assert_eq!(slots.state().unwrap().trial, None);
        }
        assert!(slots.state().unwrap().last.contains("no student"));
    }

    #[test]
    fn only_what_ran_proves_itself() {
        let (_folder, config, slots) = empty(1);
        let policy = policy_of(&[1]);
        let begin = || {
            let begun = slots.begin(&policy).unwrap().unwrap();
            assert!(begun.on_trial);
            let journal = Journal::default();
            (OnTrial::new(&config, &begun, &journal), journal)
        };
        let proves = |(mut run, journal): (OnTrial, Journal)| {
            run.tally().note(1, Duration::ZERO);
            assert_eq!(run.look(Duration::from_secs(1), false), None);
            journal.newest()
        };
        install(&slots, "1.0.0");
        let said = proves(begin());
        assert_eq!(said.as_deref(), Some("slot a proved itself"));
        install(&slots, "2.0.0");
        let old = begin();
        install(&slots, "3.0.0");
        assert_eq!(proves(old), None);
        assert!(slots.state().unwrap().trial.is_some());
        let said = proves(begin());
        assert_eq!(said.as_deref(), Some("slot b proved itself"));
    }
}

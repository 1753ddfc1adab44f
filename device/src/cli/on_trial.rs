//! A run of a slot that has yet to prove itself.

use std::sync::Arc;
use std::time::Duration;

use hone_shared::config::SlotsConfig;

use crate::journal::Journal;
use crate::slots::{Begun, FolderDisk, GivenUp, Probation, Rule, Slots, Tally, Tried, Verdict};

/// Watches the frames of a run and tells the slots how the trial ended.
#[derive(Debug)]
pub struct OnTrial {
    slots: Slots<FolderDisk>,
    tried: Tried,
    probation: Option<Probation>,
    /// Whether this start still counts as one of the few that a trial may take.
    counts: bool,
    tally: Arc<Tally>,
    journal: Journal,
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
            counts: true,
            tally: Arc::new(Tally::new(rule.age)),
            journal: journal.clone(),
        }
    }

    /// What counts the frames.
    pub fn tally(&self) -> Arc<Tally> {
        self.tally.clone()
    }

    /// Judges the run at `now`, `untouched` as long as a person's dials leave frames as they come; a reason when the slot
    /// was given up and another start runs the one before.
    pub fn look(&mut self, now: Duration, untouched: bool) -> Option<String> {
        let verdict = self.probation.as_mut()?.judge(now, &self.tally, untouched);
        match verdict {
            Verdict::Open => None,
            Verdict::Untouched => {
                if std::mem::take(&mut self.counts)
                    && let Err(error) = self.slots.forget_starts(&self.tried)
                {
                    self.journal
                        .say(format_args!("warning: this start counts, as {error}"));
                }
                None
            }
            Verdict::Good => {
                self.probation = None;
                match self.slots.confirm(&self.tried) {
                    Ok(true) => self
                        .journal
                        .say(format_args!("slot {} proved itself", self.tried.slot())),
                    Ok(false) => {}
                    Err(error) => self
                        .journal
                        .say(format_args!("warning: it proved itself, but {error}")),
                }
                None
            }
            Verdict::Bad(reason) => self.give_up(&reason),
        }
    }

    /// Ends the trial badly; the reason again when another start runs the slot before.
    pub fn give_up(&mut self, reason: &str) -> Option<String> {
        self.probation = None;
        let slot = self.tried.slot();
        let how = match self.slots.fail(&self.tried, reason) {
            Ok(GivenUp::CameBack) => {
                return Some(format!(
                    "slot {slot} was given up, the one before runs at the next start: {reason}"
                ));
            }
            Ok(GivenUp::GoesOn) => format!("is the only one, but {reason}"),
            Ok(GivenUp::Nothing) => format!("is not on trial with what runs here, and {reason}"),
            Err(error) => format!("cannot be given up: {error}"),
        };
        self.journal.say(format_args!("warning: slot {slot} {how}"));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Update;
    use crate::slots::tests::{bundle_signed, policy_of};

    #[test]
    fn a_trial_that_a_person_leaves_open_stays_so_over_many_starts() {
        let folder = tempfile::tempdir().unwrap();
        let config = SlotsConfig {
            folder: folder.path().to_str().unwrap().into(),
            trial_frames: 2,
            ..SlotsConfig::default()
        };
        let slots = Slots::new(FolderDisk::new(&config.folder));
        let policy = policy_of(&[1]);
        for release in ["1.0.0", "2.0.0"] {
            let bundle = bundle_signed(release, 1);
            let update = Update {
                bundle: &bundle,
                program: None,
            };
            slots.install(update, &policy, false).unwrap();
            let begun = slots.begin(&policy).unwrap().unwrap();
            if release == "1.0.0" {
                assert!(slots.confirm(&begun.tried()).unwrap());
            }
        }
        let starts = || slots.state().unwrap().trial.map(|trial| trial.starts);
        for frames in [2, 2, 2, 1, 1, 1] {
            let begun = slots.begin(&policy).unwrap().unwrap();
            assert!(begun.on_trial);
            let mut run = OnTrial::new(&config, &begun, &Journal::default());
            for _ in 0..frames {
                run.tally().note(0, Duration::ZERO);
            }
            let before = starts();
            assert_eq!(run.look(Duration::from_secs(1), true), None);
            assert_eq!(starts(), if frames == 2 { Some(0) } else { before });
        }
        // What crashes before frames flow is given up all the same.
        assert!(!slots.begin(&policy).unwrap().unwrap().on_trial);
    }

    #[test]
    fn only_what_ran_proves_itself() {
        let folder = tempfile::tempdir().unwrap();
        let config = SlotsConfig {
            folder: folder.path().to_str().unwrap().into(),
            trial_frames: 1,
            ..SlotsConfig::default()
        };
        let slots = Slots::new(FolderDisk::new(&config.folder));
        let policy = policy_of(&[1]);
        let install = |release: &str| {
            let bundle = bundle_signed(release, 1);
            let update = Update {
                bundle: &bundle,
                program: None,
            };
            slots.install(update, &policy, false).unwrap();
        };
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
        install("1.0.0");
        let said = proves(begin());
        assert_eq!(said.as_deref(), Some("slot a proved itself"));
        install("2.0.0");
        let old = begin();
        install("3.0.0");
        assert_eq!(proves(old), None);
        assert!(slots.state().unwrap().trial.is_some());
        let said = proves(begin());
        assert_eq!(said.as_deref(), Some("slot b proved itself"));
    }
}

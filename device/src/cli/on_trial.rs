//! A run of a slot that has yet to prove itself.

use std::sync::Arc;
use std::time::Duration;

use hone_shared::config::SlotsConfig;

use crate::journal::Journal;
use crate::slots::{FolderDisk, Probation, Rule, Slot, Slots, Tally, Verdict};

/// Watches the frames of a run and tells the slots how the trial ended.
#[derive(Debug)]
pub struct OnTrial {
    slots: Slots<FolderDisk>,
    slot: Slot,
    probation: Option<Probation>,
    tally: Arc<Tally>,
    journal: Journal,
}

impl OnTrial {
    /// A run of `slot` by the rule of the configuration; `journal` hears how it ends.
    pub fn new(config: &SlotsConfig, slot: Slot, journal: &Journal) -> Self {
        let rule = Rule {
            frames: config.trial_frames,
            age: Duration::from_millis(config.trial_age_ms),
            within: Duration::from_secs(config.trial_seconds),
        };
        Self {
            slots: Slots::new(FolderDisk::new(&config.folder)),
            slot,
            probation: Some(Probation::new(rule)),
            tally: Arc::new(Tally::new(rule.age)),
            journal: journal.clone(),
        }
    }

    /// What counts the frames.
    pub fn tally(&self) -> Arc<Tally> {
        self.tally.clone()
    }

    /// Judges the run at `now`; a reason when the slot was given up and another start runs the one
    /// before.
    pub fn look(&mut self, now: Duration) -> Option<String> {
        let verdict = self.probation.as_mut()?.judge(now, &self.tally);
        match verdict {
            Verdict::Open => None,
            Verdict::Good => {
                self.probation = None;
                match self.slots.confirm(self.slot) {
                    Ok(()) => self
                        .journal
                        .say(format_args!("slot {} proved itself", self.slot)),
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
        match self.slots.give_up(self.slot, reason) {
            Ok(true) => Some(format!(
                "slot {} was given up, the one before runs at the next start: {reason}",
                self.slot
            )),
            Ok(false) => {
                self.journal.say(format_args!(
                    "warning: slot {} is the only one, but {reason}",
                    self.slot
                ));
                None
            }
            Err(error) => {
                self.journal.say(format_args!(
                    "warning: slot {} cannot be given up: {error}",
                    self.slot
                ));
                None
            }
        }
    }
}

//! How a slot's time ends: it proved itself, it was given up, or a person goes back.

use hone_shared::bundle::{Policy, hex};

use super::{Begun, Disk, Slot, Slots, SlotsError, State};

/// What a run tries: a slot, and what lay in it when the run began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    slot: Slot,
    bundle: String,
    program: Option<String>,
}

impl Begun {
    /// What this start tries.
    pub fn tried(&self) -> Tried {
        Tried {
            slot: self.slot,
            bundle: hex(self.bundle.digest()),
            program: self.program_sha256.clone(),
        }
    }
}

impl Tried {
    /// The slot.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// An update may have come into the slot since: this run says nothing of that one.
    fn is_active(&self, state: &State) -> bool {
        let same = state.running().is_some_and(|installed| {
            let program = installed.program.as_ref().map(|p| &p.sha256);
            installed.sha256 == self.bundle && program == self.program.as_ref()
        });
        state.active == Some(self.slot) && same
    }

    fn is_on_trial(&self, state: &State) -> bool {
        state.trial.is_some() && self.is_active(state)
    }
}

/// What came of a trial that ended badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// Nothing: it is over already, or it is another update's by now.
    Nothing,
    /// The slot is the only one and goes on.
    GoesOn,
    /// The other one comes back with the next start.
    CameBack,
}

impl<D: Disk> Slots<D> {
    /// Ends a trial well; false, and nothing changed, when it is over already or another update's by now.
    ///
    /// # Errors
    /// [`SlotsError::Disk`].
    pub fn confirm(&self, tried: &Tried) -> Result<bool, SlotsError> {
        let _lock = self.lock()?;
        let mut state = self.state()?;
        if !tried.is_on_trial(&state) {
            return Ok(false);
        }
        state.trial = None;
        state.last = format!("slot {} proved itself", tried.slot);
        self.save(&state)?;
        Ok(true)
    }

    /// Ends a trial badly.
    ///
    /// # Errors
    /// [`SlotsError::Disk`].
    pub fn fail(&self, tried: &Tried, reason: &str) -> Result<GivenUp, SlotsError> {
        let _lock = self.lock()?;
        let mut state = self.state()?;
        if !tried.is_on_trial(&state) {
            return Ok(GivenUp::Nothing);
        }
        let came_back = leave(&mut state, tried.slot, reason);
        self.save(&state)?;
        Ok(match came_back {
            true => GivenUp::CameBack,
            false => GivenUp::GoesOn,
        })
    }

    /// Counts the starts of a trial anew, where they say nothing of the slot.
    ///
    /// # Errors
    /// [`SlotsError::Disk`].
    pub fn forget_starts(&self, tried: &Tried) -> Result<(), SlotsError> {
        let _lock = self.lock()?;
        let mut state = self.state()?;
        if !tried.is_on_trial(&state) {
            return Ok(());
        }
        if let Some(trial) = &mut state.trial {
            trial.starts = 0;
        }
        self.save(&state)
    }

    /// Gives the active slot up, on trial or not, because its program does not start; true when the
    /// other one comes back with the next start. Nothing changes when another update has come into it.
    ///
    /// # Errors
    /// [`SlotsError::Disk`].
    pub fn give_up(&self, tried: &Tried, reason: &str) -> Result<bool, SlotsError> {
        let _lock = self.lock()?;
        let mut state = self.state()?;
        if !tried.is_active(&state) {
            return Ok(false);
        }
        let came_back = leave(&mut state, tried.slot, reason);
        if came_back && let Some(left) = state.entry(tried.slot) {
            // Two that do not start must not take turns for ever.
            left.failed = true;
        }
        self.save(&state)?;
        Ok(came_back)
    }

    /// Goes back to the other slot, as a person asked, when it is whole and `policy` trusts it.
    ///
    /// # Errors
    /// [`SlotsError::NoSpare`], [`SlotsError::Unfit`], or [`SlotsError::Disk`].
    pub fn roll_back(&self, policy: &Policy) -> Result<State, SlotsError> {
        let _lock = self.lock()?;
        let mut state = self.state()?;
        let active = state.active.ok_or(SlotsError::NoSpare("none is in use"))?;
        let other = active.other();
        match state.installed(other) {
            None => return Err(SlotsError::NoSpare("the other slot is empty")),
            Some(installed) if installed.failed => {
                return Err(SlotsError::NoSpare("the other slot was given up"));
            }
            Some(_) => {}
        }
        self.check(&state, other, policy)
            .map_err(|reason| SlotsError::Unfit {
                slot: other,
                reason: Box::new(reason),
            })?;
        if !state.fall_back("a person asked") {
            return Err(SlotsError::NoSpare("the other slot cannot be used"));
        }
        self.save(&state)?;
        Ok(state)
    }
}

/// Makes the spare slot active; without one `slot` goes on, and the reason is noted.
fn leave(state: &mut State, slot: Slot, reason: &str) -> bool {
    if state.fall_back(reason) {
        return true;
    }
    state.last = format!("slot {slot} is the only one, but {reason}");
    if let Some(trial) = &mut state.trial {
        trial.bad = true;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::Update;
    use super::super::tests::{board, bundle_signed, install, policy_of, runs, trying};
    use super::super::twin::MemoryDisk;
    use super::*;

    #[test]
    fn a_run_says_nothing_of_an_update_that_came_meanwhile() {
        let slots = board(&["1.0.0", "2.0.0"], true);
        let old = trying(&slots);
        let tries = |slots: &Slots<MemoryDisk>, name: &str| {
            let before = slots.state().unwrap();
            assert_eq!(before.active, Some(old.slot()), "{name}");
            assert!(before.trial.is_some(), "{name}");
            assert!(!slots.confirm(&old).unwrap(), "{name}");
            let failed = slots.fail(&old, "late").unwrap();
            assert_eq!(failed, GivenUp::Nothing, "{name}");
            assert!(!slots.give_up(&old, "no such file").unwrap(), "{name}");
            assert_eq!(slots.state().unwrap(), before, "{name}");
        };
        // The same bundle with another program is another update.
        let bundle = bundle_signed("2.0.0", 1);
        let update = Update {
            bundle: &bundle,
            program: Some((b"another program", "2.0.0")),
        };
        slots.install(update, &policy_of(&[1]), false).unwrap();
        tries(&slots, "another program");
        install(&slots, "3.0.0").unwrap();
        tries(&slots, "another bundle");
        let new = trying(&slots);
        assert!(slots.confirm(&new).unwrap());
        assert!(!slots.confirm(&new).unwrap());
        assert_eq!(slots.fail(&new, "late").unwrap(), GivenUp::Nothing);
        assert_eq!(runs(&slots).as_deref(), Some("3.0.0"));
    }

    #[test]
    fn the_only_slot_is_judged_anew_with_each_start() {
        let slots = board(&["1.0.0"], true);
        let begun = slots.begin(&policy_of(&[1])).unwrap().unwrap();
        let failed = slots.fail(&begun.tried(), "late").unwrap();
        assert_eq!(failed, GivenUp::GoesOn);
        let state = slots.state().unwrap();
        assert!(state.trial.unwrap().bad);
        assert_eq!(state.last, "slot a is the only one, but late");
        slots.begin(&policy_of(&[1])).unwrap();
        assert!(!slots.state().unwrap().trial.unwrap().bad);
        assert!(slots.confirm(&begun.tried()).unwrap());
    }

    #[test]
    fn a_proven_slot_that_lost_its_key_can_be_gone_back_to_once_the_key_is_back() {
        let slots = board(&["1.0.0"], false);
        let (both, first) = (policy_of(&[1, 2]), policy_of(&[1]));
        let bundle = bundle_signed("2.0.0", 2);
        let update = Update {
            bundle: &bundle,
            program: None,
        };
        slots.install(update, &both, false).unwrap();
        let begun = slots.begin(&both).unwrap().unwrap();
        assert!(slots.confirm(&begun.tried()).unwrap());
        assert_eq!(slots.begin(&first).unwrap().unwrap().slot, Slot::A);
        let before = slots.state().unwrap();
        let error = slots.roll_back(&first).unwrap_err().to_string();
        assert!(
            error.contains("slot b cannot be gone back to") && error.contains("not trusted"),
            "{error}"
        );
        assert_eq!(slots.state().unwrap(), before);
        let state = slots.roll_back(&both).unwrap();
        assert_eq!((state.active, state.trial), (Some(Slot::B), None));
    }

    #[test]
    fn nobody_goes_back_to_a_damaged_slot_or_to_one_that_failed() {
        let slots = board(&["1.0.0", "2.0.0"], false);
        slots.disk.damage("a/honed");
        let error = slots.roll_back(&policy_of(&[1])).unwrap_err().to_string();
        assert!(
            error.contains("slot a") && error.contains("damaged"),
            "{error}"
        );
        assert_eq!(slots.state().unwrap().active, Some(Slot::B));
        // On trial a signer who is not trusted counts as failing it.
        let slots = board(&["1.0.0"], false);
        let bundle = bundle_signed("2.0.0", 2);
        let update = Update {
            bundle: &bundle,
            program: None,
        };
        slots.install(update, &policy_of(&[1, 2]), false).unwrap();
        slots.begin(&policy_of(&[1])).unwrap();
        let error = slots.roll_back(&policy_of(&[1, 2])).unwrap_err();
        assert!(matches!(error, SlotsError::NoSpare(_)), "{error}");
    }

    #[test]
    fn two_programs_that_do_not_start_do_not_take_turns() {
        let slots = board(&["1.0.0", "2.0.0"], false);
        assert!(slots.give_up(&trying(&slots), "no such file").unwrap());
        assert!(!slots.give_up(&trying(&slots), "no such file").unwrap());
        assert_eq!(slots.state().unwrap().active, Some(Slot::A));
    }

    #[test]
    fn a_person_can_go_back_and_forth() {
        let slots = board(&["1.0.0", "2.0.0"], false);
        for release in ["1.0.0", "2.0.0", "1.0.0"] {
            slots.roll_back(&policy_of(&[1])).unwrap();
            assert_eq!(runs(&slots).as_deref(), Some(release));
        }
        let error = board(&["1.0.0"], false)
            .roll_back(&policy_of(&[1]))
            .unwrap_err();
        assert!(error.to_string().contains("the other slot is empty"));
        assert!(board(&[], false).roll_back(&policy_of(&[1])).is_err());
    }
}

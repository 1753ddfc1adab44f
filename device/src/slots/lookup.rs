//! Finding the slot to run, and checking that its files are what was written.

use std::io;

use hone_shared::bundle::{self, Bundle, Policy, hex};
use sha2::{Digest, Sha256};

use super::{Disk, MOST_STARTS, Slot, Slots, SlotsError, State, describe, failed};

/// Set by `honed` for the program of a slot that it turns into: the slot's name.
pub const SLOT_VARIABLE: &str = "HONED_SLOT";

/// The slot that a start found.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    /// Which.
    pub slot: Slot,
    /// Its bundle, checked.
    pub bundle: Bundle,
    /// Whether it has yet to prove itself.
    pub on_trial: bool,
    /// SHA-256 of the program that is to run it, or does, hexadecimal; none where the board's own does.
    pub program_sha256: Option<String>,
    /// Why the start could not be counted, or which slot was given up.
    pub notice: Option<String>,
}

impl<D: Disk> Slots<D> {
    /// The slot to run now. A trial's start is counted, one start too many or a damaged slot ends it.
    /// `None` when nothing was ever installed.
    ///
    /// # Errors
    /// [`SlotsError`] when the only slot is damaged or not trusted.
    pub fn begin(&self, policy: &Policy) -> Result<Option<Begun>, SlotsError> {
        // A look makes nothing, not even what is locked.
        if self.state()?.active.is_none() {
            return Ok(None);
        }
        let lock = self.lock();
        let mut state = self.state()?;
        let before = state.clone();
        if state
            .trial
            .as_ref()
            .is_some_and(|t| t.starts >= MOST_STARTS)
        {
            let reason = format!("{MOST_STARTS} starts without enough sharpened frames");
            state.fall_back(&reason);
        }
        let Some(mut slot) = state.active else {
            return Ok(None);
        };
        let bundle = match self.check(&state, slot, policy) {
            Ok(bundle) => bundle,
            Err(error) => {
                let Some(spare) = state.spare() else {
                    return Err(error);
                };
                let Ok(bundle) = self.check(&state, spare, policy) else {
                    return Err(error);
                };
                state.fall_back(&error.to_string());
                slot = spare;
                bundle
            }
        };
        let mut notice = (state.active != before.active).then(|| state.last.clone());
        if let Some(trial) = &mut state.trial {
            trial.starts += 1;
            trial.bad = false;
        }
        if state != before {
            // A state that cannot be written is no reason to leave a camera dark.
            if let Err(error) = lock.and_then(|_lock| self.save(&state)) {
                notice = Some(format!("the start is not counted: {error}"));
            }
        }
        Ok(Some(self.begun(&state, slot, bundle, notice)))
    }

    /// A slot that an earlier program of this start already chose and counted; `running` is the SHA-256
    /// of the program that asks.
    ///
    /// # Errors
    /// [`SlotsError`] when the slot is damaged or not trusted.
    pub fn resume(&self, slot: Slot, running: &str, policy: &Policy) -> Result<Begun, SlotsError> {
        let state = self.state()?;
        let bundle = self.check(&state, slot, policy)?;
        let begun = self.begun(&state, slot, bundle, None);
        // An update may have come since the slot was chosen: its program does not run here.
        let same = begun.program_sha256.as_deref() == Some(running);
        Ok(Begun {
            on_trial: begun.on_trial && same,
            program_sha256: Some(running.to_owned()),
            ..begun
        })
    }

    fn begun(&self, state: &State, slot: Slot, bundle: Bundle, notice: Option<String>) -> Begun {
        let installed = state.installed(slot);
        Begun {
            slot,
            bundle,
            on_trial: state.active == Some(slot) && state.trial.is_some(),
            program_sha256: installed
                .and_then(|i| i.program.as_ref())
                .map(|p| p.sha256.clone()),
            notice,
        }
    }

    /// Reads a slot whole and compares it with what the state says.
    pub(super) fn check(
        &self,
        state: &State,
        slot: Slot,
        policy: &Policy,
    ) -> Result<Bundle, SlotsError> {
        let damaged = |what: &str| SlotsError::Damaged {
            slot,
            what: what.to_owned(),
        };
        let installed = state
            .installed(slot)
            .ok_or_else(|| damaged("it is empty"))?;
        let bytes = self.disk.read(&slot.bundle_path());
        let bytes = bytes.map_err(failed(&format!("read the bundle of slot {slot}")))?;
        let bundle = bundle::read(bytes.as_slice())?;
        bundle::verify(&bundle, policy)?;
        if hex(bundle.digest()) != installed.sha256 {
            return Err(damaged("it holds another bundle"));
        }
        self.program(state, slot)?;
        Ok(bundle)
    }

    /// A slot's program with its version, checked.
    pub(super) fn program(
        &self,
        state: &State,
        slot: Slot,
    ) -> Result<Option<(Vec<u8>, String)>, SlotsError> {
        let Some(program) = state.installed(slot).and_then(|i| i.program.as_ref()) else {
            return Ok(None);
        };
        let bytes = self.disk.read(&slot.program_path());
        let bytes = bytes.map_err(failed(&format!("read the program of slot {slot}")))?;
        if hex(&Sha256::digest(&bytes)) != program.sha256 {
            return Err(SlotsError::Damaged {
                slot,
                what: "its program is not the one installed".into(),
            });
        }
        Ok(Some((bytes, program.version.clone())))
    }

    /// A state made of what lies in the slots, for a board whose state file is lost.
    pub(super) fn found(&self) -> State {
        let mut state = State::default();
        for slot in Slot::ALL {
            let read = |path: String| -> io::Result<Vec<u8>> { self.disk.read(&path) };
            let bundle = read(slot.bundle_path()).ok();
            let bundle = bundle.and_then(|bytes| bundle::read(bytes.as_slice()).ok());
            let Some(bundle) = bundle else { continue };
            let program = read(slot.program_path()).ok();
            let program = program.map(|bytes| (bytes, "unknown".to_owned()));
            *state.entry(slot) = Some(describe(&bundle, program.as_ref()));
            state.active.get_or_insert(slot);
        }
        state.last = "the state of the slots was lost and made anew from what lies in them".into();
        state
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{board, bundle_signed, install, policy_of, program_of};
    use super::super::{FolderDisk, Update};
    use super::*;

    #[test]
    fn a_look_makes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("slots");
        let (slots, policy) = (Slots::new(FolderDisk::new(&place)), policy_of(&[1]));
        assert_eq!(slots.begin(&policy).unwrap(), None);
        assert!(slots.roll_back(&policy).is_err());
        assert!(!place.exists());
        let bundle = bundle_signed("1.0.0", 1);
        let update = Update {
            bundle: &bundle,
            program: None,
        };
        slots.install(update, &policy, false).unwrap();
        assert!(slots.begin(&policy).unwrap().is_some());
    }

    #[test]
    fn a_program_that_was_replaced_before_it_resumed_is_not_on_trial() {
        let slots = board(&["1.0.0", "2.0.0"], true);
        let policy = policy_of(&[1]);
        let (slot, old) = (Slot::B, program_of(&slots));
        assert!(slots.resume(slot, &old, &policy).unwrap().on_trial);
        install(&slots, "3.0.0").unwrap();
        let before = slots.state().unwrap();
        assert!(before.active == Some(slot) && before.trial.is_some());
        let begun = slots.resume(slot, &old, &policy).unwrap();
        assert!(!begun.on_trial);
        assert!(!slots.confirm(&begun.tried()).unwrap());
        assert_eq!(slots.state().unwrap(), before);
    }
}

//! Two slots for a bundle and its program: an update lands in the one that is not in use, is tried,
//! and the one before comes back by itself when the new one does not sharpen.
//!
//! ```text
//!  /var/lib/honed/state.json     which slot is active, and whether it is on trial
//!                 a/bundle.hone  a/honed
//!                 b/bundle.hone  b/honed
//!
//!  install:  (trial ended) -> other slot forgotten -> written, fsynced -> state renamed: on trial
//!  start:    on trial, more than 3 starts, or damaged -> the other slot
//!  run:      enough sharpened frames, young enough -> good; frames come but not so -> the other slot
//!            no frame comes, or they come as they are because a person's dials say so -> its starts are counted anew
//! ```
//!
//! The state is the only truth, and one atomic rename changes it. A slot that the state names is
//! never written: it is taken out of the state first. So whatever call a power cut follows, the
//! state names a slot that is whole.

mod disk;
mod ending;
mod lookup;
#[cfg(test)]
mod power;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod trial;
#[cfg(test)]
mod twin;

use std::io;

use hone_shared::bundle::{self, Bundle, BundleError, Policy, Release, hex};
use sha2::{Digest, Sha256};

#[cfg(feature = "camera")]
pub(crate) use disk::open_lock;
pub use disk::{Disk, FolderDisk};
pub use ending::{GivenUp, Tried};
pub use lookup::{Begun, SLOT_VARIABLE};
pub use state::{Installed, MOST_STARTS, Program, Slot, State, Trial};
pub use trial::{Probation, Rule, Tally, Verdict};

const STATE: &str = "state.json";
/// Bytes given to the disk at once.
const CHUNK: usize = 1 << 20;

/// Why slots were left as they are.
#[derive(Debug, thiserror::Error)]
pub enum SlotsError {
    /// The disk failed, or is full.
    #[error("cannot {what}: {reason}")]
    Disk {
        /// What was being done.
        what: String,
        /// The system's words.
        reason: io::Error,
    },
    /// The bundle is damaged, or of someone unknown.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle is older than the one in use.
    #[error(
        "release {new} of '{name}' is older than {old}, which runs here: say --force to go back"
    )]
    Older {
        /// The bundle's name.
        name: String,
        /// Release in use.
        old: Release,
        /// Release offered.
        new: Release,
    },
    /// There is nothing to go back to.
    #[error("there is no slot to go back to: {0}")]
    NoSpare(&'static str),
    /// The slot to go back to would not run.
    #[error("slot {slot} cannot be gone back to: {reason}")]
    Unfit {
        /// Which.
        slot: Slot,
        /// What is wrong with it.
        reason: Box<SlotsError>,
    },
    /// The file of a slot is not what was written.
    #[error("slot {slot} is damaged: {what}")]
    Damaged {
        /// Which.
        slot: Slot,
        /// What is wrong.
        what: String,
    },
}

/// What is to be installed.
#[derive(Debug, Clone, Copy)]
pub struct Update<'a> {
    /// The bundle's bytes.
    pub bundle: &'a [u8],
    /// The program's bytes, and what it says to `--version`; without it the active slot's goes along.
    pub program: Option<(&'a [u8], &'a str)>,
}

/// The slots on a disk.
#[derive(Debug, Clone)]
pub struct Slots<D> {
    disk: D,
}

impl<D: Disk> Slots<D> {
    /// The slots on `disk`; there need not be any yet.
    pub fn new(disk: D) -> Self {
        Self { disk }
    }

    /// What is in the slots. A state that cannot be read is made anew from the slots' files.
    ///
    /// # Errors
    /// [`SlotsError::Disk`] when there is a state that the system does not give.
    pub fn state(&self) -> Result<State, SlotsError> {
        match self.disk.read(STATE) {
            Ok(bytes) => Ok(State::parse(&bytes).unwrap_or_else(|| self.found())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::default()),
            Err(reason) => Err(SlotsError::Disk {
                what: "read the state of the slots".into(),
                reason,
            }),
        }
    }

    /// Puts an update into the slot that is not in use and makes it active, on trial. An update that
    /// is already there and proven changes nothing.
    ///
    /// # Errors
    /// [`SlotsError`]; what ran before runs on.
    pub fn install(
        &self,
        update: Update<'_>,
        policy: &Policy,
        force: bool,
    ) -> Result<State, SlotsError> {
        let bundle = bundle::read(update.bundle)?;
        bundle::verify(&bundle, policy)?;
        let folder = self.disk.make_folder("");
        folder.map_err(failed("make the folder of the slots"))?;
        let _lock = self.lock()?;
        let mut state = self.state()?;
        if state.trial.is_some() && state.fall_back("another update came") {
            self.save(&state)?;
        }
        let program = match (update.program, state.active) {
            (Some((bytes, version)), _) => Some((bytes.to_vec(), version.to_owned())),
            (None, Some(active)) => self.program(&state, active)?,
            (None, None) => None,
        };
        let installed = describe(&bundle, program.as_ref());
        if state.trial.is_none() && state.running() == Some(&installed) {
            // What was given up before is not what is wanted now.
            if let Some(active) = state.active
                && state.installed(active.other()).is_some_and(|i| i.failed)
            {
                *state.entry(active.other()) = None;
                state.last = format!(
                    "{} {} runs already in slot {active}",
                    installed.bundle, installed.release
                );
                self.save(&state)?;
            }
            return Ok(state);
        }
        if !force {
            refuse_older(&bundle, state.running())?;
        }
        let slot = state.active.map_or(Slot::A, Slot::other);
        if state.entry(slot).take().is_some() {
            self.save(&state)?;
        }
        let written = self.fill(slot, update.bundle, program.map(|(bytes, _)| bytes));
        if written.is_err() {
            // The disk may be full: what is of no use must not fill it. The first error is told.
            let _ = self.empty(slot);
        }
        written?;
        state.last = format!("{} {} is on trial", installed.bundle, installed.release);
        *state.entry(slot) = Some(installed);
        state.active = Some(slot);
        state.trial = Some(Trial::default());
        self.check(&state, slot, policy)?;
        self.save(&state)?;
        Ok(state)
    }

    fn lock(&self) -> Result<D::Lock, SlotsError> {
        self.disk.lock().map_err(failed("lock the slots"))
    }

    fn save(&self, state: &State) -> Result<(), SlotsError> {
        let write = || {
            self.write(STATE, &state.to_bytes()?, false)?;
            self.disk.sync_folder("")
        };
        write().map_err(failed("write the state of the slots"))
    }

    fn fill(&self, slot: Slot, bundle: &[u8], program: Option<Vec<u8>>) -> Result<(), SlotsError> {
        let write = || {
            self.disk.make_folder(slot.name())?;
            self.disk.sync_folder("")?;
            self.empty(slot)?;
            self.write(&slot.bundle_path(), bundle, false)?;
            if let Some(program) = &program {
                self.write(&slot.program_path(), program, true)?;
            }
            self.disk.sync_folder(slot.name())
        };
        write().map_err(failed(&format!("write slot {slot}")))
    }

    /// Writes a file beside its place, whole, and moves it there.
    fn write(&self, path: &str, bytes: &[u8], executable: bool) -> io::Result<()> {
        let part = format!("{path}.part");
        self.disk.create(&part, executable)?;
        for chunk in bytes.chunks(CHUNK) {
            self.disk.append(&part, chunk)?;
        }
        self.disk.sync(&part)?;
        self.disk.rename(&part, path)
    }

    fn empty(&self, slot: Slot) -> io::Result<()> {
        for path in [slot.bundle_path(), slot.program_path()] {
            self.disk.remove(&format!("{path}.part"))?;
            self.disk.remove(&path)?;
        }
        Ok(())
    }
}

fn failed(what: &str) -> impl FnOnce(io::Error) -> SlotsError {
    let what = what.to_owned();
    move |reason| SlotsError::Disk { what, reason }
}

fn describe(bundle: &Bundle, program: Option<&(Vec<u8>, String)>) -> Installed {
    let manifest = bundle.manifest();
    Installed {
        bundle: manifest.name.clone(),
        release: manifest.release.to_string(),
        sha256: hex(bundle.digest()),
        signed_by: bundle.signature().map(|s| s.key.fingerprint()),
        program: program.map(|(bytes, version)| Program {
            version: version.clone(),
            sha256: hex(&Sha256::digest(bytes)),
        }),
        failed: false,
    }
}

/// Releases of one name are in order; those of different names say nothing of each other.
fn refuse_older(bundle: &Bundle, running: Option<&Installed>) -> Result<(), SlotsError> {
    let manifest = bundle.manifest();
    let old = running
        .filter(|running| running.bundle == manifest.name)
        .and_then(|running| running.release.parse::<Release>().ok());
    match old {
        Some(old) if manifest.release < old => Err(SlotsError::Older {
            name: manifest.name.clone(),
            old,
            new: manifest.release,
        }),
        _ => Ok(()),
    }
}

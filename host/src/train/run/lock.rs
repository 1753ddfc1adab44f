//! Locks of folders. One that cannot even be opened says why where it is written to.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::lock;
use crate::train::interrupt::Interrupt;

/// A run's folder belongs to another process.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} is being trained by another process: wait for it, or choose another --out (in a sweep, another --shard)",
    .0.display()
)]
pub struct HeldElsewhere(PathBuf);

/// Holds a run's folder until the handle goes.
///
/// # Errors
/// [`HeldElsewhere`] when another handle holds it.
pub(super) fn hold(path: &Path) -> Result<Option<File>> {
    let Ok(folder) = File::open(path) else {
        return Ok(None);
    };
    ensure!(lock::take(&folder), HeldElsewhere(path.to_owned()));
    Ok(Some(folder))
}

/// Waits for a turn in a folder that several processes write to; it lasts until the handle goes.
///
/// # Errors
/// When the user ends the wait.
pub fn take_turn(path: &Path, interrupt: &Interrupt) -> Result<Option<File>> {
    lock::turn(path, || interrupt.is_set())
}

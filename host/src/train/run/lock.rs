//! Locks of folders. The kernel takes them back at any end of their process.
//!
//! Some network file systems lock no folders: there everything goes on without. A folder that cannot even be opened
//! says why where it is written to.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::train::interrupt::Interrupt;

/// How often a lock is tried.
const POLL: Duration = Duration::from_millis(50);
/// A longer wait is told.
const SILENT: Duration = Duration::from_secs(1);

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
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(TryLockError::WouldBlock) => bail!(HeldElsewhere(path.to_owned())),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Waits for a turn in a folder that several processes write to; it lasts until the handle goes.
///
/// # Errors
/// When the user ends the wait.
pub fn take_turn(path: &Path, interrupt: &Interrupt) -> Result<Option<File>> {
    let Ok(folder) = File::open(path) else {
        return Ok(None);
    };
    let name = path.display();
    let begin = Instant::now();
    let mut told = false;
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(Some(folder)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(_)) => return Ok(None),
        }
        ensure!(
            !interrupt.is_set(),
            "stopped while another process held {name}; the same command goes on"
        );
        if !told && begin.elapsed() >= SILENT {
            eprintln!("waiting for another process that holds {name}");
            told = true;
        }
        sleep(POLL);
    }
}

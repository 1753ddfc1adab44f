//! Locks of folders. The kernel takes them back at any end of their process.
//!
//! Some network file systems lock no folders: there everything goes on without. A folder that cannot even be opened
//! says why where it is written to.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::{Result, bail};

/// Holds a run's folder until the handle goes.
///
/// # Errors
/// When another handle holds it.
pub(super) fn hold(path: &Path) -> Result<Option<File>> {
    let Ok(folder) = File::open(path) else {
        return Ok(None);
    };
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(TryLockError::WouldBlock) => bail!(
            "{} is being trained by another process: wait for it, or choose another --out (in a sweep, another --shard)",
            path.display()
        ),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Waits for a turn in a folder that several processes write to; it lasts until the handle goes.
pub fn take_turn(path: &Path) -> Option<File> {
    let folder = File::open(path).ok()?;
    folder.lock().ok()?;
    Some(folder)
}

//! Locks of files and folders. The kernel takes them back at any end of their process.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hone_shared::print::tell;

/// How often a lock is tried.
const POLL: Duration = Duration::from_millis(50);
/// A longer wait is told.
const SILENT: Duration = Duration::from_secs(1);

/// Locks an open file or folder until the handle goes; `false` where another handle holds it. Some network file systems
/// lock nothing: there everything goes on without.
pub(crate) fn take(file: &File) -> bool {
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Waits for a turn in a folder that several processes write to; it lasts until the handle goes. One that cannot even be
/// opened says why where it is written to.
///
/// # Errors
/// When `stop` says that the wait is over.
pub(crate) fn turn(path: &Path, stop: impl Fn() -> bool) -> Result<Option<File>> {
    let Ok(folder) = File::open(path) else {
        return Ok(None);
    };
    let name = path.display();
    let begin = Instant::now();
    let mut told = false;
    while !take(&folder) {
        ensure!(
            !stop(),
            "stopped while another process held {name}; the same command goes on"
        );
        if !told && begin.elapsed() >= SILENT {
            tell(format_args!(
                "waiting for another process that holds {name}"
            ));
            told = true;
        }
        sleep(POLL);
    }
    Ok(Some(folder))
}

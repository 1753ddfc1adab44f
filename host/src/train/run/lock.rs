//! Locks of folders. One that cannot even be opened says why where it is written to.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::lock;
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
    ensure!(lock::take(&folder), HeldElsewhere(path.to_owned()));
    Ok(Some(folder))
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
    while !lock::take(&folder) {
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
    Ok(Some(folder))
}

//! Which slot `honed run` runs when no bundle is named, and becoming that slot's program.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, bail};
use hone_shared::bundle::{Policy, hex};
use hone_shared::config::Config;
use sha2::{Digest, Sha256};

use crate::journal::Journal;
use crate::slots::{Begun, FolderDisk, SLOT_VARIABLE, Slot, Slots, SlotsError};

/// The active slot, its start counted if it is on trial; `None` when nothing is installed. Where the
/// slot has a program of its own, this process becomes it and never returns. `journal` hears of a slot
/// that was given up.
///
/// # Errors
/// [`SlotsError`] when no slot can be used; another error when the next start runs the one before.
pub fn active_slot(
    config: &Config,
    policy: &Policy,
    journal: &Journal,
) -> anyhow::Result<Option<Begun>> {
    let disk = FolderDisk::new(&config.slots.folder);
    let slots = Slots::new(disk.clone());
    let chosen = std::env::var(SLOT_VARIABLE).ok();
    if let Some(slot) = chosen.as_deref().and_then(Slot::named) {
        return Ok(Some(slots.resume(slot, &own_sha256()?, policy)?));
    }
    let Some(begun) = slots.begin(policy)? else {
        return Ok(None);
    };
    if let Some(notice) = &begun.notice {
        journal.say(format_args!("warning: {notice}"));
    }
    let Some(program) = &begun.program_sha256 else {
        return Ok(Some(begun));
    };
    if *program == own_sha256()? {
        return Ok(Some(begun));
    }
    let error = Command::new(disk.path(&begun.slot.program_path()))
        .args(std::env::args_os().skip(1))
        .env(SLOT_VARIABLE, begun.slot.name())
        .exec();
    let reason = format!("its program does not start: {error}");
    if slots.give_up(&begun.tried(), &reason)? {
        bail!("slot {}: {reason}", begun.slot);
    }
    Err(SlotsError::Damaged {
        slot: begun.slot,
        what: reason,
    }
    .into())
}

fn own_sha256() -> anyhow::Result<String> {
    // Not by its name: another program may have taken its place since.
    let path = "/proc/self/exe";
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {path}"))?;
    Ok(hex(&Sha256::digest(&bytes)))
}

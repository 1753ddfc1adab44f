//! Which clip's frames lie in a folder, so that a command that is given again does not decode it again. That stands in a
//! hidden file beside the folder, in which nothing but pictures lies.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::data::index::sha256;
use crate::data::read::is_picture;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    clip_sha256: String,
    every: usize,
    frames: usize,
}

fn place(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}.hone-frames"))
}

/// Notes that `folder` holds every `every`-th frame of `clip`, `frames` in all.
pub(super) fn note(clip: &Path, folder: &Path, every: usize, frames: usize) -> anyhow::Result<()> {
    let note = Note {
        clip_sha256: sha256(clip)?,
        every,
        frames,
    };
    let bytes = serde_json::to_vec(&note)?;
    Ok(hone_device::atomic::write_bytes(&place(folder), &bytes)?)
}

/// How many frames are in `folder`, where it holds every `every`-th of `clip`; `None` where there is no such folder.
///
/// # Errors
/// When something else is there, or the clip cannot be read.
pub fn kept(clip: &Path, folder: &Path, every: usize) -> anyhow::Result<Option<usize>> {
    if !folder.exists() {
        return Ok(None);
    }
    let bytes = std::fs::read(place(folder)).unwrap_or_default();
    if let Ok(note) = serde_json::from_slice::<Note>(&bytes)
        && note.every == every
        && note.frames == pictures(folder)?
        && note.clip_sha256 == sha256(clip)?
    {
        return Ok(Some(note.frames));
    }
    bail!(
        "{} is there already, and is not known to hold these frames of {}: name a new folder",
        folder.display(),
        clip.display()
    )
}

fn pictures(folder: &Path) -> anyhow::Result<usize> {
    let cannot = || format!("cannot read {}", folder.display());
    let mut count = 0;
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        count += usize::from(is_picture(&entry.with_context(cannot)?.path()));
    }
    Ok(count)
}

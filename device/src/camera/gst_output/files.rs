//! The file or folder of an output: complete under its name, or what could be kept of it beside.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::playable::playable;
use crate::atomic;

/// Names that are tried for a piece.
const NAMES: std::ops::Range<u32> = 1..10_000;

/// Gives a complete output its name. What it holds is on the disk before, and its name after.
pub(super) fn publish(target: &Path) -> io::Result<()> {
    let part = atomic::part_path(target);
    let file = File::open(&part)?;
    if file.metadata()?.is_dir() {
        // One call for all its pictures: a sync of each takes longer than writing them did.
        rustix::fs::syncfs(&file)?;
    } else {
        file.sync_all()?;
    }
    std::fs::rename(&part, target)?;
    // The output is complete whatever comes of this: some network file systems refuse to sync a folder.
    let _ = atomic::sync_folder(target);
    Ok(())
}

/// Keeps what an output wrote before it failed, under the next free name beside its target; `None` when nothing of it can be
/// played. Its part file is gone then, but after an error it is still there.
pub(super) fn rescue(target: &Path) -> io::Result<Option<PathBuf>> {
    let kept = keep(&atomic::part_path(target), target)?;
    if kept.is_none() {
        discard(target);
    }
    Ok(kept)
}

/// Removes what an output wrote.
pub(super) fn discard(target: &Path) {
    let part = atomic::part_path(target);
    // One of the two does not apply, and nothing is left to do when the other fails.
    let _ = std::fs::remove_file(&part);
    let _ = std::fs::remove_dir_all(&part);
}

/// Removes a segment that was begun and never got a picture, as on a full disk.
pub(super) fn remove_without_pictures(segment: &Path) {
    if File::open(segment)
        .and_then(|mut file| playable(&mut file))
        .is_ok_and(|length| length == 0)
    {
        // It is of no use, and does no harm.
        let _ = std::fs::remove_file(segment);
    }
}

fn keep(part: &Path, target: &Path) -> io::Result<Option<PathBuf>> {
    if part.is_dir() {
        let mut pictures = std::fs::read_dir(part)?.flatten();
        if !pictures.any(|picture| picture.metadata().is_ok_and(|m| m.len() > 0)) {
            return Ok(None);
        }
    } else {
        match cut(part) {
            Ok(0) => return Ok(None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            // What cannot be measured or cut is kept as it is.
            _ => {}
        }
    }
    let name = NAMES
        .map(|number| beside(target, number))
        .find(|name| free(name) && free(&atomic::part_path(name)))
        .ok_or_else(|| io::Error::other("too many pieces stand beside it: remove some"))?;
    std::fs::rename(part, &name)?;
    Ok(Some(name))
}

/// Leaves of a file what can be played, and says how much that is. The end of a disk cuts a last piece short, which players
/// and `honed` itself would complain of.
fn cut(part: &Path) -> io::Result<u64> {
    let mut file = File::options().read(true).write(true).open(part)?;
    let length = playable(&mut file)?;
    if length > 0 && length < file.metadata()?.len() {
        file.set_len(length)?;
    }
    Ok(length)
}

fn free(path: &Path) -> bool {
    path.symlink_metadata().is_err()
}

/// `x.mp4` with a number is `x-1.mp4`.
fn beside(target: &Path, number: u32) -> PathBuf {
    let mut name = target.file_stem().unwrap_or_default().to_os_string();
    name.push(format!("-{number}"));
    if let Some(ending) = target.extension() {
        name.push(".");
        name.push(ending);
    }
    target.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_stand_beside_the_target_under_names_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x.raw");
        for (piece, name) in [("first", "x-1.raw"), ("second", "x-2.raw")] {
            std::fs::write(atomic::part_path(&target), piece).unwrap();
            let kept = rescue(&target).unwrap().unwrap();
            assert_eq!(kept, folder.path().join(name));
            assert_eq!(std::fs::read(kept).unwrap(), piece.as_bytes());
        }
        std::fs::write(atomic::part_path(&target), "").unwrap();
        assert_eq!(rescue(&target).unwrap(), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_folder_of_pictures_is_kept_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("sharp");
        let part = atomic::part_path(&target);
        std::fs::create_dir(&part).unwrap();
        assert_eq!(rescue(&target).unwrap(), None);
        assert!(!part.exists());
        std::fs::create_dir(&part).unwrap();
        std::fs::write(part.join("000000.png"), "picture").unwrap();
        let kept = rescue(&target).unwrap().unwrap();
        assert!(kept.ends_with("sharp-1") && kept.join("000000.png").exists());
    }

    #[test]
    fn a_complete_output_gets_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.mkv");
        std::fs::write(atomic::part_path(&file), "film").unwrap();
        publish(&file).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"film");
        let pictures = folder.path().join("sharp");
        std::fs::create_dir(atomic::part_path(&pictures)).unwrap();
        publish(&pictures).unwrap();
        assert!(pictures.is_dir());
    }
}

//! Places that one process writes: a lock keeps others away. The kernel takes it back at any end of its process.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::slots::open_lock;

/// Opened and locked so often when what is opened is gone by then.
const TRIES: usize = 10;

/// A place that nobody else writes until this is dropped.
#[derive(Debug)]
pub(in crate::camera) struct Held {
    /// A file that is there for its lock alone.
    mark: Option<PathBuf>,
    _file: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(mark) = &self.mark {
            // One that stays is used again.
            let _ = std::fs::remove_file(mark);
        }
    }
}

impl Held {
    /// The file at `path`, made or emptied once it is held.
    pub(super) fn file(path: &Path) -> io::Result<Self> {
        let file = take(path, || open(path))?;
        file.set_len(0)?;
        Ok(Self::of(file))
    }

    /// The folder at `path`, which is there.
    pub(super) fn folder(path: &Path) -> io::Result<Self> {
        take(path, || File::open(path)).map(Self::of)
    }

    /// What a sink of some `kind` writes into `folder`.
    pub(super) fn inside(folder: &Path, kind: &str) -> io::Result<Self> {
        let mark = folder.join(format!(".honed-{kind}"));
        let file = take(&mark, || open_lock(&mark))?;
        Ok(Self {
            mark: Some(mark),
            _file: file,
        })
    }

    /// What an earlier run left at `path`, or a run that goes on writes there.
    ///
    /// # Errors
    /// When it is held.
    pub(in crate::camera) fn left(path: &Path) -> io::Result<Option<Self>> {
        let there = path.symlink_metadata();
        if !there.is_ok_and(|left| left.is_file() || left.is_dir()) {
            return Ok(None);
        }
        // A network file system locks only what is open for writing.
        let file = File::options().write(true).open(path);
        let Ok(file) = file.or_else(|_| File::open(path)) else {
            return Ok(None);
        };
        lock(&file)?;
        Ok(Some(Self::of(file)))
    }

    fn of(file: File) -> Self {
        Self {
            mark: None,
            _file: file,
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(false).open(path)
}

/// Locks what `open` opens at `path`.
fn take(path: &Path, open: impl Fn() -> io::Result<File>) -> io::Result<File> {
    let mut tries = 0;
    loop {
        let file = open()?;
        lock(&file)?;
        // Who held it until now may have renamed or removed it. Where it is never the same, the file system does not
        // number its files.
        let held = file.metadata()?;
        let same =
            |there: std::fs::Metadata| (there.dev(), there.ino()) == (held.dev(), held.ino());
        tries += 1;
        if tries == TRIES || std::fs::metadata(path).is_ok_and(same) {
            return Ok(file);
        }
    }
}

/// [`ErrorKind::ResourceBusy`] when another process has it. Some network file systems lock nothing: there everything goes on
/// without.
fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(ErrorKind::ResourceBusy.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_held_by_one_and_free_again() {
        let folder = tempfile::tempdir().unwrap();
        let (part, whole) = (
            folder.path().join("x.mkv.part"),
            folder.path().join("x.mkv"),
        );
        assert!(Held::left(&part).unwrap().is_none());
        let held = Held::file(&part).unwrap();
        std::fs::write(&part, "pictures").unwrap();
        for refused in [Held::left(&part).map(|_| ()), Held::file(&part).map(|_| ())] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::ResourceBusy);
        }
        assert_eq!(std::fs::read(&part).unwrap(), b"pictures");
        // Published, and held by one that is not dropped yet.
        std::fs::rename(&part, &whole).unwrap();
        let next = Held::file(&part).unwrap();
        drop((held, next));
        assert_eq!(std::fs::read(&whole).unwrap(), b"pictures");
        assert!(Held::left(&part).unwrap().is_some());
    }

    #[test]
    fn two_kinds_share_a_folder_and_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let held = ["hls", "other"].map(|kind| Held::inside(folder.path(), kind).unwrap());
        assert!(Held::inside(folder.path(), "hls").is_err());
        drop(held);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let held = Held::folder(folder.path()).unwrap();
        assert!(Held::folder(folder.path()).is_err());
        drop(held);
        Held::folder(folder.path()).unwrap();
    }
}

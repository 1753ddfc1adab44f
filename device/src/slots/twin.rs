//! A disk in memory whose power can be cut after any call that changes it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;

use super::Disk;

/// What of the changes that were never synced is on the disk after a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    /// None of it.
    Lost,
    /// The names, but not the files' content: empty files.
    NamesOnly,
    /// The names, and half of the content.
    Half,
    /// All of it.
    Kept,
}

impl Unsynced {
    pub const ALL: [Self; 4] = [Self::Lost, Self::NamesOnly, Self::Half, Self::Kept];
}

#[derive(Debug, Clone, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
struct Names {
    files: BTreeMap<String, usize>,
    folders: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
struct Medium {
    contents: Vec<Content>,
    now: Names,
    synced: Names,
    calls: usize,
    cut_after: Option<usize>,
    room: Option<usize>,
}

/// The twin of a disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk(Rc<RefCell<Medium>>);

impl MemoryDisk {
    /// A copy that can go its own way.
    pub fn fork(&self) -> Self {
        Self(Rc::new(RefCell::new(self.0.borrow().clone())))
    }

    /// Lets so many more changing calls succeed; then the power is off.
    pub fn cut_after(&self, calls: usize) {
        let mut medium = self.0.borrow_mut();
        medium.calls = 0;
        medium.cut_after = Some(calls);
    }

    /// The disk as it is when the power is back.
    pub fn after_cut(&self, unsynced: Unsynced) -> Self {
        let mut medium = self.0.borrow().clone();
        if unsynced == Unsynced::Lost {
            medium.now = medium.synced.clone();
            let Names { files, folders } = &mut medium.now;
            files.retain(|path, _| folder(path).is_empty() || folders.contains(folder(path)));
        }
        for content in &mut medium.contents {
            let keep = match unsynced {
                Unsynced::Lost | Unsynced::NamesOnly => 0,
                Unsynced::Half => content.now.len().saturating_sub(content.synced.len()) / 2,
                Unsynced::Kept => usize::MAX,
            };
            let end = content.synced.len().saturating_add(keep);
            content.now.truncate(end);
            content.synced = content.now.clone();
        }
        medium.synced = medium.now.clone();
        medium.cut_after = None;
        Self(Rc::new(RefCell::new(medium)))
    }

    /// Leaves room for so many more bytes.
    pub fn room(&self, bytes: usize) {
        self.0.borrow_mut().room = Some(bytes);
    }

    /// Changes a byte in the middle of a file.
    pub fn damage(&self, path: &str) {
        let mut medium = self.0.borrow_mut();
        let file = medium.now.files[path];
        let bytes = &mut medium.contents[file].now;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }

    pub fn names(&self) -> Vec<String> {
        self.0.borrow().now.files.keys().cloned().collect()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Medium) -> io::Result<T>) -> io::Result<T> {
        let mut medium = self.0.borrow_mut();
        if medium.cut_after.is_some_and(|calls| medium.calls >= calls) {
            return Err(io::Error::other("the power is off"));
        }
        medium.calls += 1;
        change(&mut medium)
    }
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Medium {
    fn file(&self, path: &str) -> io::Result<usize> {
        self.now.files.get(path).copied().ok_or_else(missing)
    }
}

impl Disk for MemoryDisk {
    type Lock = ();

    fn lock(&self) -> io::Result<()> {
        Ok(())
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let medium = self.0.borrow();
        Ok(medium.contents[medium.file(path)?].now.clone())
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        // The one of the disk itself is always there.
        if path.is_empty() {
            return Ok(());
        }
        self.change(|medium| {
            medium.now.folders.insert(path.to_owned());
            Ok(())
        })
    }

    fn create(&self, path: &str, _executable: bool) -> io::Result<()> {
        self.change(|medium| {
            if !folder(path).is_empty() && !medium.now.folders.contains(folder(path)) {
                return Err(missing());
            }
            medium.contents.push(Content::default());
            let file = medium.contents.len() - 1;
            medium.now.files.insert(path.to_owned(), file);
            Ok(())
        })
    }

    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.change(|medium| {
            let file = medium.file(path)?;
            if let Some(room) = &mut medium.room {
                *room = room
                    .checked_sub(bytes.len())
                    .ok_or(io::ErrorKind::StorageFull)?;
            }
            medium.contents[file].now.extend_from_slice(bytes);
            Ok(())
        })
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        self.change(|medium| {
            let file = medium.file(path)?;
            let content = &mut medium.contents[file];
            content.synced = content.now.clone();
            Ok(())
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(|medium| {
            let file = medium.now.files.remove(from).ok_or_else(missing)?;
            medium.now.files.insert(to.to_owned(), file);
            Ok(())
        })
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.change(|medium| {
            medium.now.files.remove(path);
            Ok(())
        })
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        self.change(|medium| {
            let Medium { now, synced, .. } = medium;
            synced.files.retain(|name, _| folder(name) != path);
            let here = now.files.iter().filter(|(name, _)| folder(name) == path);
            synced
                .files
                .extend(here.map(|(name, file)| (name.clone(), *file)));
            if path.is_empty() {
                synced.folders = now.folders.clone();
            }
            Ok(())
        })
    }
}

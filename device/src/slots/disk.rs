//! The few things that slots do to a disk, so that a test can cut the power between any two of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// A folder on a disk. Paths are relative to it. Nothing is certain to outlive a power cut until
/// [`Disk::sync`] for a file's content, [`Disk::sync_folder`] for its name.
pub trait Disk {
    /// Held while the state is read and written again.
    type Lock;

    /// Waits until no one else holds the lock.
    ///
    /// # Errors
    /// The system's, also where there is no folder yet.
    fn lock(&self) -> io::Result<Self::Lock>;

    /// A file's content.
    ///
    /// # Errors
    /// The system's.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;

    /// Makes a folder; one that is there is fine. `""` is the folder of this disk itself.
    ///
    /// # Errors
    /// The system's.
    fn make_folder(&self, path: &str) -> io::Result<()>;

    /// Makes an empty file, in place of an earlier one.
    ///
    /// # Errors
    /// The system's.
    fn create(&self, path: &str, executable: bool) -> io::Result<()>;

    /// Adds bytes to a file.
    ///
    /// # Errors
    /// The system's.
    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()>;

    /// Brings a file's content to the disk.
    ///
    /// # Errors
    /// The system's.
    fn sync(&self, path: &str) -> io::Result<()>;

    /// Gives a file another name, in place of a file that has it.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file; one that is not there is fine.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Brings the names in a folder to the disk; `""` is the folder of this disk itself.
    ///
    /// # Errors
    /// The system's.
    fn sync_folder(&self, path: &str) -> io::Result<()>;
}

/// A folder of this machine.
#[derive(Debug, Clone)]
pub struct FolderDisk {
    root: PathBuf,
}

impl FolderDisk {
    /// The disk below `root`, which is made for the first update.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The real path of a path on this disk.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

/// Opens the file at `path`, which is there for its lock alone, or makes it. Root and the service's own user both lock: one that is
/// there is opened for reading. No link is followed, or root could be led to make files elsewhere.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(flags).open(path);
    file.or_else(|_| {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false);
        options.mode(0o644).custom_flags(flags).open(path)
    })
}

impl Disk for FolderDisk {
    type Lock = File;

    fn lock(&self) -> io::Result<File> {
        let file = open_lock(&self.path("lock"))?;
        file.lock()?;
        Ok(file)
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(path))
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        fs::create_dir_all(self.path(path))
    }

    fn create(&self, path: &str, executable: bool) -> io::Result<()> {
        // Removed first: a program that runs cannot be written, and its mode would stay.
        self.remove(path)?;
        let mode = if executable { 0o755 } else { 0o644 };
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(mode);
        options.open(self.path(path)).map(drop)
    }

    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).open(self.path(path))?;
        file.write_all(bytes)
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        File::open(self.path(path))?.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        match fs::remove_file(self.path(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        File::open(self.path(path))?.sync_all()
    }
}

//! Recordings that never fill the disk: the oldest segments go first.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Deletes the oldest `.mkv` files of `folder` until all together take at most `bytes`; the newest,
/// which is being written, always stays.
///
/// # Errors
/// The system's, when the folder cannot be read or a file cannot be deleted.
pub fn keep_within(folder: &Path, bytes: u64) -> std::io::Result<()> {
    let mut segments: Vec<(SystemTime, PathBuf, u64)> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "mkv") {
            let meta = entry.metadata()?;
            segments.push((meta.modified()?, path, meta.len()));
        }
    }
    segments.sort();
    let mut total: u64 = segments.iter().map(|(_, _, length)| length).sum();
    let newest = segments.len().saturating_sub(1);
    for (_, path, length) in segments.into_iter().take(newest) {
        if total <= bytes {
            break;
        }
        std::fs::remove_file(path)?;
        total -= length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_and_the_newest_stays() {
        let folder = tempfile::tempdir().unwrap();
        for (age, name) in ["c.mkv", "a.mkv", "b.mkv"].into_iter().enumerate() {
            let path = folder.path().join(name);
            std::fs::write(&path, [0; 100]).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age as u64);
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(time).unwrap();
        }
        std::fs::write(folder.path().join("notes.txt"), [0; 1000]).unwrap();
        let left = || {
            let entries = std::fs::read_dir(folder.path()).unwrap();
            let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        keep_within(folder.path(), 200).unwrap();
        assert_eq!(left(), ["a.mkv", "b.mkv", "notes.txt"]);
        keep_within(folder.path(), 0).unwrap();
        assert_eq!(left(), ["b.mkv", "notes.txt"]);
    }
}

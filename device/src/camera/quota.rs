//! The segments of a recording: their names, and that they never fill the disk. The oldest go first.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::sink::numbered;

/// Digits of a start's stamp, milliseconds since 1970.
const STAMP: usize = 13;
/// Digits of a segment's number, at least.
const NUMBER: usize = 5;

/// The segments of one start, `STAMP-NUMBER.mkv`.
#[derive(Debug)]
pub struct Segments {
    folder: PathBuf,
    stamp: u64,
}

/// What a file's name says: when its recording started, and which of its segments it is.
type Name = (u64, u64);

impl Segments {
    /// Segments under names that `folder` does not hold yet: what an earlier start recorded stays.
    pub fn begin(folder: &Path) -> Self {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let mut stamp = u64::try_from(now.as_millis()).unwrap_or_default();
        // The clock of a board that knows no time says the same after every boot.
        let taken: Vec<u64> = names(folder).into_iter().map(|(name, _)| name.0).collect();
        while taken.contains(&stamp) {
            stamp += 1;
        }
        Self {
            folder: folder.to_owned(),
            stamp,
        }
    }

    /// Where segments go, with a place for their number.
    pub fn pattern(&self) -> String {
        let name = format!("{:0STAMP$}-%0{NUMBER}d.mkv", self.stamp);
        numbered(&self.folder, &name)
    }

    /// The segment that was begun last.
    pub fn last(&self) -> Option<PathBuf> {
        let own = names(&self.folder)
            .into_iter()
            .filter(|(name, _)| name.0 == self.stamp);
        own.max().map(|(_, path)| path)
    }

    /// Deletes the oldest segments in the folder until all together take at most `bytes`; the last one of this start, which
    /// is being written, always stays. Files under names that no recording makes are not touched and not counted.
    ///
    /// # Errors
    /// The system's, when the folder cannot be read or a segment cannot be deleted.
    pub fn keep_within(&self, bytes: u64) -> std::io::Result<()> {
        let mut segments = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().and_then(parse) else {
                continue;
            };
            let meta = match entry.metadata() {
                // Another program took it away.
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                meta => meta?,
            };
            // A board without a clock may find files of the future: those of this start come last by their numbers.
            let own = name.0 == self.stamp;
            let written = if own {
                SystemTime::UNIX_EPOCH
            } else {
                meta.modified()?
            };
            segments.push(((own, written, name), entry.path(), meta.len()));
        }
        segments.sort();
        if segments.last().is_some_and(|((own, ..), ..)| !own) {
            // The first segment of this start is not there yet: it will be the one that stays.
            segments.push((
                (true, SystemTime::UNIX_EPOCH, (self.stamp, 0)),
                PathBuf::new(),
                0,
            ));
        }
        let mut total: u64 = segments.iter().map(|(_, _, length)| length).sum();
        let written = segments.len().saturating_sub(1);
        for (_, path, length) in segments.into_iter().take(written) {
            if total <= bytes {
                break;
            }
            match std::fs::remove_file(path) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => total -= length,
            }
        }
        Ok(())
    }
}

/// The segments in `folder`; none when it cannot be read.
fn names(folder: &Path) -> Vec<(Name, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((parse(entry.file_name().to_str()?)?, entry.path())))
        .collect()
}

fn parse(name: &str) -> Option<Name> {
    let (stamp, number) = name.strip_suffix(".mkv")?.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let made = stamp.len() == STAMP && number.len() >= NUMBER && digits(stamp) && digits(number);
    Some((stamp.parse().ok()?, number.parse().ok()?)).filter(|_| made)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: u64 = 1_700_000_000_000;

    fn put(folder: &Path, name: &str, age: u64) {
        let path = folder.join(name);
        std::fs::write(&path, [0; 100]).unwrap();
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age);
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(time).unwrap();
    }

    fn left(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_go_and_the_one_being_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let now = Segments {
            folder: folder.to_owned(),
            stamp: 5000,
        };
        // The clock is at 1970, so what is old comes from the future.
        put(folder, "0000000005000-00009.mkv", 9);
        put(folder, "0000000005000-00010.mkv", 8);
        put(folder, &format!("{OLD}-00000.mkv"), 2000);
        put(folder, &format!("{OLD}-00001.mkv"), 1000);
        for own in ["film.mkv", "2024-01.mkv", "20240131-142536.mkv"] {
            put(folder, own, 0);
        }
        now.keep_within(300).unwrap();
        assert!(!left(folder).contains(&format!("{OLD}-00001.mkv")));
        assert_eq!(left(folder).len(), 6);
        now.keep_within(0).unwrap();
        let names = [
            "0000000005000-00010.mkv",
            "2024-01.mkv",
            "20240131-142536.mkv",
            "film.mkv",
        ];
        assert_eq!(left(folder), names);
        assert_eq!(now.last(), Some(folder.join(names[0])));
    }

    #[test]
    fn every_start_has_names_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let first = Segments::begin(folder.path());
        let pattern = first.pattern();
        put(folder.path(), &format!("{:013}-00000.mkv", first.stamp), 0);
        let second = Segments::begin(folder.path());
        assert!(pattern.ends_with("-%05d.mkv"), "{pattern}");
        assert_ne!(second.stamp, first.stamp);
        assert_eq!(second.last(), None);
        assert!(first.last().is_some());
    }
}

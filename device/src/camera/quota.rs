//! The segments of a recording: their names, and that they never fill the disk. The oldest go first.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::sink::numbered;

/// Digits of a start's stamp, milliseconds since 1970.
const STAMP: usize = 13;
/// Digits of a segment's number, at least.
const NUMBER: usize = 5;
/// A segment that takes this part of the quota is long enough: it is deleted as a whole.
const SHARE: u64 = 8;

/// The segments of one start, `STAMP-NUMBER.mkv`.
#[derive(Debug)]
pub struct Segments {
    folder: PathBuf,
    stamp: u64,
    /// Most bytes of all in the folder together.
    quota: Option<u64>,
    /// Whether it was told that the quota cannot be kept.
    told: bool,
}

/// What a file's name says: when its recording started, and which of its segments it is.
type Name = (u64, u64);

impl Segments {
    /// Segments of at most `quota` bytes, with those that `folder` holds; their names come after those.
    pub fn begin(folder: &Path, quota: Option<u64>) -> Self {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or_default();
        Self::begin_at(now, folder, quota)
    }

    fn begin_at(now: u64, folder: &Path, quota: Option<u64>) -> Self {
        // The clock of a board that knows no time may be behind what it said before.
        let stamps = names(folder).unwrap_or_default().into_iter();
        let next = stamps.map(|((stamp, _), _)| stamp + 1);
        // No name has more digits.
        let next = next.filter(|next| *next < 10_u64.pow(STAMP as u32)).max();
        Self {
            folder: folder.to_owned(),
            stamp: now.max(next.unwrap_or_default()),
            quota,
            told: false,
        }
    }

    /// Where segments go, with a place for their number.
    pub fn pattern(&self) -> String {
        let name = format!("{:0STAMP$}-%0{NUMBER}d.mkv", self.stamp);
        numbered(&self.folder, &name)
    }

    /// The segment that was begun last.
    pub fn last(&self) -> Option<PathBuf> {
        let names = names(&self.folder).unwrap_or_default().into_iter();
        let own = names.filter(|(name, _)| name.0 == self.stamp);
        own.max().map(|(_, path)| path)
    }

    /// Whether the segment that is being written has its share of the quota, so that another should be begun.
    pub fn outgrown(&self) -> bool {
        let Some(quota) = self.quota else {
            return false;
        };
        let last = self.last().and_then(|path| path.metadata().ok());
        last.is_some_and(|meta| meta.len() >= quota / SHARE)
    }

    /// Deletes the oldest segments in the folder until all together are within the quota; the last one of this start, which
    /// is being written, always stays. Files under names that no recording makes are not touched and not counted. Says once
    /// what is in the way; others are deleted instead.
    pub fn keep_within_quota(&mut self) -> Option<String> {
        let error = self.delete_beyond(self.quota?).err()?;
        let told = std::mem::replace(&mut self.told, true);
        (!told).then(|| {
            format!(
                "old segments cannot be deleted for the quota ({error}), newer ones are in their place: move them away or \
                 change their permissions"
            )
        })
    }

    fn delete_beyond(&self, bytes: u64) -> Result<()> {
        let mut failed = None;
        let mut segments = Vec::new();
        for (name, path) in names(&self.folder)? {
            match path.symlink_metadata() {
                Ok(meta) => segments.push((name, path, meta.len())),
                Err(e) => keep_first(&mut failed, &path, e),
            }
        }
        segments.sort();
        let mut total: u64 = segments.iter().map(|(_, _, length)| length).sum();
        let own = |(name, ..): &(Name, PathBuf, u64)| name.0 == self.stamp;
        if let Some(written) = segments.iter().rposition(own) {
            segments.remove(written);
        }
        for (_, path, length) in segments {
            if total <= bytes {
                break;
            }
            match std::fs::remove_file(&path) {
                Ok(()) => total -= length,
                Err(e) => {
                    if e.kind() == ErrorKind::NotFound {
                        total -= length;
                    }
                    keep_first(&mut failed, &path, e);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// Keeps the first error that says more than that another program took a file away.
fn keep_first(failed: &mut Option<Error>, path: &Path, error: Error) {
    if error.kind() != ErrorKind::NotFound {
        failed.get_or_insert_with(|| named(path, &error));
    }
}

fn named(path: &Path, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The segments in `folder`.
fn names(folder: &Path) -> Result<Vec<(Name, PathBuf)>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| named(folder, &e))? {
        let entry = entry.map_err(|e| named(folder, &e))?;
        if let Some(name) = entry.file_name().to_str().and_then(parse) {
            names.push((name, entry.path()));
        }
    }
    Ok(names)
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

    fn put(folder: &Path, names: &[&str]) {
        for name in names {
            std::fs::write(folder.join(name), [0; 100]).unwrap();
        }
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
        let own = ["2024-01.mkv", "20240131-142536.mkv", "film.mkv"];
        put(folder, &own);
        put(folder, &["0000000004000-00000.mkv"]);
        let mut now = Segments::begin_at(5000, folder, Some(300));
        put(
            folder,
            &["0000000005000-99999.mkv", "0000000005000-100000.mkv"],
        );
        assert_eq!(now.keep_within_quota(), None);
        assert_eq!(left(folder).len(), 6);
        now.quota = Some(200);
        assert_eq!(now.keep_within_quota(), None);
        assert_eq!(left(folder).len(), 5);
        assert!(!left(folder).contains(&"0000000004000-00000.mkv".into()));
        now.quota = Some(0);
        assert_eq!(now.keep_within_quota(), None);
        let names = [&["0000000005000-100000.mkv"][..], &own].concat();
        assert_eq!(left(folder), names);
        assert_eq!(now.last(), Some(folder.join(names[0])));
    }

    #[test]
    fn without_a_clock_too_what_was_recorded_first_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        put(folder, &["1700000000000-00000.mkv"]);
        for number in 1..=2 {
            let now = Segments::begin_at(5000, folder, None);
            assert_eq!(now.stamp, 1_700_000_000_000 + number);
            put(folder, &[&format!("{}-00000.mkv", now.stamp)]);
        }
        // Before its first segment, nothing of a start needs to stay.
        let mut now = Segments::begin_at(5000, folder, Some(100));
        assert_eq!(now.keep_within_quota(), None);
        assert_eq!(left(folder), ["1700000000002-00000.mkv"]);
        now.quota = Some(99);
        assert_eq!(now.keep_within_quota(), None);
        assert!(left(folder).is_empty());
        assert_eq!(Segments::begin_at(5000, folder, None).stamp, 5000);
    }

    #[test]
    fn what_cannot_be_deleted_is_told_once_and_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        // Root too cannot delete it as a file.
        std::fs::create_dir(folder.join("1700000000000-00000.mkv")).unwrap();
        put(folder, &["1700000000001-00000.mkv"]);
        let mut now = Segments::begin_at(5000, folder, Some(0));
        let told = now.keep_within_quota().unwrap();
        assert!(told.contains("1700000000000-00000.mkv: "), "{told}");
        assert_eq!(left(folder), ["1700000000000-00000.mkv"]);
        assert_eq!(now.keep_within_quota(), None);
    }

    #[test]
    fn a_segment_takes_a_part_of_the_quota() {
        let folder = tempfile::tempdir().unwrap();
        let now = |quota| Segments::begin_at(5000, folder.path(), quota);
        put(folder.path(), &["0000000004000-00000.mkv"]);
        assert!(!now(Some(800)).outgrown());
        put(folder.path(), &["0000000005000-00000.mkv"]);
        let mut now = now(None);
        now.stamp = 5000;
        for (quota, outgrown) in [(None, false), (Some(808), false), (Some(800), true)] {
            now.quota = quota;
            assert_eq!(now.outgrown(), outgrown, "{quota:?}");
        }
    }

    #[test]
    fn every_start_has_names_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let first = Segments::begin(folder.path(), None);
        let pattern = first.pattern();
        put(folder.path(), &[&format!("{:013}-00000.mkv", first.stamp)]);
        let second = Segments::begin(folder.path(), None);
        assert!(pattern.ends_with("-%05d.mkv"), "{pattern}");
        assert!(second.stamp > first.stamp);
        assert_eq!(second.last(), None);
        assert!(first.last().is_some());
    }
}

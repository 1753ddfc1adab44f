//! Parts of a cache that processes make side by side.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, ensure};

use crate::lock;

/// `I/N`: every N-th chunk, from the I-th on; I counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// Keeps other processes from making the same until this goes.
    ///
    /// # Errors
    /// When one does already.
    pub(super) fn hold(&self, folder: &Path) -> Result<Option<Held>> {
        let Self { index, count } = self;
        let path = folder.join(format!("shard-{index}-of-{count}.lock"));
        let mut options = File::options();
        // Where nothing can be written, there may be nothing to make either.
        let Ok(file) = options.write(true).create(true).truncate(false).open(&path) else {
            return Ok(None);
        };
        ensure!(
            lock::take(&file),
            "another process makes shard {index}/{count} of {}: wait for it, or choose another --shard or --out",
            folder.display()
        );
        Ok(Some(Held { path, _file: file }))
    }

    /// Whether item `number`, from 0, belongs to this shard.
    pub fn takes(&self, number: usize) -> bool {
        number % self.count == self.index - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |text: &str| text.parse().ok();
        let parts = text.split_once('/');
        match parts.and_then(|(i, n)| Some((parse(i)?, parse(n)?))) {
            Some((index, count)) if index >= 1 && index <= count => Ok(Self { index, count }),
            _ => Err(format!(
                "shard '{text}' is not I/N with I from 1 to N, such as 2/8"
            )),
        }
    }
}

/// A shard that this process makes.
#[derive(Debug)]
pub(super) struct Held {
    path: PathBuf,
    _file: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        // One that stays does no harm: it is not locked any more.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_made_by_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let shards: Vec<Shard> = ["1/2", "2/2"].map(|s| s.parse().unwrap()).into();
        let held = shards[0].hold(at).unwrap();
        let error = shards[0].hold(at).unwrap_err().to_string();
        assert!(error.contains("another process makes shard 1/2"), "{error}");
        let other = shards[1].hold(at).unwrap();
        drop(held);
        drop((shards[0].hold(at).unwrap(), other));
        assert_eq!(std::fs::read_dir(at).unwrap().count(), 0);
        // Left by one that was killed.
        std::fs::write(at.join("shard-1-of-2.lock"), "").unwrap();
        assert!(shards[0].hold(at).unwrap().is_some());
    }

    #[test]
    fn shards_share_the_work() {
        let shards: Vec<Shard> = (1..=3).map(|i| format!("{i}/3").parse().unwrap()).collect();
        for number in 0..10 {
            assert_eq!(shards.iter().filter(|s| s.takes(number)).count(), 1);
        }
        for wrong in ["0/3", "4/3", "1", "a/b", "1/0", "-1/2"] {
            let error = wrong.parse::<Shard>().unwrap_err();
            assert!(error.contains("I/N"), "{wrong}: {error}");
        }
    }
}

//! Decoded pictures under a memory budget, shared by all threads.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, anyhow, ensure};
use hone_shared::print::tell;
use hone_shared::printable::printable;
use rayon::prelude::*;

use crate::data::config::DataConfig;
use crate::data::degrade::resize;
use crate::data::index::FileRecord;
use crate::data::photo::Photo;
use crate::data::{index, read, synth};
use crate::recipe::sha256;

/// Numbered pictures: files, or scenes drawn when asked for.
pub(super) enum Origin {
    /// Files in order, each with its length when it was indexed.
    Files(Vec<(PathBuf, u64)>),
    /// Scenes of a seed.
    Scenes { seed: u64, size: [usize; 2] },
}

impl Origin {
    /// One of [`Origin::Files`].
    pub(super) fn file(root: &Path, record: FileRecord) -> (PathBuf, u64) {
        (root.join(record.path), record.bytes)
    }
}

/// Numbered pictures with the most recently used ones kept in memory.
pub(super) struct Images {
    origin: Origin,
    /// Factor by which pictures are made smaller.
    reduce: usize,
    budget: usize,
    kept: Mutex<Kept>,
    /// What is wrong with those that cannot be used.
    bad: Mutex<HashMap<usize, String>>,
}

#[derive(Default)]
struct Kept {
    photos: HashMap<usize, (Arc<Photo>, u64)>,
    bytes: usize,
    clock: u64,
}

impl Images {
    pub(super) fn new(origin: Origin, config: &DataConfig) -> Self {
        Self {
            origin,
            reduce: config.reduce,
            budget: config.memory_mb << 20,
            kept: Mutex::default(),
            bad: Mutex::default(),
        }
    }

    /// Picture `number`; the error names the file. One that was found to be unusable is not tried again.
    pub(super) fn get(&self, number: usize) -> anyhow::Result<Arc<Photo>> {
        {
            let bad = self.bad.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(error) = bad.get(&number) {
                return Err(anyhow!(error.clone()));
            }
        }
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.clock += 1;
            let clock = kept.clock;
            if let Some((photo, used)) = kept.photos.get_mut(&number) {
                *used = clock;
                return Ok(photo.clone());
            }
        }
        // Decoded outside the lock: two threads may do the same work now and then, none waits.
        let photo = self.make(number).map_err(|e| self.refuse(number, e))?;
        let photo = Arc::new(photo);
        let size = photo.rgb.len();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if size <= self.budget {
            while kept.bytes + size > self.budget {
                let oldest = kept.photos.iter().min_by_key(|(_, (_, used))| *used);
                let Some(oldest) = oldest.map(|(&n, _)| n) else {
                    break;
                };
                if let Some((gone, _)) = kept.photos.remove(&oldest) {
                    kept.bytes -= gone.rgb.len();
                }
            }
            let clock = kept.clock;
            if let Some((old, _)) = kept.photos.insert(number, (photo.clone(), clock)) {
                kept.bytes -= old.rgb.len();
            }
            kept.bytes += size;
        }
        Ok(photo)
    }

    /// SHA-256 over the contents of these pictures and `names`; an unreadable one counts as such.
    pub(super) fn fingerprint<'a>(
        &self,
        numbers: &[usize],
        names: impl Iterator<Item = &'a str>,
    ) -> anyhow::Result<String> {
        let mut text = match &self.origin {
            Origin::Files(paths) => {
                let hashes: Vec<String> = numbers
                    .par_iter()
                    .map(|&n| match paths.get(n).map(|(p, _)| index::sha256(p)) {
                        Some(Ok(hash)) => hash,
                        _ => "unreadable".to_owned(),
                    })
                    .collect();
                hashes.join("\n")
            }
            Origin::Scenes { seed, size } => format!("scenes {seed} {size:?} {numbers:?}"),
        };
        for name in names {
            text.push('\n');
            text.push_str(name);
        }
        Ok(sha256(text.as_bytes()))
    }

    /// A side of a picture after it was made smaller.
    pub(super) fn reduced(&self, side: usize) -> usize {
        (side / self.reduce).max(1)
    }

    fn make(&self, number: usize) -> anyhow::Result<Photo> {
        let photo = self.read(number)?;
        if self.reduce == 1 {
            return Ok(photo);
        }
        let (width, height) = (self.reduced(photo.width), self.reduced(photo.height));
        Ok(resize::bicubic(&photo, width, height))
    }

    fn read(&self, number: usize) -> anyhow::Result<Photo> {
        match &self.origin {
            Origin::Files(paths) => {
                let (path, bytes) = paths.get(number).context("picture number out of range")?;
                // Another picture under the old name would make a wrong pair.
                let now = std::fs::metadata(path).map_or(*bytes, |m| m.len());
                ensure!(
                    now == *bytes,
                    "{} has changed since it was indexed: run `hone data index` again",
                    path.display()
                );
                read::photo(path)
            }
            Origin::Scenes {
                seed,
                size: [width, height],
            } => Ok(Photo::from_picture(&synth::scene(
                *seed,
                number as u64,
                *width,
                *height,
            ))),
        }
    }

    /// Takes picture `number` for unusable from now on, which is told once. Never its neighbours: whether those can be used
    /// would then depend on what was asked for before.
    pub(super) fn refuse(&self, number: usize, error: anyhow::Error) -> anyhow::Error {
        let mut bad = self.bad.lock().unwrap_or_else(PoisonError::into_inner);
        if bad.insert(number, format!("{error:#}")).is_none() {
            let reason = format_args!("{error:#}");
            tell(format_args!("data: skipped: {}", printable(reason)));
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_holds() {
        let origin = Origin::Scenes {
            seed: 1,
            size: [600, 200],
        };
        let config = DataConfig {
            memory_mb: 1,
            ..DataConfig::default()
        };
        let images = Images::new(origin, &config);
        for i in [0, 1, 2, 3, 0] {
            images.get(i).unwrap();
        }
        let kept = images.kept.lock().unwrap();
        assert!(
            kept.bytes <= 1 << 20 && kept.photos.len() == 2,
            "{}",
            kept.bytes
        );
        assert_eq!(
            kept.bytes,
            kept.photos.values().map(|p| p.0.rgb.len()).sum::<usize>()
        );
    }
}

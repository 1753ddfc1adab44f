//! The pictures under a folder: which are pairs, which are sharp, which split each belongs to.
//!
//! Trees that are understood (see `tree` for how):
//!
//! - `train|test/SEQUENCE/{blur,sharp}/NNNN.png` (GoPro; `blur_gamma` is never used)
//! - `train/{train_blur,train_sharp}/SEQUENCE/NNNN.png` (REDS; `train_blur_comp` and the like are never used)
//! - `train|val/{blur,sharp}/*`, `{input,target}/*`, `{lq,gt}/*` in any order of split and role
//! - RealBlur's `*_list.txt` files
//! - DIV2K's `DIV2K_train_HR`, `DIV2K_train_LR_bicubic/X2` ...
//! - anything else: sharp pictures
//!
//! The index file is TOML: `version`, `layout`, `seed`, `validation`, one `[[entries]]` for each picture or
//! pair with path, bytes, width, height, SHA-256 and split, one `[[problems]]` for each file left out.

mod examine;
mod links;
mod list_file;
pub mod planned;
mod sequence;
mod split;
mod tree;
mod verify;
mod walk;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, bail};
use hone_shared::order;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::config::Layout;
pub(crate) use examine::{sha256, whole_factor};
pub(super) use sequence::sequences;
pub use verify::{Change, verify};

/// The name under which an index lies in its folder.
pub const FILE_NAME: &str = "hone-index.toml";

const VERSION: u32 = 1;

/// The reason for a picture that no rule of the layout uses.
const UNUSED: &str = "neither sharp nor part of a pair";

/// What an entry is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Training.
    Train,
    /// Choosing the best checkpoint.
    Validation,
    /// Reported figures only.
    Test,
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Train => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

/// A file as it was when indexed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Relative to the root, with `/`.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Pixels, after EXIF orientation.
    pub width: usize,
    /// Pixels, after EXIF orientation.
    pub height: usize,
    /// In hexadecimal; empty when not hashed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
}

/// A sharp picture, or a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is used for.
    pub split: Split,
    /// Entries of one group (a sequence, or what shares a picture with it) are in one split, unless the folders
    /// say otherwise.
    pub group: String,
    /// What follows each other in time, where that is not the whole group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<String>,
    /// The sharp picture.
    pub truth: FileRecord,
    /// The degraded one, for pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<FileRecord>,
}

impl Entry {
    /// The degraded picture's, where there is one.
    fn first_path(&self) -> &str {
        &self.input.as_ref().unwrap_or(&self.truth).path
    }

    /// Its files: the degraded picture, where there is one, and the sharp one.
    pub(crate) fn files(&self) -> impl Iterator<Item = &FileRecord> {
        self.input.iter().chain([&self.truth])
    }

    /// The group from before it was joined with others.
    fn sequence(&self) -> &str {
        self.sequence.as_deref().unwrap_or(&self.group)
    }
}

/// A file that is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Relative to the root.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// The content of a folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Of the format; 1.
    pub version: u32,
    /// What was found: `pairs` or `sharp`.
    pub layout: Layout,
    /// Seed of the split.
    pub seed: u64,
    /// Part kept for validation where the tree has no split.
    pub validation: f32,
    /// What is used.
    #[serde(default)]
    pub entries: Vec<Entry>,
    /// What is not.
    #[serde(default)]
    pub problems: Vec<Problem>,
}

impl Index {
    /// Reads an index file.
    ///
    /// # Errors
    /// When it is missing, no index, or of a newer version.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let index: Self = toml::from_str(&text)
            .with_context(|| format!("{} is no index of hone", path.display()))?;
        if index.version != VERSION {
            bail!(
                "{}: index version {}, this hone reads {VERSION}: make it anew with `hone data index`",
                path.display(),
                index.version
            );
        }
        let files = || index.entries.iter().flat_map(Entry::files);
        if let Some(file) = files().find(|file| leaves(&file.path)) {
            bail!(
                "{}: {:?} does not lie in the folder that is indexed: make the index anew with `hone data index`",
                path.display(),
                file.path
            );
        }
        Ok(index)
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        Ok(hone_device::atomic::write_bytes(
            path,
            toml::to_string(self)?.as_bytes(),
        )?)
    }

    /// Entries of a split.
    pub fn count(&self, split: Split) -> usize {
        self.entries.iter().filter(|e| e.split == split).count()
    }

    /// A degraded picture, where none was found to be a pair with a sharp one, so that sharp ones alone are used.
    pub fn degraded_alone(&self) -> Option<&str> {
        let unused = self.problems.iter().filter(|p| p.reason == UNUSED);
        let mut unused = unused.map(|p| p.path.as_str());
        match self.layout {
            Layout::Sharp => unused.find(|path| tree::is_degraded(Path::new(path))),
            _ => None,
        }
    }

    /// How often each reason for leaving a file out occurs.
    pub fn problem_counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for problem in &self.problems {
            *counts.entry(problem.reason.as_str()).or_default() += 1;
        }
        counts
    }
}

/// An entry before its files are looked at; paths relative to the root.
struct Candidate {
    truth: PathBuf,
    input: Option<PathBuf>,
    group: String,
    split: Option<Split>,
}

/// [`scan_told`] in silence.
///
/// # Errors
/// As said.
pub fn scan(
    root: &Path,
    layout: Layout,
    seed: u64,
    validation: f32,
    thorough: bool,
) -> anyhow::Result<Index> {
    scan_told(root, layout, seed, validation, thorough, &|_, _| {})
}

/// Looks through a folder. With `thorough`, every file is decoded and hashed; else only headers are read,
/// and what could be copies of one picture is hashed. `told` hears how many entries of how many are done.
///
/// # Errors
/// When the folder cannot be read, holds videos only, or `layout` asks for pairs and there are none.
pub fn scan_told(
    root: &Path,
    layout: Layout,
    seed: u64,
    validation: f32,
    thorough: bool,
    told: &(dyn Fn(usize, usize) + Sync),
) -> anyhow::Result<Index> {
    let mut found = walk::walk(root)?;
    let mut problems = std::mem::take(&mut found.problems);
    let mut candidates = Vec::new();
    let mut listed = false;
    if layout != Layout::Sharp {
        candidates = list_file::pairs(root, &found.lists)?;
        listed = !candidates.is_empty();
        if !listed {
            candidates = tree::pairs(&found.pictures, &mut problems);
        }
    }
    let paired = !candidates.is_empty();
    if layout == Layout::Pairs && !paired {
        bail!(
            "no pairs under {}: expected folders like blur/ and sharp/, input/ and target/, lq/ and gt/",
            root.display()
        );
    }
    if !paired {
        problems.retain(|p| p.reason != tree::ORPHAN);
        candidates = tree::sharp(&found.pictures);
    }
    let wanted: HashSet<PathBuf> = candidates
        .iter()
        .flat_map(|c| c.input.iter().chain([&c.truth]))
        .cloned()
        .collect();
    let (total, done) = (candidates.len(), AtomicUsize::new(0));
    let looked_at: Vec<_> = candidates
        .into_par_iter()
        .map(|c| {
            let result = examine::entry(root, c, thorough);
            told(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            result
        })
        .collect();
    let mut entries = Vec::with_capacity(looked_at.len());
    for result in looked_at {
        match result {
            Ok(entry) => entries.push(entry),
            Err(problem) => problems.push(problem),
        }
    }
    if !thorough {
        examine::hash_possible_copies(root, &mut entries);
    }
    let mut entries = split::assign(entries, &mut problems, seed, validation);
    if !listed {
        // Neighbours are neighbours in time. Last of all: partners and splits are as they always were.
        entries.sort_by(|a, b| order::paths(Path::new(a.first_path()), Path::new(b.first_path())));
    }
    name_the_rest(&found.pictures, &wanted, &entries, &mut problems);
    problems.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Index {
        version: VERSION,
        layout: if paired { Layout::Pairs } else { Layout::Sharp },
        seed,
        validation,
        entries,
        problems,
    })
}

/// Every picture is either used or a problem.
fn name_the_rest(
    pictures: &[PathBuf],
    wanted: &HashSet<PathBuf>,
    entries: &[Entry],
    problems: &mut Vec<Problem>,
) {
    let known: HashSet<String> = entries
        .iter()
        .flat_map(Entry::files)
        .map(|file| file.path.clone())
        .chain(problems.iter().map(|p| p.path.clone()))
        .collect();
    for picture in pictures {
        let path = slashed(picture);
        if !known.contains(&path) {
            let reason = match wanted.contains(picture) {
                true => "its partner cannot be used",
                false => UNUSED,
            };
            problems.push(Problem {
                path,
                reason: reason.to_owned(),
            });
        }
    }
}

/// Whether a path leads out of the folder that it is relative to; what does is not part of a data set.
fn leaves(path: &str) -> bool {
    path.starts_with('/') || path.split('/').any(|part| part == "..")
}

fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path
        .components()
        .map(|c| c.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}

#[cfg(test)]
mod tests;

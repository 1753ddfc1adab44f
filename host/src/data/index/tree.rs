//! Pairs told by the names of folders.
//!
//! Every path is taken apart into role (a folder called `blur`, `gt` ...), split (`train`, `val` ...) and the
//! rest, its key. Two pictures of different roles with one key are a pair. The order of the folders does
//! not matter, so one rule reads GoPro, REDS, DIV2K and everything that people build themselves. A name with a split's
//! word in it (`clip_test`) tells the split and stays in the key, unless it tells the role too (`train_blur`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Candidate, Problem, Split, slashed};

/// The reason for a degraded picture without its sharp partner, or the other way round.
pub(super) const ORPHAN: &str = "has no partner";

/// The reason where two sharp pictures claim one name.
const TWINS: &str = "two sharp pictures have this name";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Input,
    Truth,
    /// Another rendering of the same pictures (`blur_gamma`), not to be mixed in.
    Other,
}

fn role(folder: &str) -> Option<Role> {
    // REDS calls its folders train_blur, train_sharp, train_blur_comp ...
    let folder = match folder.split_once('_') {
        Some((first, rest)) if split(first).is_some() => rest,
        _ => folder,
    };
    match folder {
        "blur" | "blurry" | "input" | "inputs" | "lq" | "lr" | "noisy" | "degraded" => {
            Some(Role::Input)
        }
        "sharp" | "target" | "targets" | "gt" | "hq" | "hr" | "clean" | "groundtruth" => {
            Some(Role::Truth)
        }
        _ if folder.ends_with("_hr") => Some(Role::Truth),
        _ if folder.contains("_lr_") || folder.ends_with("_lr") => Some(Role::Input),
        _ if folder.starts_with("blur_") || folder.starts_with("sharp_") => Some(Role::Other),
        _ => None,
    }
}

/// The split that is all of a folder's name.
fn only_split(word: &str) -> Option<Split> {
    match word {
        "train" | "training" => Some(Split::Train),
        "val" | "valid" | "validation" => Some(Split::Validation),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    }
}

/// The split a folder's name stands for; of several the one that comes first in a training.
pub(super) fn split(folder: &str) -> Option<Split> {
    folder
        .split(['_', '-', '.'])
        .filter_map(only_split)
        .min_by_key(|split| *split as u8)
}

/// What a picture shares with its partner: the split, and the folders with the stem.
type Key = (Option<u8>, String);

/// A path taken apart.
struct Parts {
    role: Option<Role>,
    split: Option<Split>,
    /// Folders that are not merely role or split.
    folders: Vec<String>,
    stem: String,
    /// Of a picture that DIV2K would have reduced: its 0001.png is 0001x2.png then.
    full_size: Option<String>,
}

impl Parts {
    fn of(path: &Path) -> Self {
        let mut parts = Self {
            role: None,
            split: None,
            folders: Vec::new(),
            stem: path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .to_lowercase(),
            full_size: None,
        };
        let folders = path.parent().into_iter().flat_map(Path::components);
        for folder in folders {
            let name = folder.as_os_str().to_string_lossy().to_lowercase();
            let (role, split) = (role(&name), split(&name));
            if parts.role.is_none() && role.is_some() {
                parts.role = role;
            } else if only_split(&name).is_none()
                && (split.is_none() || role.is_none())
                && !is_scale(&name)
            {
                parts.folders.push(name);
            }
            parts.split = parts.split.or(split);
        }
        if parts.role == Some(Role::Input)
            && let Some((stem, scale)) = parts.stem.rsplit_once('x')
            && ["2", "3", "4"].contains(&scale)
            && !stem.is_empty()
            && stem.bytes().all(|b| b.is_ascii_digit())
        {
            parts.full_size = Some(stem.to_owned());
        }
        // RealBlur's scenes hold blur_1.png and gt_1.png.
        if let Some((first, rest)) = parts.stem.split_once('_')
            && parts.role.is_some()
            && role(first).is_some()
        {
            parts.stem = rest.to_owned();
        }
        parts
    }

    fn key_of(&self, stem: &str) -> Key {
        let split = self.split.map(|s| s as u8);
        (split, format!("{}/{stem}", self.folders.join("/")))
    }

    fn key(&self) -> Key {
        self.key_of(&self.stem)
    }

    /// The keys that its partner may have, the likelier one first.
    fn keys(&self) -> impl Iterator<Item = Key> {
        let stems = [Some(&self.stem), self.full_size.as_ref()];
        stems.into_iter().flatten().map(|stem| self.key_of(stem))
    }

    /// The sequence, or the picture itself.
    fn group(&self, sequences: bool) -> String {
        if sequences && !self.folders.is_empty() {
            let split = self.split.map_or("", |s| match s {
                Split::Train => "train/",
                Split::Validation => "val/",
                Split::Test => "test/",
            });
            format!("{split}{}", self.folders.join("/"))
        } else {
            let (_, key) = self.key();
            match self.split {
                Some(split) => format!("{split:?}{key}").to_lowercase(),
                None => key.trim_start_matches('/').to_owned(),
            }
        }
    }
}

fn is_scale(folder: &str) -> bool {
    matches!(folder, "x2" | "x3" | "x4")
}

/// Whether a folder's name says that the picture in it is degraded.
pub(super) fn is_degraded(path: &Path) -> bool {
    Parts::of(path).role == Some(Role::Input)
}

/// Pairs by folder names; none when no folder has a role.
pub(super) fn pairs(pictures: &[PathBuf], problems: &mut Vec<Problem>) -> Vec<Candidate> {
    let before = problems.len();
    let parts: Vec<Parts> = pictures.iter().map(|p| Parts::of(p)).collect();
    let mut truths: BTreeMap<Key, (usize, bool)> = BTreeMap::new();
    let mut twins = BTreeSet::new();
    for (i, part) in parts.iter().enumerate() {
        if part.role == Some(Role::Truth) && truths.insert(part.key(), (i, false)).is_some() {
            twins.insert(part.key());
        }
    }
    // Which of two is the partner, nobody knows: neither is.
    for key in &twins {
        truths.remove(key);
    }
    let mut candidates = Vec::new();
    let mut orphans = Vec::new();
    for (path, part) in pictures.iter().zip(&parts) {
        let known = |key: &Key| twins.contains(key) || truths.contains_key(key);
        let key = part.keys().find(known).unwrap_or_else(|| part.key());
        match part.role {
            Some(Role::Truth | Role::Input) if twins.contains(&key) => {
                problems.push(Problem {
                    path: slashed(path),
                    reason: TWINS.to_owned(),
                });
            }
            Some(Role::Input) => match truths.get_mut(&key) {
                Some((truth, used)) => {
                    *used = true;
                    candidates.push(Candidate {
                        truth: pictures[*truth].clone(),
                        input: Some(path.clone()),
                        group: parts[*truth].group(true),
                        split: part.split,
                    });
                }
                None => orphans.push(path),
            },
            Some(Role::Other) => problems.push(Problem {
                path: slashed(path),
                reason: "another rendering of the same pictures".to_owned(),
            }),
            None if !truths.is_empty() => problems.push(Problem {
                path: slashed(path),
                reason: "in no folder of degraded or sharp pictures".to_owned(),
            }),
            Some(Role::Truth) | None => {}
        }
    }
    orphans.extend(
        truths
            .values()
            .filter(|(_, used)| !used)
            .map(|(i, _)| &pictures[*i]),
    );
    if candidates.is_empty() {
        problems.truncate(before);
        return candidates;
    }
    problems.extend(orphans.into_iter().map(|path| Problem {
        path: slashed(path),
        reason: ORPHAN.to_owned(),
    }));
    candidates
}

/// Every picture for itself; numbered files of one folder are a sequence. Of a tree with roles, only the sharp ones.
pub(super) fn sharp(pictures: &[PathBuf]) -> Vec<Candidate> {
    let parts: Vec<Parts> = pictures.iter().map(|p| Parts::of(p)).collect();
    let mut numbered: BTreeMap<&Path, (usize, usize)> = BTreeMap::new();
    for (path, part) in pictures.iter().zip(&parts) {
        let folder = path.parent().unwrap_or(Path::new(""));
        let counts = numbered.entry(folder).or_default();
        counts.0 += 1;
        counts.1 += usize::from(part.stem.bytes().all(|b| b.is_ascii_digit()));
    }
    let usable = |part: &Parts| matches!(part.role, None | Some(Role::Truth));
    pictures
        .iter()
        .zip(&parts)
        .filter(|(_, part)| usable(part))
        .map(|(path, part)| {
            let folder = path.parent().unwrap_or(Path::new(""));
            let sequence = numbered
                .get(folder)
                .is_some_and(|(all, digits)| all == digits && *all > 1);
            Candidate {
                truth: path.clone(),
                input: None,
                group: part.group(sequence),
                split: part.split,
            }
        })
        .collect()
}

//! Pairs told by the names of folders.
//!
//! Every path is taken apart into role (a folder called `blur`, `gt` ...), split (`train`, `val` ...) and the
//! rest, its key. Two pictures of different roles with one key are a pair. The order of the folders does
//! not matter, so one rule reads GoPro, REDS, DIV2K and everything that people build themselves.

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

/// The split a folder's name stands for.
pub(super) fn split(folder: &str) -> Option<Split> {
    let word = |w: &str| folder.split(['_', '-', '.']).any(|part| part == w);
    if word("train") || word("training") {
        Some(Split::Train)
    } else if word("val") || word("valid") || word("validation") {
        Some(Split::Validation)
    } else if word("test") || word("testing") {
        Some(Split::Test)
    } else {
        None
    }
}

/// A path taken apart.
struct Parts {
    role: Option<Role>,
    split: Option<Split>,
    /// Folders that are neither role nor split.
    folders: Vec<String>,
    stem: String,
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
        };
        let folders = path.parent().into_iter().flat_map(Path::components);
        for folder in folders {
            let name = folder.as_os_str().to_string_lossy().to_lowercase();
            let (role, split) = (role(&name), split(&name));
            if parts.role.is_none() && role.is_some() {
                parts.role = role;
            } else if split.is_none() && !is_scale(&name) {
                parts.folders.push(name);
            }
            parts.split = parts.split.or(split);
        }
        // DIV2K calls the reduced 0001.png 0001x2.png, RealBlur's scenes hold blur_1.png and gt_1.png.
        if parts.role == Some(Role::Input)
            && let Some((stem, scale)) = parts.stem.rsplit_once('x')
            && ["2", "3", "4"].contains(&scale)
            && !stem.is_empty()
            && stem.bytes().all(|b| b.is_ascii_digit())
        {
            parts.stem = stem.to_owned();
        }
        if let Some((first, rest)) = parts.stem.split_once('_')
            && parts.role.is_some()
            && role(first).is_some()
        {
            parts.stem = rest.to_owned();
        }
        parts
    }

    fn key(&self) -> (Option<u8>, String) {
        let split = self.split.map(|s| s as u8);
        (split, format!("{}/{}", self.folders.join("/"), self.stem))
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
    let mut truths: BTreeMap<_, (usize, bool)> = BTreeMap::new();
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
        match part.role {
            Some(Role::Truth | Role::Input) if twins.contains(&part.key()) => {
                problems.push(Problem {
                    path: slashed(path),
                    reason: TWINS.to_owned(),
                });
            }
            Some(Role::Input) => match truths.get_mut(&part.key()) {
                Some((truth, used)) => {
                    *used = true;
                    candidates.push(Candidate {
                        truth: pictures[*truth].clone(),
                        input: Some(path.clone()),
                        group: part.group(true),
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

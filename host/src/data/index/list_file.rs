//! RealBlur's list files: each line names a sharp picture and its blurred partner.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Candidate, Split, tree};
use crate::data::read;

/// Largest list that is read, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// The pairs of all `*_list.txt`; a text file of another kind gives none.
pub(super) fn pairs(root: &Path, lists: &[PathBuf]) -> anyhow::Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    for list in lists {
        let name = list
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        let full = root.join(list);
        let is_small = std::fs::metadata(&full).is_ok_and(|m| m.len() <= MAX_BYTES);
        if !name.ends_with("_list") || !is_small {
            continue;
        }
        let bytes =
            std::fs::read(&full).with_context(|| format!("cannot read {}", full.display()))?;
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        let split: Option<Split> = tree::split(&name);
        let folder = list.parent().unwrap_or(Path::new(""));
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(truth), Some(input)) = (words.next(), words.next()) else {
                continue;
            };
            if ![truth, input]
                .iter()
                .all(|path| read::is_picture(Path::new(path)))
            {
                continue;
            }
            if super::leaves(truth) || super::leaves(input) {
                continue;
            }
            let truth = folder.join(truth);
            // scene001/gt/gt_1.png: the scene is the group.
            let scene = truth.parent().and_then(Path::parent).unwrap_or(&truth);
            candidates.push(Candidate {
                group: super::slashed(scene),
                truth,
                input: Some(folder.join(input)),
                split,
            });
        }
    }
    Ok(candidates)
}

//! Pairs that are yet to be made: what an index would say of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};

use super::{FileRecord, Problem, Split, examine, tree, walk};

/// Every picture under a folder, whatever folders are called, and what cannot be used.
///
/// # Errors
/// When the folder cannot be read, or holds videos only.
pub fn pictures(root: &Path) -> anyhow::Result<(Vec<FileRecord>, Vec<Problem>)> {
    let found = walk::walk(root)?;
    let mut problems = found.problems;
    let mut records = Vec::with_capacity(found.pictures.len());
    for path in &found.pictures {
        match examine::record(root, path, false) {
            Ok(record) => records.push(record),
            Err(problem) => problems.push(problem),
        }
    }
    Ok((records, problems))
}

/// Refuses `pairs` of degraded and sharp paths that would not all be told as such, or of which none would train.
///
/// # Errors
/// As said, with the words of who makes the names.
pub fn check(pairs: &[(PathBuf, PathBuf)]) -> anyhow::Result<()> {
    let both = pairs.iter().flat_map(|(a, b)| [a.clone(), b.clone()]);
    let found = tree::pairs(&both.collect::<Vec<_>>(), &mut Vec::new());
    let found = found.into_iter().map(|c| ((c.input, c.truth), c.split));
    let found: HashMap<_, _> = found.collect();
    let mut trains = pairs.is_empty();
    for (input, truth) in pairs {
        match found.get(&(Some(input.clone()), truth.clone())) {
            Some(split) => trains |= !matches!(split, Some(Split::Validation | Split::Test)),
            None => {
                let frame = input.components().skip(1).collect::<PathBuf>();
                bail!(
                    "the answer to {} would not be told as its partner: give each picture of a folder a name of its own, \
                     such as 0001.png",
                    frame.display()
                );
            }
        }
    }
    ensure!(
        trains,
        "its folders are called as those that are kept for validation or tests are: give one of them a name without 'val' \
         and 'test'"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(frames: &[&str]) -> Result<(), String> {
        let pair = |frame: &&str| {
            let target = Path::new("target").join(frame).with_extension("png");
            (Path::new("input").join(frame), target)
        };
        let pairs: Vec<_> = frames.iter().map(pair).collect();
        check(&pairs).map_err(|error| error.to_string())
    }

    #[test]
    fn names_may_be_anything_that_pairs_and_trains() {
        checked(&["noisy/1.png", "train_yard/1.jpg", "blur/0001x2.png"]).unwrap();
        checked(&["test-north/1.png", "south/1.png"]).unwrap();
        let error = checked(&["a/1.png", "a/1.jpg"]).unwrap_err();
        assert!(error.contains("the answer to a/1."), "{error}");
        let error = checked(&["test-north/1.png", "val_a/1.png"]).unwrap_err();
        assert!(error.contains("kept for validation"), "{error}");
    }
}

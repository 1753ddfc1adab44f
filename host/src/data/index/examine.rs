//! What the index says about single files.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{Candidate, Entry, FileRecord, Problem, Split, slashed};
use crate::data::read;

/// Reads what the index says about a candidate's files; an unusable file is a problem.
pub(super) fn entry(
    root: &Path,
    candidate: Candidate,
    thorough: bool,
) -> Result<(Entry, Option<Split>), Problem> {
    let truth = record(root, &candidate.truth, thorough)?;
    let input = match &candidate.input {
        Some(path) => Some(record(root, path, thorough)?),
        None => None,
    };
    if let Some(input) = &input
        && whole_factor((input.width, input.height), (truth.width, truth.height)).is_none()
    {
        return Err(Problem {
            path: input.path.clone(),
            reason: "size does not fit its sharp partner".to_owned(),
        });
    }
    let entry = Entry {
        split: Split::Train,
        group: candidate.group,
        sequence: None,
        truth,
        input,
    };
    Ok((entry, candidate.split))
}

/// How many times as large a sharp picture is as its degraded partner, by width and height: 1 to 4.
pub(crate) fn whole_factor(small: (usize, usize), sharp: (usize, usize)) -> Option<usize> {
    let times = sharp.0 / small.0.max(1);
    let fits = (1..=4).contains(&times) && (small.0 * times, small.1 * times) == sharp;
    fits.then_some(times)
}

/// Copies of one picture have one length: only sharp pictures that share theirs need their hashes.
pub(super) fn hash_possible_copies(root: &Path, entries: &mut [(Entry, Option<Split>)]) {
    let mut lengths: HashMap<u64, usize> = HashMap::new();
    for (entry, _) in entries.iter() {
        *lengths.entry(entry.truth.bytes).or_default() += 1;
    }
    entries.par_iter_mut().for_each(|(entry, _)| {
        if lengths[&entry.truth.bytes] > 1 {
            // An unreadable file is found again, and named, when it is wanted.
            entry.truth.sha256 = sha256(&root.join(&entry.truth.path)).unwrap_or_default();
        }
    });
}

/// What the index says about one file.
pub(super) fn record(root: &Path, path: &Path, thorough: bool) -> Result<FileRecord, Problem> {
    let full = root.join(path);
    let problem = |error: read::Unusable| Problem {
        path: slashed(path),
        reason: error.to_string(),
    };
    let bytes = std::fs::metadata(&full).map_or(0, |m| m.len());
    let (width, height) = if thorough {
        read::check(&full).map_err(problem)?
    } else {
        read::size(&full).map_err(problem)?
    };
    Ok(FileRecord {
        path: slashed(path),
        bytes,
        width,
        height,
        sha256: if thorough {
            sha256(&full).map_err(|_| Problem {
                path: slashed(path),
                reason: "cannot be read".to_owned(),
            })?
        } else {
            String::new()
        },
    })
}

/// SHA-256 of a file in hexadecimal.
pub(crate) fn sha256(path: &Path) -> anyhow::Result<String> {
    let mut file =
        std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file
            .read(&mut buffer)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect())
}

//! Whether the files are still those that were indexed.

use std::collections::HashSet;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::{Entry, FileRecord, Index, sha256, slashed, walk};

/// A difference between index and disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Relative to the root.
    pub path: String,
    /// `missing`, `changed`, `unreadable`, or `new`.
    pub what: &'static str,
}

/// Re-hashes every file, and looks for pictures that the index does not know. An index made without hashes
/// is compared by length.
///
/// # Errors
/// When the folder cannot be read.
pub fn verify(index: &Index, root: &Path) -> anyhow::Result<Vec<Change>> {
    let mut files: Vec<&FileRecord> = index.entries.iter().flat_map(Entry::files).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    let known: HashSet<&str> = files
        .iter()
        .map(|f| f.path.as_str())
        .chain(index.problems.iter().map(|p| p.path.as_str()))
        .collect();
    let mut changes: Vec<Change> = files
        .par_iter()
        .filter_map(|file| {
            let what = compare(file, &root.join(&file.path))?;
            Some(Change {
                path: file.path.clone(),
                what,
            })
        })
        .collect();
    let found = walk::walk(root)?.pictures;
    let new = found.iter().map(|path| slashed(path));
    changes.extend(
        new.filter(|path| !known.contains(path.as_str()))
            .map(|path| Change { path, what: "new" }),
    );
    Ok(changes)
}

fn compare(file: &FileRecord, path: &Path) -> Option<&'static str> {
    let Ok(metadata) = std::fs::metadata(path) else {
        return Some("missing");
    };
    if metadata.len() != file.bytes {
        return Some("changed");
    }
    if file.sha256.is_empty() {
        return None;
    }
    match sha256(path) {
        Ok(hash) if hash == file.sha256 => None,
        Ok(_) => Some("changed"),
        Err(_) => Some("unreadable"),
    }
}

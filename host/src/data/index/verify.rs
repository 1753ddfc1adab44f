//! Whether the files are still those that were indexed.

use std::path::Path;

use rayon::prelude::*;

use super::{FileRecord, Index, sha256};

/// A difference between index and disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Relative to the root.
    pub path: String,
    /// `missing`, `changed`, or `unreadable`.
    pub what: &'static str,
}

/// Re-hashes every file. An index made without hashes is compared by length.
pub fn verify(index: &Index, root: &Path) -> Vec<Change> {
    let mut files: Vec<&FileRecord> = index
        .entries
        .iter()
        .flat_map(|e| e.input.iter().chain(std::iter::once(&e.truth)))
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    files
        .into_par_iter()
        .filter_map(|file| {
            let what = compare(file, &root.join(&file.path))?;
            Some(Change {
                path: file.path.clone(),
                what,
            })
        })
        .collect()
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

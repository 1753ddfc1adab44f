//! Links to folders, each of which is walked once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The reason for a link to what is walked already.
pub(super) const AGAIN: &str = "a link to a folder whose pictures are counted already";

/// What links may lead to.
pub(super) struct Links {
    /// The folder that is walked, without links.
    root: PathBuf,
    followed: BTreeSet<PathBuf>,
}

impl Links {
    /// For a walk of `root`.
    pub(super) fn of(root: &Path) -> Self {
        Self {
            root: std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned()),
            followed: BTreeSet::new(),
        }
    }

    /// Whether the folder that `link` leads to is to be walked: it is no part of what is walked, nor holds that.
    pub(super) fn follow(&mut self, link: &Path) -> bool {
        let Ok(real) = std::fs::canonicalize(link) else {
            return false;
        };
        let meets = |walked: &PathBuf| real.starts_with(walked) || walked.starts_with(&real);
        let met = meets(&self.root) || self.followed.iter().any(meets);
        !met && self.followed.insert(real)
    }
}

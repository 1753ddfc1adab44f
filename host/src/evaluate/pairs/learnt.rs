//! What runs were trained on, which tells nothing of how they do on other pictures.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::data::config::{DataConfig, Layout};
use crate::data::index::{self, Index, Split};
use crate::data::source::{find_index, index_file};

/// The data of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learnt<'a> {
    /// The recipe's `[data]` table.
    pub data: &'a DataConfig,
    /// Folder of its relative paths.
    pub base: &'a Path,
}

impl Learnt<'_> {
    /// The folder that pictures were read from, where it is still there.
    fn root(&self) -> Option<PathBuf> {
        if self.data.layout == Layout::Scenes {
            return None;
        }
        let root = self.base.join(self.data.root.as_ref()?);
        root.canonicalize().ok()
    }

    /// Whether `folder` is the one that the run read.
    pub(super) fn is_in(&self, folder: &Path) -> bool {
        let root = self.root();
        root.is_some() && root == folder.canonicalize().ok()
    }

    /// Whether an index told the run which pictures train.
    pub(super) fn is_indexed(&self) -> bool {
        index_file(self.data, self.base).is_some()
    }

    /// The folder and what is in it, as the run read it.
    pub(super) fn index(&self) -> anyhow::Result<(PathBuf, Index)> {
        find_index(self.data, self.base)
    }

    /// The sharp pictures that the run was trained on, where it read `folder`, one around it or one below it. A folder that can
    /// no longer be read names none.
    pub(super) fn pictures(&self, folder: &Path) -> BTreeSet<PathBuf> {
        let both = folder.canonicalize().ok().zip(self.root());
        let near = both.is_some_and(|(a, b)| a.starts_with(&b) || b.starts_with(&a));
        let found = near.then(|| self.index().ok()).flatten();
        found.map_or_else(BTreeSet::new, |(root, index)| training(&root, &index))
    }
}

/// The sharp pictures in `root` that train, as `index` says.
pub(super) fn training(root: &Path, index: &Index) -> BTreeSet<PathBuf> {
    let training = index.entries.iter().filter(|e| e.split == Split::Train);
    let file = |e: &index::Entry| root.join(&e.truth.path).canonicalize().ok();
    training.filter_map(file).collect()
}

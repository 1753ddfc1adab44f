//! Pairs of degraded and sharp pictures, whatever they come from.

mod augment;
mod files;
mod flat;
mod pairs;
mod sharp;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};

use super::config::{DataConfig, Layout};
use super::index::{Index, Split};
use crate::picture::Picture;
pub use augment::{Symmetry, sharpness};
use files::Images;
pub use flat::{quantile, scores};

/// What a student gets and what it should make of it; RGB, same size.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The camera's picture.
    pub input: Picture,
    /// The sharp one.
    pub truth: Picture,
}

/// Where pairs come from. A patch is a function of its arguments only: any thread may ask, in any order.
pub trait PairSource: Send + Sync {
    /// The `index`-th patch of the endless walk named `seed`; `crop` x `crop` pixels.
    ///
    /// # Errors
    /// When no picture can be read any more. Single unreadable pictures are replaced by others, told
    /// once on standard error and counted.
    fn patch(&self, seed: u64, index: u64, crop: usize) -> anyhow::Result<Pair> {
        let last = self.sequence(seed, index, crop, 1)?.pop();
        last.context("the data give no picture")
    }

    /// `frames` consecutive pictures, oldest first, of the `index`-th patch of the walk: one camera,
    /// its noise anew in each, and what it sees moves. One frame is [`PairSource::patch`].
    ///
    /// # Errors
    /// As [`PairSource::patch`], and when the data hold no consecutive pictures.
    fn sequence(
        &self,
        seed: u64,
        index: u64,
        crop: usize,
        frames: usize,
    ) -> anyhow::Result<Vec<Pair>>;

    /// The validation pairs, always the same.
    ///
    /// # Errors
    /// When none can be read.
    fn validation(&self) -> anyhow::Result<Vec<Pair>>;

    /// Sequences as [`PairSource::sequence`] gives them, of the validation pictures; always the same.
    ///
    /// # Errors
    /// As [`PairSource::sequence`].
    fn validation_sequences(&self, frames: usize) -> anyhow::Result<Vec<Vec<Pair>>>;

    /// SHA-256 over everything that the training patches are cut from, in its order.
    ///
    /// # Errors
    /// When the pictures cannot be hashed.
    fn fingerprint(&self) -> anyhow::Result<String>;

    /// Number of training pictures.
    fn len(&self) -> usize;

    /// Whether there is nothing to train on.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pictures that turned out to be unreadable or wrong so far.
    fn skipped(&self) -> usize;

    /// For people: what this is.
    fn describe(&self) -> String;
}

/// Opens what a recipe's `[data]` table describes; `base` is the folder that relative paths start from.
///
/// # Errors
/// When a value is out of bounds, or the folder is missing or holds no picture.
pub fn open(config: &DataConfig, base: &Path) -> anyhow::Result<Arc<dyn PairSource>> {
    config.check()?;
    if config.drop_flattest > 0.0 {
        return open(&flat::with_threshold(config, base)?, base);
    }
    if config.layout == Layout::Scenes {
        return Ok(Arc::new(sharp::SharpSource::scenes(config)));
    }
    let root = base.join(config.root.as_deref().unwrap_or(Path::new("")));
    let index = find_index(config, base, &root)?;
    for (reason, count) in index.problem_counts() {
        let first = index.problems.iter().find(|p| p.reason == reason);
        let example = first.map_or("", |p| p.path.as_str());
        eprintln!("data: left out {count} ({reason}), the first is {example}");
    }
    if index.count(Split::Train) == 0 {
        bail!(
            "{} has no picture to train on ({} left out): see `hone data index`",
            root.display(),
            index.problems.len()
        );
    }
    if index.entries.iter().any(|e| e.input.is_some()) {
        Ok(Arc::new(pairs::PairsSource::new(config, &root, index)))
    } else {
        Ok(Arc::new(sharp::SharpSource::files(config, &root, index)))
    }
}

fn find_index(config: &DataConfig, base: &Path, root: &Path) -> anyhow::Result<Index> {
    let named = config.index.as_ref().map(|p| base.join(p));
    let lying = Some(root.join(super::index::FILE_NAME)).filter(|p| p.is_file());
    match named.or(lying) {
        Some(path) => {
            let index = Index::load(&path)?;
            agree(config.layout, index.layout, &path)?;
            Ok(index)
        }
        None => super::index::scan(root, config.layout, config.seed, config.validation, false)
            .with_context(|| format!("cannot use {} as data", root.display())),
    }
}

/// The index says which files are pairs; a recipe that says otherwise would train on something else.
fn agree(wanted: Layout, made: Layout, index: &Path) -> anyhow::Result<()> {
    let name = |layout| match layout {
        Layout::Auto => "auto",
        Layout::Pairs => "pairs",
        Layout::Sharp => "sharp",
        Layout::Scenes => "scenes",
    };
    if wanted != Layout::Auto && wanted != made {
        bail!(
            "the index {} was made with layout '{}', the recipe says '{}': make the index again, or drop 'layout'",
            index.display(),
            name(made),
            name(wanted)
        );
    }
    Ok(())
}

/// `count` positions spread evenly over `0..len`.
fn spread(len: usize, count: usize) -> Vec<usize> {
    let count = count.min(len);
    (0..count).map(|i| i * len / count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_and_the_index_of_its_folder_agree() {
        let folder = tempfile::tempdir().unwrap();
        for role in ["blur", "sharp"] {
            std::fs::create_dir(folder.path().join(role)).unwrap();
            let picture = crate::data::synth::scene(1, 0, 48, 40);
            picture
                .save(&folder.path().join(role).join("0.png"))
                .unwrap();
        }
        let opened = |layout| {
            let config = DataConfig {
                root: Some(folder.path().to_owned()),
                layout,
                validation: 0.0,
                ..DataConfig::default()
            };
            open(&config, Path::new("")).map(|source| source.len())
        };
        // Without an index the recipe decides.
        assert_eq!(opened(Layout::Sharp).unwrap(), 1);
        let index = super::super::index::scan(folder.path(), Layout::Auto, 0, 0.0, false).unwrap();
        let name = folder.path().join(super::super::index::FILE_NAME);
        index.save(&name).unwrap();
        assert_eq!(opened(Layout::Auto).unwrap(), 1);
        assert_eq!(opened(Layout::Pairs).unwrap(), 1);
        let error = opened(Layout::Sharp).unwrap_err().to_string();
        assert!(
            error.contains("with layout 'pairs', the recipe says 'sharp'"),
            "{error}"
        );
    }
}

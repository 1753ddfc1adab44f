//! Pairs of degraded and sharp pictures, whatever they come from.

mod augment;
mod files;
mod flat;
mod listing;
mod pairs;
mod sharp;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use hone_shared::printable::printable;

use super::config::{DataConfig, Layout};
use super::index::{Index, Split};
use crate::picture::Picture;
pub use augment::{Symmetry, sharpness};
use files::Images;
pub use flat::{quantile, scores};
use listing::Listing;

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
    /// When no picture can be read any more. Single unreadable pictures are replaced by others and
    /// told once on standard error.
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

    /// SHA-256 over the names, lengths and splits of all files; none where there are no files.
    fn listing(&self) -> Option<&str> {
        None
    }

    /// Number of training pictures.
    fn pictures(&self) -> usize;

    /// For people: what this is.
    fn describe(&self) -> String;
}

/// Opens what a recipe's `[data]` table describes; `base` is the folder that relative paths start from.
///
/// # Errors
/// When a value is out of bounds, or the folder is missing or holds no picture.
pub fn open(config: &DataConfig, base: &Path) -> anyhow::Result<Arc<dyn PairSource>> {
    let mut source = open_as_said(config, base)?;
    if config.drop_flattest > 0.0 {
        flat::set_threshold(&mut *source)?;
    }
    let source: Box<dyn PairSource> = source;
    Ok(Arc::from(source))
}

/// A source whose settings may change before it is used.
trait Adjustable: PairSource {
    fn config(&mut self) -> &mut DataConfig;
}

/// [`open`] without the threshold of the flattest patches.
fn open_as_said(config: &DataConfig, base: &Path) -> anyhow::Result<Box<dyn Adjustable>> {
    config.check()?;
    if config.layout == Layout::Scenes {
        return Ok(Box::new(sharp::SharpSource::scenes(config)?));
    }
    let (root, index) = find_index(config, base)?;
    if let Some(warning) = ignored(config, &index) {
        eprintln!("warning: {warning}");
    }
    if config.layout != Layout::Sharp
        && let Some(path) = index.degraded_alone()
    {
        bail!(
            "{} holds degraded pictures, as {path}, and none is a pair with a sharp one: name the two alike, or set \
             data.layout = \"sharp\" to train on the sharp ones alone",
            root.display()
        );
    }
    for (reason, count) in index.problem_counts() {
        let first = index.problems.iter().find(|p| p.reason == reason);
        let example = first.map_or("", |p| p.path.as_str());
        let example = printable(example);
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
        Ok(Box::new(pairs::PairsSource::new(config, &root, index)))
    } else {
        Ok(Box::new(sharp::SharpSource::files(config, &root, index)?))
    }
}

/// The folder of the pictures that a recipe's `[data]` table names, and what is in it: as its index says, where there is
/// one.
///
/// # Errors
/// When the folder or the index cannot be read, or the index is of another layout.
pub fn find_index(config: &DataConfig, base: &Path) -> anyhow::Result<(PathBuf, Index)> {
    let root = base.join(config.root.as_deref().unwrap_or(Path::new("")));
    let named = config.index.as_ref().map(|p| base.join(p));
    let lying = Some(root.join(super::index::FILE_NAME)).filter(|p| p.is_file());
    let index = match named.or(lying) {
        Some(path) => {
            let index = Index::load(&path)?;
            agree(config.layout, index.layout, &path)?;
            index
        }
        None => super::index::scan(&root, config.layout, config.seed, config.validation, false)
            .with_context(|| format!("cannot use {} as data", root.display()))?,
    };
    Ok((root, index))
}

/// A recipe that asks for another part than its index was made with does not get it. One that says nothing has the default.
fn ignored(config: &DataConfig, index: &Index) -> Option<String> {
    let said = config.validation;
    (said != index.validation && said != DataConfig::default().validation).then(|| {
        format!(
            "data.validation = {said} changes nothing, for an index made with {} says which pictures validate: make it \
             again with `hone data index --validation {said}`",
            index.validation
        )
    })
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

    /// Opens sharp pictures in `folder`, which is made with one for each of `names`.
    fn sharp(folder: &Path, names: &[&str], layout: Layout) -> anyhow::Result<Arc<dyn PairSource>> {
        for (i, name) in names.iter().enumerate() {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let picture = crate::data::synth::scene(i as u64, 0, 48, 40);
            picture.save(&path).unwrap();
        }
        let config = DataConfig {
            root: Some(folder.to_owned()),
            layout,
            ..DataConfig::default()
        };
        open(&config, Path::new(""))
    }

    #[test]
    fn another_picture_makes_another_listing() {
        let folder = tempfile::tempdir().unwrap();
        let listing = |names: &[&str]| {
            let source = sharp(folder.path(), names, Layout::Auto).unwrap();
            source.listing().unwrap().to_owned()
        };
        let before = listing(&["a.png", "b.png", "c.png"]);
        assert_eq!(before, listing(&[]));
        assert_ne!(before, listing(&["a.png", "b.png", "c.png", "d.png"]));
        assert_ne!(before, listing(&["b.png"]));
    }

    #[test]
    fn degraded_pictures_without_partners_are_not_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["blur/a_blur.png", "sharp/a_sharp.png", "sharp/b_sharp.png"];
        let error = sharp(folder.path(), &names, Layout::Auto).err().unwrap();
        let error = error.to_string();
        assert!(error.contains("as blur/a_blur.png, and none"), "{error}");
        let said = sharp(folder.path(), &names, Layout::Sharp).unwrap();
        assert_eq!(said.pictures(), 1);
    }

    #[test]
    fn a_single_sequence_is_told_from_too_small_a_part() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["clip/0.png", "clip/1.png", "clip/2.png"];
        let source = sharp(folder.path(), &names, Layout::Auto).unwrap();
        let error = source.validation().unwrap_err().to_string();
        assert!(error.contains("one sequence"), "{error}");
        let more = ["clip/0.png", "clip/1.png", "other/0.png", "other/1.png"];
        let source = sharp(folder.path(), &more, Layout::Auto).unwrap();
        assert!(!source.validation().unwrap().is_empty());
    }

    #[test]
    fn a_part_that_an_index_does_not_give_is_told() {
        let folder = tempfile::tempdir().unwrap();
        sharp(folder.path(), &["a.png", "b.png"], Layout::Auto).unwrap();
        let index = super::super::index::scan(folder.path(), Layout::Auto, 0, 0.2, false).unwrap();
        let told = |validation| {
            let config = DataConfig {
                validation,
                ..DataConfig::default()
            };
            ignored(&config, &index)
        };
        assert!(told(0.3).unwrap().contains("data.validation = 0.3"));
        // As made, and the default, which nobody may have said.
        assert_eq!((told(0.2), told(0.1)), (None, None));
    }

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
            open(&config, Path::new("")).map(|source| source.pictures())
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

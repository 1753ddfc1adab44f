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
use hone_shared::print::tell;
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
    open_new(config, base, true)
}

/// [`open`] for a training or a cache that begins here, unless `goes_on`: what has begun keeps its data as they are.
///
/// # Errors
/// As [`open`]; for what begins also when degraded pictures would go unused, or frames be averaged where none follow.
pub fn open_new(
    config: &DataConfig,
    base: &Path,
    goes_on: bool,
) -> anyhow::Result<Arc<dyn PairSource>> {
    let mut source = open_as_said(config, base, !goes_on)?;
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

/// [`open_new`] without the threshold of the flattest patches.
fn open_as_said(
    config: &DataConfig,
    base: &Path,
    begins: bool,
) -> anyhow::Result<Box<dyn Adjustable>> {
    config.check()?;
    let of_sharp = |source: sharp::SharpSource| -> anyhow::Result<Box<dyn Adjustable>> {
        if begins {
            source.check_neighbours()?;
        }
        Ok(Box::new(source))
    };
    if config.layout == Layout::Scenes {
        return of_sharp(sharp::SharpSource::scenes(config));
    }
    let (root, index) = find_index(config, base)?;
    if let Some(warning) = ignored(config, &index) {
        tell(format_args!("warning: {warning}"));
    }
    // Who made an index has seen what it leaves out.
    if begins
        && config.layout != Layout::Sharp
        && index_file(config, base).is_none()
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
        tell(format_args!(
            "data: left out {count} ({reason}), the first is {example}"
        ));
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
        of_sharp(sharp::SharpSource::files(config, &root, index))
    }
}

/// The index that a recipe's `[data]` table names, else the one that lies in the folder of its pictures.
pub fn index_file(config: &DataConfig, base: &Path) -> Option<PathBuf> {
    let named = config.index.as_ref().map(|p| base.join(p));
    let lying = || root(config, base).join(super::index::FILE_NAME);
    named.or_else(|| Some(lying()).filter(|p| p.is_file()))
}

fn root(config: &DataConfig, base: &Path) -> PathBuf {
    base.join(config.root.as_deref().unwrap_or(Path::new("")))
}

/// The folder of the pictures that a recipe's `[data]` table names, and what is in it: as its index says, where there is
/// one.
///
/// # Errors
/// When the folder or the index cannot be read, or the index is of another layout.
pub fn find_index(config: &DataConfig, base: &Path) -> anyhow::Result<(PathBuf, Index)> {
    let root = root(config, base);
    let index = match index_file(config, base) {
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
pub fn spread(len: usize, count: usize) -> Vec<usize> {
    let count = count.min(len);
    (0..count).map(|i| i * len / count).collect()
}

#[cfg(test)]
mod tests;

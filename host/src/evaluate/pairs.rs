//! Pairs of degraded and sharp pictures from folders.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::picture::Picture;
use crate::restore::paired_images;

/// A degraded picture and the truth, RGB, of one size.
#[derive(Debug, Clone)]
pub struct Pair {
    /// File stem.
    pub name: String,
    /// The degraded picture.
    pub input: Picture,
    /// The sharp picture.
    pub truth: Picture,
}

/// Where a split's degraded and sharp pictures lie: `ROOT/SPLIT/{blur,sharp}`, or `ROOT/{blur,sharp}`
/// when `split` is not there; folders named `input` and `target` (GoPro as MPRNet packs it) or `lq`
/// and `gt` do as well.
///
/// # Errors
/// When there is no such pair of folders.
pub fn folders(root: &Path, split: &str) -> anyhow::Result<(PathBuf, PathBuf)> {
    for base in [root.join(split), root.to_owned()] {
        for (input, truth) in [("blur", "sharp"), ("input", "target"), ("lq", "gt")] {
            let (input, truth) = (base.join(input), base.join(truth));
            if input.is_dir() && truth.is_dir() {
                return Ok((input, truth));
            }
        }
    }
    bail!(
        "{} holds no {split}/blur and {split}/sharp (nor input and target, nor lq and gt)",
        root.display()
    )
}

/// Loads at most `limit` pairs, evenly spread over the names.
///
/// # Errors
/// When a folder or a picture cannot be read, a picture has no partner, or two partners differ in size.
pub fn load(input: &Path, truth: &Path, limit: usize) -> anyhow::Result<Vec<Pair>> {
    let paths = paired_images(input, truth)?;
    let step = paths.len().div_ceil(limit.max(1)).max(1);
    let mut pairs = Vec::new();
    for (input, truth) in paths.iter().step_by(step) {
        let pair = Pair {
            name: input
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            input: Picture::load(input)?,
            truth: Picture::load(truth)?,
        };
        let size = |p: &Picture| (p.width, p.height);
        if size(&pair.input) != size(&pair.truth) {
            bail!("{} and {} differ in size", input.display(), truth.display());
        }
        pairs.push(pair);
    }
    pairs.first().context("there is no pair to evaluate")?;
    Ok(pairs)
}

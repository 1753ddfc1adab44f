//! Calibration and fine-tuning pictures from a recipe's data.

use std::ops::Range;

use anyhow::{Context, Result, bail};
use hone_shared::quant::QuantChain;
use hone_shared::student::{Colour, ConvChain};
use rand::Rng;
use rayon::prelude::*;
use tch::Tensor;

use super::mixed::MixedChain;
use super::qat::{QatBatch, QatConfig, fine_tune};
use crate::data::random::{shuffled, stream};
use crate::data::source::PairSource;
use crate::picture::Picture;
use crate::student::{fed_back, joined};

/// Side of a calibration patch in pixels, a multiple of every SpaceToDepth factor.
const SIDE: usize = 128;
/// Side of a fine-tuning patch, and patches in a batch.
const CROP: usize = 64;
const BATCH: usize = 16;
/// Patches drawn for a fine-tuning.
const POOL: usize = 1024;
/// Patches that a fine-tuning is judged by.
const JUDGES: u64 = 32;
/// Keeps these patches apart from those of the training with the same seed.
const APART: u64 = 0x7155_414e_5449_5345;

/// `count` training patches (degraded, truth), `[1,C,H,W]` in 0..1, rounded to bytes as a camera
/// delivers them.
///
/// # Errors
/// When a picture cannot be read.
pub fn calibration_pairs(
    source: &dyn PairSource,
    colour: Colour,
    count: usize,
    seed: u64,
) -> Result<Vec<(Tensor, Tensor)>> {
    let indices = 0..count as u64;
    pairs(source, colour, indices, seed).context("cannot read the pictures to calibrate on")
}

/// As [`calibration_pairs`], but none of the `calibrated` ones that those are, and none that a fine-tuning
/// draws: patches to judge both by.
///
/// # Errors
/// When a picture cannot be read.
pub(super) fn judges(
    source: &dyn PairSource,
    colour: Colour,
    calibrated: usize,
    seed: u64,
) -> Result<Vec<(Tensor, Tensor)>> {
    let first = calibrated.max(POOL) as u64;
    let indices = first..first + JUDGES;
    pairs(source, colour, indices, seed).context("cannot read the pictures to judge by")
}

fn pairs(
    source: &dyn PairSource,
    colour: Colour,
    indices: Range<u64>,
    seed: u64,
) -> Result<Vec<(Tensor, Tensor)>> {
    let pair = |index: u64| {
        let pair = source.patch(seed ^ APART, index, SIDE)?;
        Ok((
            tensor(&pair.input, colour, true)?,
            tensor(&pair.truth, colour, false)?,
        ))
    };
    indices.map(pair).collect()
}

/// As [`calibration_pairs`] for a temporal chain: `[1,2C,H,W]`, the second of two frames and what the
/// chain makes of the first one.
///
/// # Errors
/// When a picture cannot be read, or the data hold no sequences.
pub fn calibration_sequences(
    source: &dyn PairSource,
    chain: &ConvChain,
    count: usize,
    seed: u64,
) -> Result<Vec<(Tensor, Tensor)>> {
    let float = MixedChain::from_float(chain);
    let pair = |index: u64| {
        let frames = source.sequence(seed ^ APART, index, SIDE, 2)?;
        let [first, second] = frames.as_slice() else {
            bail!(
                "the data give {} frames where 2 were asked for",
                frames.len()
            );
        };
        let first = tensor(&first.input, chain.colour, true)?;
        let before = tch::no_grad(|| float.restore(&joined(&first, Some(&first))));
        let input = tensor(&second.input, chain.colour, true)?;
        Ok((
            joined(&input, Some(&fed_back(&before))),
            tensor(&second.truth, chain.colour, false)?,
        ))
    };
    let pairs: Result<Vec<_>> = (0..count as u64).map(pair).collect();
    pairs.context("cannot read the sequences to calibrate on")
}

fn tensor(picture: &Picture, colour: Colour, bytes: bool) -> Result<Tensor> {
    let picture = match colour {
        Colour::Luma => picture.luma(),
        Colour::Rgb => picture.clone(),
    };
    let size = [1, picture.channels, picture.height, picture.width].map(|s| s as i64);
    let x = Tensor::f_from_slice(&picture.data)?.reshape(size);
    Ok(if bytes {
        (x.clamp(0.0, 1.0) * 255.0).round() / 255.0
    } else {
        x
    })
}

/// [`fine_tune`] on patches of `source`. A pool of patches is drawn once and used in an order that
/// changes every time round, mirrored and turned: decoding and degrading pictures costs far more
/// than an update of a small student does.
///
/// # Errors
/// As [`fine_tune`], or when a picture cannot be read.
pub fn fine_tune_on(
    source: &dyn PairSource,
    chain: &ConvChain,
    start: &QuantChain,
    config: &QatConfig,
    seed: u64,
    progress: impl FnMut(u64, f64),
) -> Result<QuantChain> {
    let seed = seed ^ APART;
    let patches = POOL.min(config.steps as usize * BATCH);
    let cut = |index: u64| {
        let pair = source.patch(seed, index, CROP)?;
        let input = tensor(&pair.input, chain.colour, true)?;
        Ok((input, tensor(&pair.truth, chain.colour, false)?))
    };
    let pool: Result<Vec<_>> = (0..patches as u64).into_par_iter().map(cut).collect();
    let pool = pool.context("cannot read the pictures to fine-tune on")?;
    let (inputs, truths): (Vec<_>, Vec<_>) = pool.into_iter().unzip();
    let (inputs, truths) = (Tensor::cat(&inputs, 0), Tensor::cat(&truths, 0));
    let mut step = 0;
    let next = || {
        let first = step * BATCH as u64;
        let turns = (first..first + BATCH as u64).map(|i| shuffled(seed, i, patches) as i64);
        let turns = Tensor::from_slice(&turns.collect::<Vec<_>>());
        let symmetry = stream(&[seed, step]).random_range(0..8);
        step += 1;
        let pick = |all: &Tensor| oriented(&all.index_select(0, &turns), symmetry);
        Ok(QatBatch {
            input: pick(&inputs),
            truth: pick(&truths),
        })
    };
    fine_tune(chain, start, config, next, progress)
}

/// One of the eight symmetries of a square.
fn oriented(x: &Tensor, symmetry: u8) -> Tensor {
    let turned = x.rot90(i64::from(symmetry % 4), [2, 3]);
    if symmetry < 4 {
        turned
    } else {
        turned.flip([3])
    }
}

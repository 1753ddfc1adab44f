//! Calibration and fine-tuning pictures from a recipe's data.

use std::sync::Arc;

use anyhow::{Context, Result};
use hone_shared::quant::QuantChain;
use hone_shared::student::{Colour, ConvChain};
use tch::Tensor;

use super::qat::{QatBatch, QatConfig, fine_tune};
use crate::data::loader::{Loader, LoaderConfig};
use crate::data::source::PairSource;
use crate::picture::Picture;

/// Side of a calibration patch in pixels, a multiple of every SpaceToDepth factor.
const SIDE: usize = 128;
/// Side of a fine-tuning patch, and patches in a batch.
const CROP: usize = 64;
const BATCH: usize = 16;
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
    let pair = |index: u64| {
        let pair = source.patch(seed ^ APART, index, SIDE)?;
        Ok((
            tensor(&pair.input, colour, true)?,
            tensor(&pair.truth, colour, false)?,
        ))
    };
    let pairs: Result<Vec<_>> = (0..count as u64).map(pair).collect();
    pairs.context("cannot read the pictures to calibrate on")
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

/// [`fine_tune`] on patches of `source`.
///
/// # Errors
/// As [`fine_tune`], or when a picture cannot be read.
pub fn fine_tune_on(
    source: &Arc<dyn PairSource>,
    chain: &ConvChain,
    start: &QuantChain,
    config: &QatConfig,
    seed: u64,
    progress: impl FnMut(u64, f64),
) -> Result<QuantChain> {
    let walk = LoaderConfig {
        seed: seed ^ APART,
        crop: CROP,
        batch: BATCH,
        colour: chain.colour,
        workers: 1,
        first_step: 0,
    };
    let mut loader = Loader::new(Arc::clone(source), walk)?;
    let next = || {
        let batch = loader.next()?;
        Ok(QatBatch {
            input: batch.input,
            truth: batch.truth,
        })
    };
    fine_tune(chain, start, config, next, progress)
}

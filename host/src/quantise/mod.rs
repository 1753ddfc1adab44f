//! From an f32 student to INT8: calibration, static quantisation, what each layer costs, fine-tuning.
//!
//! Chains of convolutions become INT8 from end to end, graphs convolution by convolution ([`MixedGraph`]).
//! A chain's arithmetic is [`hone_shared::quant`]'s; `fake` computes it on torch tensors, with
//! gradients when training, and a test holds the two together bit for bit.

mod calibrate;
mod config;
mod equalise;
mod fake;
mod graph;
mod histogram;
mod mixed;
mod of_graph;
mod of_run;
mod pictures;
mod qat;
mod search;
mod sensitivity;
mod weights;

use anyhow::{Result, ensure};
use hone_shared::quant::{Affine, INPUT};
use hone_shared::student::{Colour, ConvChain};
use tch::{Kind, Tensor};

pub use calibrate::Calibration;
pub use config::QuantiseConfig;
pub use graph::{GraphConv, MixedGraph};
pub use mixed::{MixedChain, MixedLayer};
pub use of_graph::quantise_graph;
pub use of_run::{Progress, Quantised, check_format, of_run};
pub use pictures::{calibration_pairs, calibration_sequences, fine_tune_on};
pub use qat::{QatBatch, QatConfig, fine_tune};
pub use sensitivity::{LayerLoss, sensitivity, sensitivity_of_graph};

use calibrate::Ranges;

/// Quantises `chain` on `frames` (`[1,C,H,W]`, 0..1, sides multiples of the chain's factor; of a
/// temporal chain `[1,2C,H,W]`, with what it gave for the frame before).
///
/// Bias correction is the empirical one of Nagel et al., "Data-Free Quantization Through Weight
/// Equalization and Bias Correction" (ICCV 2019), section 4.2: layer after layer, the mean
/// difference between the f32 output and that of the quantised layers so far goes into the bias.
///
/// # Errors
/// When the chain is broken, frames have other planes than it, a layer to keep does not exist, or
/// the quantised chain could overflow.
pub fn quantise(
    chain: &ConvChain,
    frames: &[Tensor],
    config: &QuantiseConfig,
) -> Result<MixedChain> {
    quantise_after(chain, frames, config, Before::Int8)
}

/// What the layers before one are when its bias is corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// INT8, with the errors that they will have.
    Int8,
    /// f32: each layer is to be INT8 alone.
    Float,
}

/// [`quantise`] with biases corrected behind such layers.
///
/// # Errors
/// As [`quantise`].
fn quantise_after(
    chain: &ConvChain,
    frames: &[Tensor],
    config: &QuantiseConfig,
    before: Before,
) -> Result<MixedChain> {
    let chain = &prepared(chain, frames, config)?;
    tch::no_grad(|| {
        if config.calibration == Calibration::Search {
            return search::search(chain, frames, config, before);
        }
        let blocks = blocks(chain, frames);
        let ranges = Ranges::measure(chain, &blocks);
        let affines = ranges.choose(config.calibration, config.percentile)?;
        with_ranges(chain, &blocks, &affines, config, before)
    })
}

/// Quantises `chain` with these ranges of its activations; biases are corrected on `blocks`.
fn with_ranges(
    chain: &ConvChain,
    blocks: &[Tensor],
    affines: &[Affine],
    config: &QuantiseConfig,
    before: Before,
) -> Result<MixedChain> {
    let mut mixed = MixedChain {
        colour: chain.colour,
        scale: chain.scale,
        layers: Vec::new(),
        limited: chain.limited,
    };
    let mut exact: Vec<Tensor> = blocks.iter().map(Tensor::shallow_clone).collect();
    let mut approximate: Vec<Tensor> = exact.iter().map(Tensor::shallow_clone).collect();
    for (i, layer) in chain.layers.iter().enumerate() {
        let mut layer = layer.clone();
        let kept = config.keep_float.contains(&i);
        let input = i.checked_sub(1).map_or(INPUT, |before| affines[before]);
        if config.correct_bias && !kept {
            let rounded = weights::rounded(&layer, input);
            let given = match before {
                Before::Int8 => &approximate,
                Before::Float => &exact,
            };
            let seen: Vec<_> = given.iter().map(|x| fake::round_trip(x, input)).collect();
            let error = mixed::mean_sum(&layer, &exact) - mixed::mean_sum(&rounded, &seen);
            let error = Vec::<f32>::try_from(error)?;
            layer.bias.iter_mut().zip(error).for_each(|(b, e)| *b += e);
        }
        let original = MixedLayer::Float(chain.layers[i].clone());
        let layer = match kept {
            true => original.clone(),
            false => MixedLayer::Int8(weights::quantise(&layer, input, affines[i]), input),
        };
        if config.correct_bias {
            exact = exact.iter().map(|x| original.run(x)).collect();
            approximate = approximate.iter().map(|x| layer.run(x)).collect();
        }
        mixed.layers.push(layer);
    }
    mixed.validate()?;
    Ok(mixed)
}

/// The chain whose weights are rounded: the same function as `chain`, its channels balanced where
/// `config` says so.
///
/// # Errors
/// When the chain, the frames or the configuration do not serve.
fn prepared(chain: &ConvChain, frames: &[Tensor], config: &QuantiseConfig) -> Result<ConvChain> {
    check(chain, frames, config)?;
    let mut chain = chain.clone();
    if config.equalise {
        let blocks = blocks(&chain, frames);
        tch::no_grad(|| equalise::equalise(&mut chain, &blocks));
    }
    Ok(chain)
}

fn blocks(chain: &ConvChain, frames: &[Tensor]) -> Vec<Tensor> {
    let block = |frame: &Tensor| mixed::blocks(frame, chain.scale);
    frames.iter().map(block).collect()
}

fn check(chain: &ConvChain, frames: &[Tensor], config: &QuantiseConfig) -> Result<()> {
    chain
        .validate()
        .map_err(|e| anyhow::anyhow!("the student cannot be quantised: {e}"))?;
    let seen = if chain.is_temporal() { 2 } else { 1 };
    let planes = seen * chain.colour.channels();
    check_frames(frames, (chain.colour, planes), chain.scale)?;
    check_config(config, chain.layers.len())
}

/// Refuses pictures that a student of this colour, which takes so many planes and whose sides are multiples of `multiple`, cannot be
/// calibrated on.
fn check_frames(
    frames: &[Tensor],
    (colour, planes): (Colour, usize),
    multiple: usize,
) -> Result<()> {
    ensure!(!frames.is_empty(), "there are no pictures to calibrate on");
    for frame in frames {
        let size = frame.size();
        ensure!(
            size.len() == 4 && size[1] == planes as i64,
            "calibration pictures have {} planes, this student takes {planes} ({colour})",
            size.get(1).copied().unwrap_or(0)
        );
        let s = multiple as i64;
        ensure!(
            size[2] % s == 0 && size[3] % s == 0 && size[2] > 0 && size[3] > 0,
            "a calibration picture is {}x{}; sides must be multiples of {s}",
            size[3],
            size[2]
        );
        let finite = frame.isfinite().all().int64_value(&[]) == 1 && frame.kind() == Kind::Float;
        ensure!(
            finite,
            "a calibration picture holds values that are no numbers"
        );
    }
    Ok(())
}

/// Refuses layers to keep that a student of `layers` convolutions does not have.
fn check_config(config: &QuantiseConfig, layers: usize) -> Result<()> {
    if let Some(bad) = config.keep_float.iter().find(|&&k| k >= layers) {
        anyhow::bail!(
            "there is no layer {bad} to keep in f32: the student has layers 0 to {}",
            layers.saturating_sub(1)
        );
    }
    config.validate()
}

#[cfg(test)]
mod graph_tests;
#[cfg(test)]
mod tests;

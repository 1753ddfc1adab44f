//! `hone prune`: whole channels of a `plain` student are taken away, then it is trained again.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use hone_shared::student::{ConvChain, ConvLayer};
use serde::Serialize;
use tch::Tensor;

use super::checkpoint::Checkpoint;
use super::distill::{self, DistillOptions};
use super::run::{self, RunFolder};
use super::trainer::Outcome;
use crate::recipe::RecipeText;
use crate::student::StudentConfig;

/// How much stays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PruneOptions {
    /// Part of every layer's channels that stays, above 0, at most 1.
    pub keep: f64,
    /// Channels stay in multiples of this, so that vector units are full.
    pub multiple: usize,
}

/// What pruning did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pruned {
    /// Channels before, between the convolutions.
    pub before: Vec<usize>,
    /// Channels after.
    pub after: Vec<usize>,
    /// Multiply-accumulates for each pixel before.
    pub macs_before: f64,
    /// Multiply-accumulates for each pixel after.
    pub macs_after: f64,
    /// The fine-tuning.
    pub outcome: Outcome,
}

/// The folded student of the run in `from`, without its weakest channels; `set` changes its recipe
/// for the fine-tuning, `options.out` is the new run.
///
/// # Errors
/// When the run holds no `plain` student, none of its channels would go, or the fine-tuning fails.
pub fn run(from: &Path, prune: PruneOptions, options: &DistillOptions) -> Result<Pruned> {
    let old = run::open(from)?;
    let StudentConfig::Plain(_) = old.recipe.student else {
        bail!(
            "{} holds a '{}' student; only 'plain' ones are pruned",
            from.display(),
            old.recipe.student.architecture()
        );
    };
    let chain = old.student.fold()?;
    let smaller = shrink(&chain, prune)?;
    check_smaller(&widths(&chain), &widths(&smaller))
        .with_context(|| format!("{} is not pruned", from.display()))?;
    let mut text = options.text.clone();
    text.set(&overrides(&smaller))?;
    if !options.resume {
        RunFolder::check_free(&options.out, &text)?;
    }
    let start = (!options.resume).then(|| weights(&smaller));
    let training = DistillOptions {
        text,
        ..options.clone()
    };
    let outcome = distill::run_from(&training, start.as_ref())?;
    Ok(Pruned {
        before: widths(&chain),
        after: widths(&smaller),
        macs_before: chain.macs_per_pixel(),
        macs_after: smaller.macs_per_pixel(),
        outcome,
    })
}

/// The recipe of the run in `from`, for fine-tuning.
///
/// # Errors
/// When there is no run.
pub fn recipe(from: &Path) -> Result<RecipeText> {
    Ok(run::open(from)?.text)
}

fn widths(chain: &ConvChain) -> Vec<usize> {
    let hidden = chain.layers.len().saturating_sub(1);
    chain.layers[..hidden].iter().map(|l| l.outputs).collect()
}

/// Whether pruning takes anything away, which minutes of fine-tuning are to make up for.
fn check_smaller(before: &[usize], after: &[usize]) -> Result<()> {
    ensure!(
        !before.is_empty(),
        "it is one convolution, with no channels before the last"
    );
    ensure!(
        before != after,
        "all of its channels {before:?} would stay: take a smaller --keep or --multiple"
    );
    Ok(())
}

/// What the recipe must say for the smaller student.
fn overrides(chain: &ConvChain) -> Vec<String> {
    vec![
        format!("student.channels={:?}", widths(chain)),
        "student.branches=false".to_owned(),
    ]
}

/// The chain as variables of an unbranched `plain` student.
fn weights(chain: &ConvChain) -> Checkpoint {
    let mut checkpoint = Checkpoint::default();
    for (i, layer) in chain.layers.iter().enumerate() {
        let k = layer.kernel as i64;
        let shape = [layer.outputs as i64, layer.inputs as i64, k, k];
        let name = |part: &str| format!("conv{}.{part}", i + 1);
        let kernel = Tensor::from_slice(&layer.weights).reshape(shape);
        checkpoint.tensors.insert(name("kernel"), kernel);
        let bias = Tensor::from_slice(&layer.bias);
        checkpoint.tensors.insert(name("bias"), bias);
    }
    checkpoint
}

/// Takes the channels away whose outgoing weights, times what feeds them, are smallest (the L1 norm
/// of Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017, on both sides of the ReLU).
///
/// # Errors
/// When `keep` or `multiple` are out of range.
pub fn shrink(chain: &ConvChain, options: PruneOptions) -> Result<ConvChain> {
    let PruneOptions { keep, multiple } = options;
    ensure!(
        keep > 0.0 && keep <= 1.0,
        "keep is {keep}; it must be above 0, at most 1"
    );
    ensure!(
        (1..=64).contains(&multiple),
        "multiple is {multiple}; it must be 1 to 64"
    );
    let mut smaller = chain.clone();
    for i in 0..smaller.layers.len().saturating_sub(1) {
        let width = smaller.layers[i].outputs;
        let count = ((width as f64 * keep / multiple as f64).round() as usize * multiple)
            .clamp(multiple.min(width), width);
        let (layer, next) = (&smaller.layers[i], &smaller.layers[i + 1]);
        let mut ranked: Vec<usize> = (0..width).collect();
        let importance: Vec<f32> = (0..width)
            .map(|c| feeding(layer, c) * outgoing(next, c))
            .collect();
        ranked.sort_by(|a, b| importance[*b].total_cmp(&importance[*a]));
        let mut kept = ranked[..count].to_vec();
        kept.sort_unstable();
        let pair = (keep_outputs(layer, &kept), keep_inputs(next, &kept));
        (smaller.layers[i], smaller.layers[i + 1]) = pair;
    }
    Ok(smaller)
}

fn feeding(layer: &ConvLayer, output: usize) -> f32 {
    let size = layer.inputs * layer.kernel * layer.kernel;
    let weights = &layer.weights[output * size..(output + 1) * size];
    weights.iter().map(|w| w.abs()).sum::<f32>() + layer.bias[output].abs()
}

fn outgoing(layer: &ConvLayer, input: usize) -> f32 {
    let taps = layer.kernel * layer.kernel;
    let of = |output: usize| {
        let start = (output * layer.inputs + input) * taps;
        layer.weights[start..start + taps]
            .iter()
            .map(|w| w.abs())
            .sum::<f32>()
    };
    (0..layer.outputs).map(of).sum()
}

fn keep_outputs(layer: &ConvLayer, kept: &[usize]) -> ConvLayer {
    let size = layer.inputs * layer.kernel * layer.kernel;
    let rows = kept
        .iter()
        .map(|c| &layer.weights[c * size..(c + 1) * size]);
    ConvLayer {
        outputs: kept.len(),
        weights: rows.flatten().copied().collect(),
        bias: kept.iter().map(|c| layer.bias[*c]).collect(),
        ..layer.clone()
    }
}

fn keep_inputs(layer: &ConvLayer, kept: &[usize]) -> ConvLayer {
    let taps = layer.kernel * layer.kernel;
    let mut weights = Vec::with_capacity(layer.outputs * kept.len() * taps);
    for output in 0..layer.outputs {
        for input in kept {
            let start = (output * layer.inputs + input) * taps;
            weights.extend_from_slice(&layer.weights[start..start + taps]);
        }
    }
    ConvLayer {
        inputs: kept.len(),
        weights,
        ..layer.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::student::build;
    use hone_shared::student::Colour;
    use tch::Device;
    use tch::nn::VarStore;

    fn student(text: &str) -> (VarStore, Box<dyn crate::student::Student>) {
        tch::manual_seed(4);
        let config: StudentConfig = toml::from_str(text).unwrap();
        let store = VarStore::new(Device::Cpu);
        let student = build(&config, Colour::Luma, &store.root()).unwrap();
        (store, student)
    }

    #[test]
    fn channels_that_do_nothing_go_first_and_the_output_stays() {
        let full = "architecture = 'plain'\nscale = 2\nchannels = 8\nconvs = 3";
        let (_store, student_of_eight) = student(full);
        let mut chain = student_of_eight.fold().unwrap();
        // Four of the eight channels behind each hidden layer lead nowhere.
        for next in [1, 2] {
            let taps = 9;
            let inputs = chain.layers[next].inputs;
            for (i, w) in chain.layers[next].weights.iter_mut().enumerate() {
                if [0, 3, 5, 6].contains(&(i / taps % inputs)) {
                    *w = 0.0;
                }
            }
        }
        let options = PruneOptions {
            keep: 0.5,
            multiple: 4,
        };
        let smaller = shrink(&chain, options).unwrap();
        assert_eq!(widths(&smaller), [4, 4]);
        assert!(smaller.validate().is_ok());
        let load = |chain: &ConvChain, channels: usize| {
            let text = format!(
                "architecture = 'plain'\nscale = 2\nchannels = {channels}\nconvs = 3\nbranches = false"
            );
            let (store, student) = student(&text);
            weights(chain).fill("", &store).unwrap();
            (store, student)
        };
        let ((_a, before), (_b, after)) = (load(&chain, 8), load(&smaller, 4));
        let frame = Tensor::rand([1, 1, 16, 16], tch::kind::FLOAT_CPU);
        let (x, y) = (before.forward(&frame, false), after.forward(&frame, false));
        let error = (x.restored - y.restored).abs().max().double_value(&[]);
        assert!(error < 1e-6, "{error}");
        assert!(smaller.macs_per_pixel() < 0.5 * chain.macs_per_pixel());
    }

    #[test]
    fn a_student_that_stays_as_it_is_is_not_trained_again() {
        check_smaller(&[8, 8], &[8, 4]).unwrap();
        let refused = |widths: &[usize]| check_smaller(widths, widths).unwrap_err().to_string();
        assert!(refused(&[8]).contains("smaller --keep"));
        assert!(refused(&[]).contains("one convolution"));
    }

    #[test]
    fn every_layer_keeps_at_least_one_multiple() {
        let text = "architecture = 'plain'\nscale = 2\nchannels = [8, 6]\nconvs = 3";
        let chain = student(text).1.fold().unwrap();
        let shrunk = |keep: f64, multiple: usize| {
            let options = PruneOptions { keep, multiple };
            shrink(&chain, options).map(|c| widths(&c))
        };
        assert_eq!(shrunk(0.01, 4).unwrap(), [4, 4]);
        assert_eq!(shrunk(1.0, 1).unwrap(), [8, 6]);
        assert_eq!(shrunk(0.75, 1).unwrap(), [6, 5]);
        assert!(shrunk(0.0, 1).is_err() && shrunk(0.5, 0).is_err());
    }
}

//! Weights and biases as integers: symmetric, one scale for each output channel.

use hone_shared::quant::{Affine, QuantConv};
use hone_shared::student::ConvLayer;

/// Largest weight level.
pub(super) const LEVELS: f32 = 127.0;
/// Largest bias, in units of the accumulator, so that bias and products fit in i32 together.
pub(super) const BIAS_LIMIT: f32 = (1 << 29) as f32;
/// Smallest scale: a channel without weights still needs one.
pub(super) const SMALLEST: f32 = 1e-12;

/// The scale of one output channel. A channel of tiny weights beside a large bias gets a larger
/// scale than its weights ask for, so that the bias fits.
fn scale(weights: &[f32], bias: f32, input_scale: f32) -> f32 {
    let largest = weights.iter().fold(0f32, |m, w| m.max(w.abs()));
    (largest / LEVELS)
        .max(bias.abs() / (input_scale * BIAS_LIMIT))
        .max(SMALLEST)
}

/// A layer that reads `input` and writes `output`, in integers.
pub(super) fn quantise(layer: &ConvLayer, input: Affine, output: Affine) -> QuantConv {
    let taps = layer.inputs * layer.kernel * layer.kernel;
    let mut weights = Vec::with_capacity(layer.weights.len());
    let (mut weight_scales, mut biases) = (Vec::new(), Vec::new());
    for (channel, &bias) in layer.weights.chunks_exact(taps).zip(&layer.bias) {
        let scale = scale(channel, bias, input.scale);
        let level = |w: &f32| (w / scale).round_ties_even().clamp(-LEVELS, LEVELS) as i8;
        weights.extend(channel.iter().map(level));
        biases.push((bias / (input.scale * scale)).round_ties_even() as i32);
        weight_scales.push(scale);
    }
    QuantConv {
        inputs: layer.inputs,
        outputs: layer.outputs,
        kernel: layer.kernel,
        weights,
        weight_scales,
        bias: biases,
        output,
    }
}

/// The layer with its weights rounded to what INT8 can hold; the bias as it is.
pub(super) fn rounded(layer: &ConvLayer, input: Affine) -> ConvLayer {
    let levels = quantise(layer, input, input);
    let taps = layer.inputs * layer.kernel * layer.kernel;
    let channels = levels.weights.chunks_exact(taps).zip(&levels.weight_scales);
    let weights =
        channels.flat_map(|(channel, scale)| channel.iter().map(move |w| f32::from(*w) * scale));
    ConvLayer {
        weights: weights.collect(),
        ..layer.clone()
    }
}

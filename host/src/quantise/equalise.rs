//! Equal channel ranges before quantisation.
//!
//! ReLU lets a positive factor through, so an output channel may be divided by `s` and the next
//! layer's weights for it multiplied by `s`. Weights have a scale for each output channel already;
//! what suffers are activations, which have one for all channels. As in "SmoothQuant" (Xiao et al.,
//! ICML 2023) with alpha = 1/2, `s = sqrt(range of the activation / range of the next weights)`,
//! the cross-layer equalisation of Nagel et al. (ICCV 2019) with activations in place of weights.

use hone_shared::student::ConvChain;
use tch::{Kind, Tensor};

use super::mixed::MixedLayer;

/// Largest factor, either way: channels that hardly ever speak must not drown the others.
const LIMIT: f32 = 16.0;

/// Changes weights between layers joined by ReLU; the chain computes what it did.
pub(super) fn equalise(chain: &mut ConvChain, blocks: &[Tensor]) {
    let mut inputs: Vec<Tensor> = blocks.iter().map(Tensor::shallow_clone).collect();
    for i in 0..chain.layers.len().saturating_sub(1) {
        let layer = MixedLayer::Float(chain.layers[i].clone());
        inputs = inputs.iter().map(|x| layer.run(x)).collect();
        if !chain.layers[i].relu {
            continue;
        }
        let factors = factors(
            &chain.layers[i + 1].weights,
            chain.layers[i].outputs,
            chain.layers[i + 1].kernel,
            &inputs,
        );
        let (left, right) = chain.layers.split_at_mut(i + 1);
        let (before, after) = (&mut left[i], &mut right[0]);
        let taps = before.inputs * before.kernel * before.kernel;
        for ((weights, bias), s) in before
            .weights
            .chunks_exact_mut(taps)
            .zip(&mut before.bias)
            .zip(&factors)
        {
            weights.iter_mut().for_each(|w| *w /= s);
            *bias /= s;
        }
        let area = after.kernel * after.kernel;
        for (at, weights) in after.weights.chunks_exact_mut(area).enumerate() {
            weights
                .iter_mut()
                .for_each(|w| *w *= factors[at % after.inputs]);
        }
        let by = Tensor::from_slice(&factors).reshape([1, -1, 1, 1]);
        inputs = inputs
            .iter()
            .map(|x| x / by.to_device(x.device()))
            .collect();
    }
}

/// One factor for each channel between two layers, 1 where a channel is silent.
fn factors(next: &[f32], channels: usize, kernel: usize, activations: &[Tensor]) -> Vec<f32> {
    let mut largest = vec![0f32; channels];
    for x in activations {
        let peaks =
            Vec::<f32>::try_from(x.amax([0i64, 2, 3].as_slice(), false).to_kind(Kind::Float));
        for (l, p) in largest.iter_mut().zip(peaks.unwrap_or_default()) {
            *l = l.max(p);
        }
    }
    let mut weights = vec![0f32; channels];
    for (at, taps) in next.chunks_exact(kernel * kernel).enumerate() {
        let peak = taps.iter().fold(0f32, |m, w| m.max(w.abs()));
        weights[at % channels] = weights[at % channels].max(peak);
    }
    let ratio = |(a, w): (&f32, &f32)| {
        if *a > 0.0 && *w > 0.0 {
            (a / w).sqrt()
        } else {
            0.0
        }
    };
    let raw: Vec<f32> = largest.iter().zip(&weights).map(ratio).collect();
    let spoken = raw.iter().filter(|r| **r > 0.0).count().max(1) as f32;
    // The geometric mean goes out of all factors: only their ratios matter.
    let mean = (raw
        .iter()
        .filter(|r| **r > 0.0)
        .map(|r| r.ln())
        .sum::<f32>()
        / spoken)
        .exp();
    let bounded = |r: &f32| {
        if *r > 0.0 {
            (r / mean).clamp(1.0 / LIMIT, LIMIT)
        } else {
            1.0
        }
    };
    raw.iter().map(bounded).collect()
}

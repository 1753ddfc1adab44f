//! What each layer loses when it alone is INT8.

use anyhow::Result;
use hone_shared::student::{ConvChain, ConvLayer};
use serde::Serialize;
use tch::{Kind, Tensor};

use super::graph::{MixedGraph, convolutions};
use super::mixed::MixedChain;
use super::{Before, QuantiseConfig, quantise_after};
use crate::student::graph::Op;

/// One row of the sensitivity table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerLoss {
    /// The layer, from 0; `None` stands for all of them together.
    pub layer: Option<usize>,
    /// What it is: kernel and channels.
    pub what: String,
    /// Mean PSNR of the f32 student in dB.
    pub float_db: f64,
    /// Mean PSNR with this layer in INT8 in dB.
    pub int8_db: f64,
}

impl LayerLoss {
    /// PSNR lost, in dB.
    pub fn loss_db(&self) -> f64 {
        self.float_db - self.int8_db
    }
}

/// PSNR of `chain` in f32, with each layer alone in INT8, and as `quantised` has it. Pictures are
/// rounded to bytes first, as a screen shows them. `pairs` are (degraded, truth), `[1,C,H,W]`.
///
/// # Errors
/// As [`quantise`](super::quantise).
pub fn sensitivity(
    chain: &ConvChain,
    quantised: &MixedChain,
    pairs: &[(Tensor, Tensor)],
    config: &QuantiseConfig,
) -> Result<Vec<LayerLoss>> {
    let frames: Vec<Tensor> = pairs.iter().map(|p| p.0.shallow_clone()).collect();
    // Equalised weights differ from the chain's, so each layer is judged in the chain it came from.
    let plain = QuantiseConfig {
        equalise: false,
        keep_float: Vec::new(),
        ..config.clone()
    };
    let every = quantise_after(chain, &frames, &plain, Before::Float)?;
    let mut mixed = MixedChain::from_float(chain);
    let float_db = psnr(&mixed, pairs);
    let row = |layer, what, int8_db| LayerLoss {
        layer,
        what,
        float_db,
        int8_db,
    };
    let mut rows = Vec::new();
    for (i, layer) in every.layers.iter().enumerate() {
        let float = std::mem::replace(&mut mixed.layers[i], layer.clone());
        let ConvLayer {
            inputs,
            outputs,
            kernel,
            ..
        } = &chain.layers[i];
        let what = format!("{kernel}x{kernel} {inputs} to {outputs}");
        rows.push(row(Some(i), what, psnr(&mixed, pairs)));
        mixed.layers[i] = float;
    }
    rows.push(row(None, ALL.into(), psnr(quantised, pairs)));
    Ok(rows)
}

/// As [`sensitivity`], for a graph student; `progress` hears how many layers are measured.
pub fn sensitivity_of_graph(
    quantised: &MixedGraph<'_>,
    every: &MixedGraph<'_>,
    pairs: &[(Tensor, Tensor)],
    mut progress: impl FnMut(u64),
) -> Vec<LayerLoss> {
    let measured = |graph: &MixedGraph<'_>| psnr_of(|frame| graph.restore(frame), pairs);
    let float_db = measured(&every.with_only(None));
    let nodes = convolutions(every.graph);
    let mut rows = Vec::with_capacity(nodes.len() + 1);
    for (layer, node) in nodes.into_iter().enumerate() {
        rows.push(LayerLoss {
            layer: Some(layer),
            what: described(&every.graph.nodes[node].0),
            float_db,
            int8_db: measured(&every.with_only(Some(node))),
        });
        progress(layer as u64 + 1);
    }
    rows.push(LayerLoss {
        layer: None,
        what: ALL.into(),
        float_db,
        int8_db: measured(quantised),
    });
    rows
}

/// What the last row of the table stands for.
const ALL: &str = "all, as written";

/// A convolution in a few words.
fn described(op: &Op) -> String {
    let Op::Conv { kernel, groups, .. } = op else {
        return String::new();
    };
    let size = kernel.size();
    let (outputs, inputs, side) = (size[0], size[1] * groups, size[2]);
    let split = match *groups {
        1 => String::new(),
        groups if groups == inputs => ", depthwise".into(),
        groups => format!(", {groups} groups"),
    };
    format!("{side}x{side} {inputs} to {outputs}{split}")
}

/// Mean PSNR in dB over pictures rounded to bytes.
pub(super) fn psnr<'a>(
    chain: &MixedChain,
    pairs: impl IntoIterator<Item = &'a (Tensor, Tensor)>,
) -> f64 {
    psnr_of(|frame| chain.restore(frame), pairs)
}

fn psnr_of<'a>(
    restore: impl Fn(&Tensor) -> Tensor,
    pairs: impl IntoIterator<Item = &'a (Tensor, Tensor)>,
) -> f64 {
    let one = |(input, truth): &(Tensor, Tensor)| {
        let restored = tch::no_grad(|| (restore(input).clamp(0.0, 1.0) * 255.0).round() / 255.0);
        let mse = (restored - truth)
            .square()
            .mean(Kind::Double)
            .double_value(&[]);
        -10.0 * mse.max(1e-12).log10()
    };
    let each: Vec<f64> = pairs.into_iter().map(one).collect();
    each.iter().sum::<f64>() / each.len().max(1) as f64
}

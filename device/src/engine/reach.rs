//! How far the network looks and what it costs, read off its graph.

mod node;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use hone_shared::student::{INPUT_NAME, META_HALO, META_SCALE, PREVIOUS_NAME};
use tract_onnx::pb::{GraphProto, NodeProto};

use super::EngineError;
use super::model::{Model, breach, giver};
use super::stored::{self, Stored};

/// Longest halo believed, in pixels.
const MAX_HALO: usize = 4096;
/// Coarsest sampling followed, in pixels a sample.
const MAX_STEP: usize = 64;
/// Largest blocks that frames are padded to, in pixels.
const MAX_SCALE: usize = 256;
/// Operations that multiply and are no convolutions.
const PRODUCTS: [&str; 5] = ["MatMul", "Gemm", "MatMulInteger", "QLinearMatMul", "Einsum"];

/// Geometry of a network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reach {
    /// Sides of what it takes must be multiples of this.
    pub scale: usize,
    /// How far an output pixel looks, in pixels; `None` when the whole frame counts.
    pub halo: Option<usize>,
    /// Multiply-accumulates of all convolutions, per pixel.
    pub macs_per_pixel: f64,
    /// Whether every one of them was counted, at a step that was followed.
    pub cost_is_known: bool,
}

/// How much of a tensor's way through the graph was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Followed {
    /// All of it.
    Wholly,
    /// What its samples stand for, not how far they look.
    Step,
    /// Neither: its step is a guess.
    Not,
}

/// One tensor: pixels of the frame for one of its samples (0 when one sample stands for the whole
/// frame), and how far a sample looks (`None` when it sees all of it, however it was followed).
#[derive(Debug, Clone, Copy)]
struct Local {
    step: usize,
    halo: Option<usize>,
    followed: Followed,
}

impl Local {
    /// What a mean over the picture gives.
    const POOLED: Self = Self {
        step: 0,
        halo: None,
        followed: Followed::Wholly,
    };
}

/// Follows the frame through the graph.
///
/// # Errors
/// [`EngineError::Load`] when the graph is missing, [`EngineError::Contract`] when the metadata tell
/// other blocks than it works on.
pub(super) fn reach(model: &Model) -> Result<Reach, EngineError> {
    let graph = model.graph()?;
    let weights = stored::of(graph);
    let start = Local {
        step: 1,
        halo: Some(0),
        followed: Followed::Wholly,
    };
    let mut tensors: HashMap<&str, Local> =
        HashMap::from([(INPUT_NAME, start), (PREVIOUS_NAME, start)]);
    let (mut scale, mut macs, mut cost_is_known) = (1, 0.0, true);
    for node in &graph.node {
        let inputs = node.input.iter();
        let inputs: Vec<_> = inputs
            .filter_map(|name| tensors.get(name.as_str()).copied())
            .collect();
        if inputs.is_empty() {
            continue;
        }
        let dims = kernel_dims(node, graph, &weights);
        let out = node::through(node, &inputs, dims, &weights);
        // Convolutions of a pooled map cost next to nothing for a pixel.
        if out.step > 0 && PRODUCTS.contains(&node.op_type.as_str()) {
            cost_is_known = false;
        } else if out.step > 0 && weight_of(node).is_some() {
            let per_sample = dims.map(|dims| dims.iter().map(|&d| d as f64).product::<f64>());
            macs += per_sample.unwrap_or(0.0) / (out.step * out.step) as f64;
            cost_is_known &= dims.is_some() && out.followed < Followed::Not;
        }
        if out.step > 0 && out.followed == Followed::Wholly {
            scale = common(scale, out.step)?;
        }
        for (i, name) in node.output.iter().enumerate() {
            // Scale and zero point of a frame's bytes are one each.
            let one = i > 0 && node.op_type == "DynamicQuantizeLinear";
            tensors.insert(name, if one { Local::POOLED } else { out });
        }
    }
    let number = |key| model.metadata(key).and_then(|v| v.parse::<usize>().ok());
    let told = number(META_SCALE).filter(|s| (1..=MAX_STEP).contains(s));
    let residual = tensors.get(model.residual.as_str());
    let followed = residual.is_some_and(|local| local.followed == Followed::Wholly);
    // Frames are padded to multiples of it.
    if let Some(told) = told.filter(|told| followed && told % scale != 0) {
        return breach(format!(
            "its metadata say {META_SCALE} {told}, its graph works on blocks of {scale} pixels"
        ));
    }
    let halo = match residual {
        // The whole frame is that, whatever the metadata say.
        Some(local) if followed || local.halo.is_none() => local.halo,
        _ => number(META_HALO),
    };
    let scale = match told {
        // Of a graph that is not followed to its end, the file's own word counts where it can.
        Some(told) if told >= scale => told,
        Some(told) => common(told, scale)?,
        None => scale,
    };
    Ok(Reach {
        scale,
        halo: halo.filter(|&h| h <= MAX_HALO),
        macs_per_pixel: macs,
        cost_is_known,
    })
}

/// The smallest blocks that are whole ones of `a` and of `b` pixels.
fn common(a: usize, b: usize) -> Result<usize, EngineError> {
    let blocks = (1..=b).map(|n| n * a).find(|blocks| blocks % b == 0);
    match blocks.filter(|&blocks| blocks <= MAX_SCALE) {
        Some(blocks) => Ok(blocks),
        None => breach(format!(
            "its graph works on blocks of {a} and of {b} pixels, which only blocks of more than {MAX_SCALE} hold whole: let one of the two divide the other"
        )),
    }
}

/// Dimensions of a convolution's weight: the kernel's are the last two.
fn kernel_dims<'a>(
    node: &NodeProto,
    graph: &GraphProto,
    weights: &Stored<'a>,
) -> Option<&'a [i64]> {
    let name = node.input.get(weight_of(node)?)?.as_str();
    let source = match weights.get(name) {
        Some(tensor) => return Some(&tensor.dims),
        None => giver(graph, name)?,
    };
    weights
        .get(source.input.first()?.as_str())
        .map(|t| t.dims.as_slice())
}

/// Which input of a convolution is its weight.
fn weight_of(node: &NodeProto) -> Option<usize> {
    match node.op_type.as_str() {
        "Conv" | "ConvTranspose" | "ConvInteger" => Some(1),
        "QLinearConv" => Some(3),
        _ => None,
    }
}

//! How far the network looks and what it costs, read off its graph.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use hone_shared::student::{INPUT_NAME, META_HALO, META_SCALE, PREVIOUS_NAME};
use tract_onnx::pb::{GraphProto, NodeProto};

use super::EngineError;
use super::model::{Model, attribute, breach, giver};
use super::stored::{self, Stored};

/// Longest halo believed, in pixels.
const MAX_HALO: usize = 4096;
/// Coarsest sampling followed, in pixels a sample.
const MAX_STEP: usize = 64;
/// Largest blocks that frames are padded to, in pixels.
const MAX_SCALE: usize = 256;

/// Geometry of a network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reach {
    /// Sides of what it takes must be multiples of this.
    pub scale: usize,
    /// How far an output pixel looks, in pixels; `None` when the whole frame counts.
    pub halo: Option<usize>,
    /// Multiply-accumulates of all convolutions, per pixel.
    pub macs_per_pixel: f64,
}

/// One tensor: pixels of the frame for one of its samples (0 when one sample stands for the whole
/// frame), and how far a sample looks (`None` when it sees all of it).
#[derive(Debug, Clone, Copy)]
struct Local {
    step: usize,
    halo: Option<usize>,
}

impl Local {
    /// What a mean over the picture gives.
    const POOLED: Self = Self {
        step: 0,
        halo: None,
    };

    fn believable(&self) -> bool {
        self.step <= MAX_STEP && self.halo.is_none_or(|halo| halo <= MAX_HALO)
    }
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
    };
    // `None` marks a tensor that depends on the frame in a way not followed here.
    let mut tensors: HashMap<&str, Option<Local>> =
        HashMap::from([(INPUT_NAME, Some(start)), (PREVIOUS_NAME, Some(start))]);
    let (mut scale, mut macs) = (1, 0.0);
    for node in &graph.node {
        let inputs: Vec<_> = node
            .input
            .iter()
            .filter_map(|name| tensors.get(name.as_str()).copied())
            .collect();
        if inputs.is_empty() {
            continue;
        }
        let known: Option<Vec<Local>> = inputs.into_iter().collect();
        let dims = kernel_dims(node, graph, &weights);
        let out = known
            .and_then(|inputs| through(node, &inputs, dims, &weights))
            .filter(Local::believable);
        // Convolutions of a pooled map cost next to nothing for a pixel.
        if let (Some(local), Some(dims)) = (out.filter(|local| local.step > 0), dims) {
            let per_sample: f64 = dims.iter().map(|&d| d as f64).product();
            macs += per_sample / (local.step * local.step) as f64;
        }
        if let Some(local) = out.filter(|local| local.step > 0) {
            scale = common(scale, local.step)?;
        }
        for name in &node.output {
            tensors.insert(name, out);
        }
    }
    let number = |key| model.metadata(key).and_then(|v| v.parse::<usize>().ok());
    let told = number(META_SCALE).filter(|s| (1..=MAX_STEP).contains(s));
    let residual = tensors.get(model.residual.as_str()).copied().flatten();
    // Frames are padded to multiples of it.
    if let (Some(_), Some(told)) = (residual, told.filter(|told| told % scale != 0)) {
        return breach(format!(
            "its metadata say {META_SCALE} {told}, its graph works on blocks of {scale} pixels"
        ));
    }
    let halo = match residual {
        Some(local) => local.halo,
        None => number(META_HALO),
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
    let weight = match node.op_type.as_str() {
        "Conv" | "ConvTranspose" | "ConvInteger" => 1,
        "QLinearConv" => 3,
        _ => return None,
    };
    let name = node.input.get(weight)?.as_str();
    let source = match weights.get(name) {
        Some(tensor) => return Some(&tensor.dims),
        None => giver(graph, name)?,
    };
    weights
        .get(source.input.first()?.as_str())
        .map(|t| t.dims.as_slice())
}

fn through(
    node: &NodeProto,
    inputs: &[Local],
    dims: Option<&[i64]>,
    weights: &Stored<'_>,
) -> Option<Local> {
    let ints = |name| attribute(node, name).map(|a| a.ints.as_slice());
    let largest = |name, default: i64| {
        let values = ints(name).unwrap_or(&[]);
        usize::try_from(values.iter().copied().max().unwrap_or(default)).ok()
    };
    let first = *inputs.first()?;
    let step = first.step;
    // Samples from one end of a kernel to the other.
    let span = || {
        let kernel = match ints("kernel_shape") {
            Some(shape) => shape.iter().copied().max()?,
            None => *dims?.get(2..)?.iter().max()?,
        };
        Some(usize::try_from(kernel).ok()?.checked_sub(1)? * largest("dilations", 1)?)
    };
    // A mean or a cut over the channels alone.
    let over_channels = || match (ints("axes"), node.input.get(3)) {
        (Some(axes), _) => axes == [1],
        (None, Some(axes)) => weights
            .get(axes.as_str())
            .is_some_and(|axes| axes.raw_data == 1i64.to_le_bytes()),
        (None, None) => false,
    };
    match node.op_type.as_str() {
        "Conv" | "QLinearConv" | "ConvInteger" | "MaxPool" | "AveragePool" => {
            let span = span()?;
            let pads = ints("pads").unwrap_or(&[]);
            let centred = pads
                .iter()
                .all(|&p| usize::try_from(p).is_ok_and(|p| 2 * p == span));
            let reach = if centred && !pads.is_empty() || span == 0 {
                span / 2
            } else {
                span
            };
            Some(Local {
                step: step * largest("strides", 1)?,
                halo: first.halo.map(|halo| halo + reach * step),
            })
        }
        "ConvTranspose" => {
            let stride = largest("strides", 1)?.max(1);
            let span = span()?;
            (step % stride == 0).then(|| Local {
                step: step / stride,
                halo: first.halo.map(|halo| halo + (span + 1) * step),
            })
        }
        "SpaceToDepth" => {
            let block = usize::try_from(attribute(node, "blocksize")?.i).ok()?;
            Some(Local {
                step: step * block,
                ..first
            })
        }
        "DepthToSpace" => {
            let block = usize::try_from(attribute(node, "blocksize")?.i).ok()?;
            (block > 0 && step % block == 0).then(|| Local {
                step: step / block,
                ..first
            })
        }
        "Relu" | "LeakyRelu" | "PRelu" | "Clip" | "Sigmoid" | "HardSigmoid" | "HardSwish"
        | "Tanh" | "Gelu" | "Erf" | "Exp" | "Sqrt" | "Neg" | "Abs" | "Softplus" | "Add" | "Sub"
        | "Mul" | "Div" | "Pow" | "Max" | "Min" | "Concat" | "Identity" | "Cast"
        | "QuantizeLinear" | "DequantizeLinear" | "BatchNormalization" => {
            // One value for the frame spreads over any map.
            let step = inputs.iter().map(|i| i.step).max().unwrap_or(0);
            let even = inputs.iter().all(|i| i.step == step || i.step == 0);
            let halos: Option<Vec<usize>> = inputs.iter().map(|i| i.halo).collect();
            even.then(|| Local {
                step,
                halo: halos.and_then(|halos| halos.into_iter().max()),
            })
        }
        "GlobalAveragePool" => Some(Local::POOLED),
        "ReduceMean" | "Slice" => over_channels().then_some(first),
        _ => None,
    }
}

//! How far the network looks and what it costs, read off its graph.

use std::collections::HashMap;

use hone_shared::student::{INPUT_NAME, META_HALO, META_SCALE};
use tract_onnx::pb::{NodeProto, TensorProto};

use super::EngineError;
use super::model::{Model, attribute};

/// Longest halo believed, in pixels.
const MAX_HALO: usize = 4096;
/// Coarsest sampling followed, in pixels a sample.
const MAX_STEP: usize = 64;

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

/// One tensor: pixels of the frame for one of its samples, and how far a sample looks.
#[derive(Debug, Clone, Copy)]
struct Local {
    step: usize,
    halo: usize,
}

/// Follows the frame through the graph.
///
/// # Errors
/// [`EngineError::Load`] when the graph is missing.
pub(super) fn reach(model: &Model) -> Result<Reach, EngineError> {
    let graph = model.graph()?;
    let weights: HashMap<&str, &TensorProto> = graph
        .initializer
        .iter()
        .map(|t| (t.name.as_str(), t))
        .collect();
    let start = Local { step: 1, halo: 0 };
    // `None` marks a tensor that depends on the frame in a way not followed here.
    let mut tensors: HashMap<&str, Option<Local>> = HashMap::from([(INPUT_NAME, Some(start))]);
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
        let dims = kernel_dims(node, &graph.node, &weights);
        let out = known
            .and_then(|inputs| through(node, &inputs, dims))
            .filter(|local| (1..=MAX_STEP).contains(&local.step) && local.halo <= MAX_HALO);
        if let (Some(local), Some(dims)) = (out, dims) {
            let per_sample: f64 = dims.iter().map(|&d| d as f64).product();
            macs += per_sample / (local.step * local.step) as f64;
        }
        scale = scale.max(out.map_or(1, |local| local.step));
        for name in &node.output {
            tensors.insert(name, out);
        }
    }
    let number = |key| model.metadata(key).and_then(|v| v.parse::<usize>().ok());
    let halo = match tensors.get(model.residual.as_str()).copied().flatten() {
        Some(local) => Some(local.halo),
        None => number(META_HALO),
    };
    let scale = number(META_SCALE)
        .filter(|s| (1..=MAX_STEP).contains(s))
        .map_or(scale, |s| s.max(scale));
    Ok(Reach {
        scale,
        halo: halo.filter(|&h| h <= MAX_HALO),
        macs_per_pixel: macs,
    })
}

/// Dimensions `[outputs, inputs / groups, kh, kw]` of a convolution's weight.
fn kernel_dims<'a>(
    node: &NodeProto,
    nodes: &'a [NodeProto],
    weights: &HashMap<&str, &'a TensorProto>,
) -> Option<&'a [i64]> {
    if !matches!(node.op_type.as_str(), "Conv" | "ConvTranspose") {
        return None;
    }
    let name = node.input.get(1)?.as_str();
    let source = match weights.get(name) {
        Some(tensor) => return Some(&tensor.dims),
        None => nodes.iter().find(|n| n.output.iter().any(|o| o == name))?,
    };
    weights
        .get(source.input.first()?.as_str())
        .map(|t| t.dims.as_slice())
}

fn through(node: &NodeProto, inputs: &[Local], dims: Option<&[i64]>) -> Option<Local> {
    let ints = |name| attribute(node, name).map(|a| a.ints.as_slice());
    let largest = |name, default: i64| {
        let values = ints(name).unwrap_or(&[]);
        usize::try_from(values.iter().copied().max().unwrap_or(default)).ok()
    };
    let first = *inputs.first()?;
    let step = first.step;
    match node.op_type.as_str() {
        "Conv" | "MaxPool" | "AveragePool" => {
            let kernel = match ints("kernel_shape") {
                Some(shape) => shape.iter().copied().max()?,
                None => *dims?.get(2..)?.iter().max()?,
            };
            let span = usize::try_from(kernel).ok()?.checked_sub(1)? * largest("dilations", 1)?;
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
                halo: first.halo + reach * step,
            })
        }
        "ConvTranspose" => {
            let stride = largest("strides", 1)?.max(1);
            let kernel = largest("kernel_shape", 3)?;
            (step % stride == 0).then(|| Local {
                step: step / stride,
                halo: first.halo + kernel * step,
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
            inputs.iter().all(|i| i.step == step).then(|| Local {
                step,
                halo: inputs.iter().map(|i| i.halo).max().unwrap_or(0),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_chain_is_followed() {
        let model = Model::parse(&sample::f32_chain()).unwrap();
        let reach = reach(&model).unwrap();
        let chain = sample::chain(hone_shared::student::Colour::Luma, 2, &[4, 8, 8, 4], 1);
        assert_eq!(reach.scale, 2);
        assert_eq!(reach.halo, Some(chain.halo()));
        assert_eq!(reach.macs_per_pixel, chain.macs_per_pixel());
    }
}

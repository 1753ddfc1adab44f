//! How far the network looks and what it costs, read off its graph.

use std::collections::HashMap;

use hone_shared::student::{INPUT_NAME, META_HALO, META_SCALE, PREVIOUS_NAME};
use tract_onnx::pb::{NodeProto, TensorProto};

use super::EngineError;
use super::model::{Model, attribute, breach};

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
    let weights: HashMap<&str, &TensorProto> = graph
        .initializer
        .iter()
        .map(|t| (t.name.as_str(), t))
        .collect();
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
        let dims = kernel_dims(node, &graph.node, &weights);
        let out = known
            .and_then(|inputs| through(node, &inputs, dims, &weights))
            .filter(Local::believable);
        // Convolutions of a pooled map cost next to nothing for a pixel.
        if let (Some(local), Some(dims)) = (out.filter(|local| local.step > 0), dims) {
            let per_sample: f64 = dims.iter().map(|&d| d as f64).product();
            macs += per_sample / (local.step * local.step) as f64;
        }
        scale = scale.max(out.map_or(1, |local| local.step));
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
    let scale = told.map_or(scale, |s| s.max(scale));
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
    let weight = match node.op_type.as_str() {
        "Conv" | "ConvTranspose" | "ConvInteger" => 1,
        "QLinearConv" => 3,
        _ => return None,
    };
    let name = node.input.get(weight)?.as_str();
    let source = match weights.get(name) {
        Some(tensor) => return Some(&tensor.dims),
        None => nodes.iter().find(|n| n.output.iter().any(|o| o == name))?,
    };
    weights
        .get(source.input.first()?.as_str())
        .map(|t| t.dims.as_slice())
}

fn through(
    node: &NodeProto,
    inputs: &[Local],
    dims: Option<&[i64]>,
    weights: &HashMap<&str, &TensorProto>,
) -> Option<Local> {
    let ints = |name| attribute(node, name).map(|a| a.ints.as_slice());
    let largest = |name, default: i64| {
        let values = ints(name).unwrap_or(&[]);
        usize::try_from(values.iter().copied().max().unwrap_or(default)).ok()
    };
    let first = *inputs.first()?;
    let step = first.step;
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
                halo: first.halo.map(|halo| halo + reach * step),
            })
        }
        "ConvTranspose" => {
            let stride = largest("strides", 1)?.max(1);
            let kernel = largest("kernel_shape", 3)?;
            (step % stride == 0).then(|| Local {
                step: step / stride,
                halo: first.halo.map(|halo| halo + kernel * step),
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

#[cfg(test)]
mod tests {
    use prost::Message;
    use tract_onnx::pb::ModelProto;

    use super::super::{describe, sample};
    use super::*;

    #[test]
    fn a_mean_over_the_picture_sees_it_all_and_hides_no_cost() {
        let node = |op: &str| NodeProto {
            op_type: op.to_owned(),
            ..NodeProto::default()
        };
        let known = HashMap::new();
        let local = Local {
            step: 2,
            halo: Some(6),
        };
        let pooled = through(&node("GlobalAveragePool"), &[local], None, &known).unwrap();
        assert_eq!((pooled.step, pooled.halo), (0, None));
        let gated = through(&node("Mul"), &[pooled, local], None, &known).unwrap();
        assert_eq!((gated.step, gated.halo), (2, None));
        let other = Local { step: 4, ..local };
        assert!(through(&node("Mul"), &[other, local], None, &known).is_none());
        assert!(through(&node("Slice"), &[local], None, &known).is_none());
    }

    #[test]
    fn convolutions_of_bytes_cost_what_others_do() {
        let weight = TensorProto {
            dims: vec![8, 4, 3, 3],
            ..TensorProto::default()
        };
        let known = HashMap::from([("w", &weight)]);
        for (op, inputs) in [
            ("QLinearConv", &["x", "xs", "xz", "w", "ws", "wz"][..]),
            ("ConvInteger", &["x", "w"]),
        ] {
            let pads = sample::ints("pads", &[1; 4]);
            let node = sample::node(op, inputs, "y", vec![pads]);
            let dims = kernel_dims(&node, &[], &known);
            assert_eq!(dims, Some(&[8, 4, 3, 3][..]), "{op}");
            let local = Local {
                step: 2,
                halo: Some(6),
            };
            let out = through(&node, &[local], dims, &known).unwrap();
            assert_eq!((out.step, out.halo), (2, Some(8)), "{op}");
        }
    }

    #[test]
    fn frames_are_padded_to_whole_blocks_of_the_graph() {
        let told = |scale: &str| {
            let mut proto = ModelProto::decode(sample::f32_chain().as_slice()).unwrap();
            for entry in &mut proto.metadata_props {
                if entry.key == META_SCALE {
                    entry.value = scale.into();
                }
            }
            describe(&proto.encode_to_vec())
        };
        let said = told("3").unwrap_err().to_string();
        assert!(
            said.contains("hone.scale 3") && said.contains("blocks of 2"),
            "{said}"
        );
        let said = told("4").unwrap().layers.unwrap_err();
        assert!(said.contains("blocks are of 2"), "{said}");
        assert!(told("2").unwrap().layers.is_ok());
    }

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

//! Recognising a chain of convolutions in a graph, so that it can run fused.
//!
//! Both forms are walked from the frame to the residual, one reader at a time: SpaceToDepth, 3x3 or
//! 1x1 convolutions with ReLU between them, DepthToSpace; the INT8 form with QuantizeLinear and
//! DequantizeLinear around each convolution.

mod f32;
mod int8;
pub(super) mod quantiser;
#[cfg(test)]
mod tests;

use hone_shared::quant::QuantChain;
use hone_shared::student::{
    ConvChain, INPUT_NAME, META_SCALE, OUTPUT_NAME, PREVIOUS_NAME, Precision,
};
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::model::{Model, attribute};
use super::stored;

/// Most channels between layers that the executor takes.
const MAX_CHANNELS: usize = 512;

/// Why a graph runs on tract; for people.
pub(super) type Reason = String;

/// An f32 chain.
pub(super) struct F32Chain {
    /// Its convolutions.
    pub chain: ConvChain,
    /// What each layer's ReLU lets through at most; infinite where nothing is cut.
    pub ceilings: Vec<f32>,
}

/// A graph that can run fused.
pub(super) enum Chain {
    /// In f32.
    F32(F32Chain),
    /// In INT8.
    Int8(QuantChain),
}

/// Reads the chain off a model's graph. Where it sees the frame before too, its first convolution is
/// brought to read all of the frame's channels, then all of the other's, as they are loaded.
///
/// # Errors
/// The first thing that does not fit, in words.
pub(super) fn recognise(model: &Model) -> Result<Chain, Reason> {
    let graph = model.graph().map_err(|e| e.to_string())?;
    let stored = stored::of(graph);
    match model.precision {
        Precision::F32 => {
            let mut found = f32::recognise(model, graph, &stored)?;
            let chain = &mut found.chain;
            let (temporal, scale) = (chain.is_temporal(), chain.scale);
            let first = chain.layers.first_mut();
            let first = first.map(|l| (&mut l.weights, l.inputs, l.kernel));
            fit(model, temporal, scale, first)?;
            Ok(Chain::F32(found))
        }
        Precision::Int8 => {
            let mut chain = int8::recognise(model, graph, &stored)?;
            let (temporal, scale) = (chain.is_temporal(), chain.scale);
            let first = chain.layers.first_mut();
            let first = first.map(|l| (&mut l.weights, l.inputs, l.kernel));
            fit(model, temporal, scale, first)?;
            Ok(Chain::Int8(chain))
        }
    }
}

/// Holds a chain to what the model says of it, and brings its first convolution (weights, inputs and kernel side) to the
/// order in which two frames are loaded.
fn fit<T: Copy>(
    model: &Model,
    temporal: bool,
    scale: usize,
    first: Option<(&mut Vec<T>, usize, usize)>,
) -> Result<(), Reason> {
    check_inputs(model, temporal)?;
    check_blocks(model, scale)?;
    if let Some((weights, inputs, kernel)) = first.filter(|_| temporal) {
        *weights = one_by_one(weights, inputs, kernel, model);
    }
    Ok(())
}

/// An f32 model's convolutions, channels in its file's order.
///
/// # Errors
/// What stands in the way, in words.
pub(super) fn convolutions(model: &Model) -> Result<ConvChain, Reason> {
    if model.precision == Precision::Int8 {
        return Err("its weights are INT8: take the f32 file that it was made from".into());
    }
    let graph = model.graph().map_err(|e| e.to_string())?;
    let found = f32::recognise(model, graph, &stored::of(graph))?;
    check_inputs(model, found.chain.is_temporal())?;
    if found.ceilings.iter().any(|ceiling| ceiling.is_finite()) {
        return Err("it cuts values from above".into());
    }
    Ok(found.chain)
}

/// Frames are padded as the metadata say, which may be to more than the chain's own blocks.
fn check_blocks(model: &Model, scale: usize) -> Result<(), Reason> {
    match model
        .metadata(META_SCALE)
        .and_then(|s| s.parse::<usize>().ok())
    {
        Some(told) if told != scale => Err(format!(
            "its metadata say {META_SCALE} {told}, its blocks are of {scale} pixels"
        )),
        _ => Ok(()),
    }
}

fn check_inputs(model: &Model, temporal: bool) -> Result<(), Reason> {
    if model.temporal == temporal {
        return Ok(());
    }
    Err("its first convolution has another number of channels than its inputs".into())
}

/// Where a chain begins: the frame, or what joins it with the frame before.
fn start<'a>(model: &Model, graph: &'a GraphProto) -> Result<&'a str, Reason> {
    if !model.temporal {
        return Ok(INPUT_NAME);
    }
    let joined = reader(graph, INPUT_NAME)?;
    let axis = attribute(joined, "axis").map(|a| a.i);
    let both = joined.input == [INPUT_NAME, PREVIOUS_NAME];
    if joined.op_type != "Concat" || !both || !matches!(axis, Some(1 | -3)) {
        return Err(format!(
            "'{INPUT_NAME}' and '{PREVIOUS_NAME}' are not joined before all else"
        ));
    }
    reader(graph, PREVIOUS_NAME)?;
    joined
        .output
        .first()
        .map(String::as_str)
        .ok_or_else(|| "a Concat gives nothing".into())
}

/// A first convolution's weights `[O,I,k,k]` for channels that come frame by frame: after
/// SpaceToDepth every pixel's samples lie beside those of the frame before.
fn one_by_one<T: Copy>(weights: &[T], inputs: usize, kernel: usize, model: &Model) -> Vec<T> {
    let planes = model.colour.channels();
    let (half, area) = (inputs / 2, kernel * kernel);
    let place = |i: usize| i % half / planes * 2 * planes + i / half * planes + i % planes;
    let outputs = weights.chunks_exact((inputs * area).max(1));
    let reordered = |kernels: &[T]| -> Vec<T> {
        (0..inputs)
            .flat_map(|i| kernels[place(i) * area..][..area].to_vec())
            .collect()
    };
    outputs.flat_map(reordered).collect()
}

/// The only node that reads `name`, apart from the last Add.
fn reader<'a>(graph: &'a GraphProto, name: &str) -> Result<&'a NodeProto, Reason> {
    // The empty name stands for an input left out: following it could go in a circle.
    if name.is_empty() {
        return Err("a node of the chain leaves its first output out".into());
    }
    let reads = |n: &&NodeProto| n.input.iter().any(|i| i == name);
    let mut nodes = graph
        .node
        .iter()
        .filter(|n| n.output.first().is_none_or(|o| o != OUTPUT_NAME))
        .filter(reads);
    match (nodes.next(), nodes.next()) {
        (Some(node), None) => Ok(node),
        (None, _) => Err(format!("'{name}' does not lead to the residual")),
        (Some(_), Some(_)) => Err(format!("'{name}' is read twice")),
    }
}

fn block(node: &NodeProto) -> Result<usize, Reason> {
    attribute(node, "blocksize")
        .and_then(|a| usize::try_from(a.i).ok())
        .ok_or_else(|| format!("{} has no block size", node.op_type))
}

/// For each of ONNX's residual channels `(by * scale + bx) * C + c`, the last convolution's channel
/// that gives it when DepthToSpace reads `c * scale^2 + by * scale + bx`.
fn column_row_depth(planes: usize, scale: usize) -> Vec<usize> {
    let area = scale * scale;
    (0..area)
        .flat_map(|block| (0..planes).map(move |plane| plane * area + block))
        .collect()
}

/// What a last convolution holds for each of its outputs, outputs in the order that `order` gives.
fn reordered<T: Copy>(values: &[T], order: &[usize]) -> Vec<T> {
    let size = values.len() / order.len();
    let each = order.iter().flat_map(|&o| &values[o * size..][..size]);
    each.copied().collect()
}

/// A bias as it is, when it has a number for each output.
fn bias<T>(values: Vec<T>, outputs: usize) -> Result<Vec<T>, Reason> {
    if values.len() == outputs {
        return Ok(values);
    }
    let found = values.len();
    Err(format!(
        "a convolution of {outputs} channels has a bias of {found}"
    ))
}

/// Whether a DepthToSpace numbers channels the other way round.
fn is_column_row_depth(node: &NodeProto) -> bool {
    attribute(node, "mode").is_some_and(|a| a.s == b"CRD")
}

/// Outputs, inputs and kernel side of a convolution's weight, checked with its node.
fn shape(node: &NodeProto, weight: &TensorProto) -> Result<[usize; 3], Reason> {
    let side = |i: usize| weight.dims.get(i).and_then(|&d| usize::try_from(d).ok());
    let (Some(outputs), Some(inputs), Some(kernel)) = (side(0), side(1), side(2)) else {
        return Err("a convolution's weight has no shape".into());
    };
    if weight.dims.len() != 4 || side(3) != Some(kernel) {
        return Err("a convolution's kernel is not square".into());
    }
    if outputs > MAX_CHANNELS || inputs > MAX_CHANNELS {
        return Err(format!("it has more than {MAX_CHANNELS} channels"));
    }
    check_geometry(node, kernel)?;
    Ok([outputs, inputs, kernel])
}

/// Kernel sides that the executor takes, stride 1, "same" zero padding, one group.
fn check_geometry(node: &NodeProto, kernel: usize) -> Result<(), Reason> {
    if ![1, 3].contains(&kernel) {
        return Err(format!("it holds a {kernel}x{kernel} convolution"));
    }
    let all = |name: &str, want: i64| {
        attribute(node, name).is_none_or(|a| a.ints.iter().all(|&v| v == want))
    };
    let padded = attribute(node, "pads").is_some_and(|a| a.ints.len() == 4) || kernel == 1;
    let automatic = attribute(node, "auto_pad").map_or(&b"NOTSET"[..], |a| &a.s);
    let same = match automatic {
        b"NOTSET" => padded && all("pads", kernel as i64 / 2),
        b"SAME_UPPER" | b"SAME_LOWER" => true,
        _ => kernel == 1,
    };
    let group = attribute(node, "group").map_or(1, |a| a.i);
    if same && all("strides", 1) && all("dilations", 1) && group == 1 {
        return Ok(());
    }
    Err("a convolution has strides, groups, dilation or odd padding".into())
}

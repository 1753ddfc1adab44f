//! Recognising a chain of convolutions in a graph, so that it can run fused.
//!
//! Both forms are walked from the frame to the residual, one reader at a time: SpaceToDepth, 3x3 or
//! 1x1 convolutions with ReLU between them, DepthToSpace; the INT8 form with QuantizeLinear and
//! DequantizeLinear around each convolution.

mod f32;
mod int8;

use hone_shared::quant::QuantChain;
use hone_shared::student::{ConvChain, OUTPUT_NAME, Precision};
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

/// Reads the chain off a model's graph.
///
/// # Errors
/// The first thing that does not fit, in words.
pub(super) fn recognise(model: &Model) -> Result<Chain, Reason> {
    let graph = model.graph().map_err(|e| e.to_string())?;
    let stored = stored::of(graph);
    match model.precision {
        Precision::F32 => f32::recognise(model, graph, &stored).map(Chain::F32),
        Precision::Int8 => int8::recognise(model, graph, &stored).map(Chain::Int8),
    }
}

/// The only node that reads `name`, apart from the last Add.
fn reader<'a>(graph: &'a GraphProto, name: &str) -> Result<&'a NodeProto, Reason> {
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

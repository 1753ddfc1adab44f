//! How many weights and biases a file holds.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use tract_onnx::pb::{ModelProto, NodeProto};

/// Weights and biases of convolutions, and learned factors and offsets, stored as f32 or as integers
/// behind a DequantizeLinear; scales and zero points do not count. `None` when the bytes are no ONNX.
pub fn parameters(model: &[u8]) -> Option<usize> {
    let graph = ModelProto::decode(model).ok()?.graph?;
    let stored: BTreeMap<&str, usize> = graph
        .initializer
        .iter()
        .map(|t| (t.name.as_str(), t.dims.iter().product::<i64>() as usize))
        .collect();
    let givers: BTreeMap<&str, &NodeProto> = graph
        .node
        .iter()
        .flat_map(|n| n.output.iter().map(move |o| (o.as_str(), n)))
        .collect();
    let source = |name: &str| match givers.get(name) {
        Some(node) if node.op_type == "DequantizeLinear" => node.input.first().cloned(),
        _ => Some(name.to_owned()),
    };
    let mut found = BTreeSet::new();
    for node in &graph.node {
        let learned: &[usize] = match node.op_type.as_str() {
            "Conv" | "ConvTranspose" | "Gemm" => &[1, 2],
            "QLinearConv" => &[3, 8],
            "Mul" | "Add" | "MatMul" => &[0, 1],
            _ => &[],
        };
        let inputs = learned.iter().filter_map(|i| node.input.get(*i));
        found.extend(inputs.filter_map(|name| source(name)));
    }
    // A scalar is a constant of the architecture, not learned.
    let count = |name: &String| stored.get(name.as_str()).filter(|n| **n > 1).copied();
    Some(found.iter().filter_map(count).sum())
}

//! The f32 form.

use hone_shared::student::{ConvChain, ConvLayer};
use tract_onnx::pb::{GraphProto, NodeProto};

use super::{
    F32Chain, Model, Reason, bias, block, column_row_depth, is_column_row_depth, reader, reordered,
    shape, start,
};
use crate::engine::normalise;
use crate::engine::stored::{Stored, floats};

/// The chain of an f32 model.
pub(super) fn recognise(
    model: &Model,
    graph: &GraphProto,
    stored: &Stored<'_>,
) -> Result<F32Chain, Reason> {
    let mut chain = ConvChain {
        colour: model.colour,
        scale: 1,
        layers: Vec::new(),
        limited: model.limited,
    };
    let mut ceilings = Vec::new();
    let mut at = start(model, graph)?;
    let (mut done, mut columns) = (false, false);
    while at != model.residual {
        let node = reader(graph, at)?;
        if done {
            return Err(format!("{} follows DepthToSpace", node.op_type));
        }
        match node.op_type.as_str() {
            "SpaceToDepth" if chain.layers.is_empty() && chain.scale == 1 => {
                chain.scale = block(node)?;
            }
            "DepthToSpace" => {
                if block(node)? != chain.scale {
                    return Err("DepthToSpace and SpaceToDepth differ".into());
                }
                columns = is_column_row_depth(node);
                done = true;
            }
            "Conv" => {
                chain.layers.push(convolution(node, stored)?);
                ceilings.push(f32::INFINITY);
            }
            "Relu" | "Clip" => {
                let high = match node.op_type.as_str() {
                    "Relu" => f32::INFINITY,
                    _ => normalise::ceiling(node, stored)?,
                };
                let (Some(layer), Some(ceiling)) = (chain.layers.last_mut(), ceilings.last_mut())
                else {
                    return Err(format!("{} comes before any convolution", node.op_type));
                };
                layer.relu = true;
                *ceiling = ceiling.min(high);
            }
            other => return Err(format!("it holds {other}")),
        }
        at = node.output.first().map_or("", String::as_str);
    }
    if !done && chain.scale > 1 {
        return Err("SpaceToDepth is not undone".into());
    }
    // Before the order of channels is laid out: a file may tell any block and lack any number.
    chain.validate()?;
    if let Some(last) = chain.layers.last_mut().filter(|_| columns) {
        let order = column_row_depth(chain.colour.channels(), chain.scale);
        last.weights = reordered(&last.weights, &order);
        last.bias = reordered(&last.bias, &order);
    }
    Ok(F32Chain { chain, ceilings })
}

fn convolution(node: &NodeProto, stored: &Stored<'_>) -> Result<ConvLayer, Reason> {
    let tensor = |i: usize| node.input.get(i).and_then(|name| stored.get(name.as_str()));
    let weight = tensor(1).ok_or("a convolution's weight is computed, not stored")?;
    let [outputs, inputs, kernel] = shape(node, weight)?;
    let biases = match (node.input.get(2).filter(|n| !n.is_empty()), tensor(2)) {
        (None, _) => vec![0.0; outputs],
        (Some(_), Some(stored)) => bias(floats(stored)?, outputs)?,
        (Some(_), None) => return Err("a convolution's bias is computed, not stored".into()),
    };
    Ok(ConvLayer {
        inputs,
        outputs,
        kernel,
        weights: floats(weight)?,
        bias: biases,
        relu: false,
    })
}

//! The f32 form.

use hone_shared::student::{ConvChain, ConvLayer};
use tract_onnx::pb::{GraphProto, NodeProto};

use super::{
    F32Chain, Model, Reason, block, column_row_depth, is_column_row_depth, reader, shape, start,
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
    let mut done = false;
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
                if is_column_row_depth(node) {
                    reorder(&mut chain)?;
                }
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
    chain.validate()?;
    Ok(F32Chain { chain, ceilings })
}

/// Brings the last layer's outputs to ONNX's default order.
fn reorder(chain: &mut ConvChain) -> Result<(), Reason> {
    let order = column_row_depth(chain.colour.channels(), chain.scale);
    let Some(layer) = chain.layers.last_mut().filter(|l| l.outputs == order.len()) else {
        return Err("DepthToSpace does not follow the last convolution".into());
    };
    let size = layer.inputs * layer.kernel * layer.kernel;
    let weights = order
        .iter()
        .flat_map(|&o| layer.weights[o * size..][..size].to_vec());
    layer.weights = weights.collect();
    layer.bias = order.iter().map(|&o| layer.bias[o]).collect();
    Ok(())
}

fn convolution(node: &NodeProto, stored: &Stored<'_>) -> Result<ConvLayer, Reason> {
    let tensor = |i: usize| node.input.get(i).and_then(|name| stored.get(name.as_str()));
    let weight = tensor(1).ok_or("a convolution's weight is computed, not stored")?;
    let [outputs, inputs, kernel] = shape(node, weight)?;
    let bias = match (node.input.get(2).filter(|n| !n.is_empty()), tensor(2)) {
        (None, _) => vec![0.0; outputs],
        (Some(_), Some(bias)) => floats(bias)?,
        (Some(_), None) => return Err("a convolution's bias is computed, not stored".into()),
    };
    Ok(ConvLayer {
        inputs,
        outputs,
        kernel,
        weights: floats(weight)?,
        bias,
        relu: false,
    })
}

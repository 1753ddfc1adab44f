//! The student contract's inputs and output, and the residual that the last node adds.

use std::collections::HashSet;

use hone_shared::student::{Colour, INPUT_NAME, META_COLOUR, OUTPUT_NAME, PREVIOUS_NAME};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, ValueInfoProto, tensor_proto::DataType,
    tensor_shape_proto::dimension::Value as Dim, type_proto::Value as TypeValue,
};

use super::chain::quantiser::{affine, is_nearly_camera};
use super::model::{breach, giver};
use super::{EngineError, stored};

/// One f32 input `frame` `[1,C,H,W]`, one f32 output `restored` of the same shape; a temporal student
/// has a second input `previous` of that shape. Says whether it is one.
pub(super) fn check(proto: &ModelProto, graph: &GraphProto) -> Result<(Colour, bool), EngineError> {
    let weights: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let inputs = graph.input.iter();
    let (mut previous, inputs): (Vec<_>, Vec<_>) = inputs
        .filter(|i| !weights.contains(i.name.as_str()))
        .partition(|i| i.name == PREVIOUS_NAME);
    let previous = previous.pop();
    let (&[input], [output]) = (inputs.as_slice(), graph.output.as_slice()) else {
        return breach(format!(
            "it has {} inputs and {} outputs, students have one of each, or a second input \
             '{PREVIOUS_NAME}'",
            inputs.len() + usize::from(previous.is_some()),
            graph.output.len()
        ));
    };
    if input.name != INPUT_NAME || output.name != OUTPUT_NAME {
        return breach(format!(
            "its input is '{}' and its output '{}', they must be '{INPUT_NAME}' and '{OUTPUT_NAME}'",
            input.name, output.name
        ));
    }
    let channels = channels(input)?;
    let colour = match channels {
        Some(1) => Colour::Luma,
        Some(3) => Colour::Rgb,
        _ => return breach("its input is not [1,1,H,W] (luma) or [1,3,H,W] (RGB)"),
    };
    if self::channels(output)?.is_some_and(|c| Some(c) != channels) {
        return breach("its output has another number of channels than its input");
    }
    if let Some(previous) = previous {
        check_previous(graph, previous, channels)?;
    }
    match metadata(proto, META_COLOUR) {
        Some(name) if name != colour.name() => {
            breach(format!("its metadata say '{name}', its input is {colour}"))
        }
        _ => Ok((colour, previous.is_some())),
    }
}

/// The frame before has the frame's shape, and something reads it.
fn check_previous(
    graph: &GraphProto,
    previous: &ValueInfoProto,
    wanted: Option<i64>,
) -> Result<(), EngineError> {
    let found = channels(previous)?;
    if found != wanted {
        let number = |c: Option<i64>| c.map_or("an unknown number of".into(), |c| c.to_string());
        return breach(format!(
            "its input '{PREVIOUS_NAME}' has {} channels, '{INPUT_NAME}' has {}",
            number(found),
            number(wanted)
        ));
    }
    let read = |n: &NodeProto| n.input.iter().any(|i| i == PREVIOUS_NAME);
    if !graph.node.iter().any(read) {
        return breach(format!("no node reads its input '{PREVIOUS_NAME}'"));
    }
    Ok(())
}

/// C of `[1,C,H,W]`; `None` when it is symbolic or no shape is given.
fn channels(value: &ValueInfoProto) -> Result<Option<i64>, EngineError> {
    let Some(TypeValue::TensorType(tensor)) = value.r#type.as_ref().and_then(|t| t.value.as_ref())
    else {
        return breach(format!("'{}' has no tensor type", value.name));
    };
    if tensor.elem_type != DataType::Float as i32 {
        return breach(format!("'{}' is not f32", value.name));
    }
    let Some(shape) = &tensor.shape else {
        return Ok(None);
    };
    let fixed = |i: usize| match shape.dim.get(i).and_then(|d| d.value.as_ref()) {
        Some(&Dim::DimValue(v)) => Some(v),
        _ => None,
    };
    if shape.dim.len() != 4 || fixed(0).is_some_and(|n| n != 1) {
        return breach(format!("'{}' is not of shape [1,C,H,W]", value.name));
    }
    Ok(fixed(1))
}

/// The tensor that the last node adds to the frame.
pub(super) fn residual(graph: &GraphProto) -> Result<String, EngineError> {
    let last = giver(graph, OUTPUT_NAME).filter(|n| n.op_type == "Add");
    let Some([a, b]) = last.map(|n| n.input.as_slice()) else {
        return breach(format!(
            "the node that gives '{OUTPUT_NAME}' is not an Add of the frame and a residual, nor the overshoot \
             limit on one"
        ));
    };
    if let Some(node) = graph
        .node
        .iter()
        .find(|n| n.input.iter().any(|i| i == OUTPUT_NAME))
    {
        return breach(format!(
            "'{OUTPUT_NAME}' is read by a {} node",
            node.op_type
        ));
    }
    match (is_frame(graph, a)?, is_frame(graph, b)?) {
        (true, false) if !b.is_empty() => Ok(b.clone()),
        (false, true) if !a.is_empty() => Ok(a.clone()),
        _ => breach("its last Add does not add a residual to the frame"),
    }
}

/// Whether `name` is the input, or the input quantised to the camera's own bytes and back, as near as a calibration finds them.
///
/// # Errors
/// [`EngineError::Contract`] when it is the input quantised to others: the board adds the residual to the camera's.
fn is_frame(graph: &GraphProto, name: &str) -> Result<bool, EngineError> {
    if name == INPUT_NAME {
        return Ok(true);
    }
    let gives = |name: &str, op: &str| giver(graph, name).filter(|n| n.op_type == op);
    let first = |node: &NodeProto| node.input.first().cloned().unwrap_or_default();
    let Some(dequantise) = gives(name, "DequantizeLinear") else {
        return Ok(false);
    };
    let quantise = gives(&first(dequantise), "QuantizeLinear").filter(|q| first(q) == INPUT_NAME);
    let Some(quantise) = quantise else {
        return Ok(false);
    };
    let stored = stored::of(graph);
    let camera = |node| affine(node, &stored).is_ok_and(is_nearly_camera);
    if camera(quantise) && camera(dequantise) {
        return Ok(true);
    }
    breach(
        "its last Add reads the frame quantised to other bytes than the camera's, whose scale is 1/255 and whose zero \
         point is the lowest byte: add the residual to the frame itself",
    )
}

/// The value of a `metadata_props` entry.
pub(super) fn metadata<'a>(proto: &'a ModelProto, key: &str) -> Option<&'a str> {
    proto
        .metadata_props
        .iter()
        .find(|entry| entry.key == key)
        .map(|entry| entry.value.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::{dialects, load, sample};

    #[test]
    fn the_residual_is_added_to_the_cameras_own_bytes() {
        let through = |scale: f32| {
            let model = dialects::rewritten(&sample::f32_chain(), |graph| {
                graph.initializer.push(sample::floats("s", &[], &[scale]));
                let last = graph.node.len() - 1;
                graph.node[last].input[0] = "dq".into();
                let nodes = [
                    ("QuantizeLinear", "frame", "q"),
                    ("DequantizeLinear", "q", "dq"),
                ];
                let nodes = nodes.map(|(op, x, y)| sample::node(op, &[x, "s"], y, vec![]));
                graph.node.splice(last..last, nodes);
            });
            let loaded = load(&model, super::super::tests::options(1));
            loaded.map(|_| ()).map_err(|e| e.to_string())
        };
        through(1.0 / 255.0).unwrap();
        // What a calibration on pictures that are nearly white somewhere finds.
        through(0.003_920_75).unwrap();
        let text = through(1.0 / 60.0).unwrap_err();
        assert!(text.contains("other bytes than the camera's"), "{text}");
    }
}

//! Exporters write the same network in different words; this brings a graph to one of them, so that
//! everything after it knows only that one.
//!
//! Constant nodes become stored tensors, f16 becomes f32, Identity nodes and nodes that nothing reads
//! go, weights that are quantised in the graph are quantised here, a Clip from 0 up is a ReLU, and
//! reshapes that spell a SpaceToDepth or DepthToSpace become one.

mod half;
mod shuffle;

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use super::model::attribute;
use super::stored::{self, Stored};

/// Rewrites `graph` in place. Its names resolve and its tensors hold what their shapes promise.
pub(super) fn normalise(graph: &mut GraphProto) {
    store_constants(graph);
    half::widen(graph);
    remove_identities(graph);
    quantise_weights(graph);
    clips_to_relu(graph);
    shuffle::join(graph);
    remove_dead(graph);
}

fn store_constants(graph: &mut GraphProto) {
    let (constants, rest) = std::mem::take(&mut graph.node)
        .into_iter()
        .partition::<Vec<_>, _>(|n| n.op_type == "Constant" && constant(n).is_some());
    graph.node = rest;
    graph
        .initializer
        .extend(constants.iter().filter_map(constant));
}

/// The tensor that a Constant node gives.
fn constant(node: &NodeProto) -> Option<TensorProto> {
    let name = node.output.first()?.clone();
    let [value] = node.attribute.as_slice() else {
        return None;
    };
    let floats = |dims: Vec<i64>, values: &[f32]| TensorProto {
        dims,
        data_type: DataType::Float as i32,
        raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..TensorProto::default()
    };
    let integers = |dims: Vec<i64>, values: &[i64]| TensorProto {
        dims,
        data_type: DataType::Int64 as i32,
        raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..TensorProto::default()
    };
    let tensor = match value.name.as_str() {
        "value" => value.t.clone()?,
        "value_float" => floats(vec![], &[value.f]),
        "value_floats" => floats(vec![value.floats.len() as i64], &value.floats),
        "value_int" => integers(vec![], &[value.i]),
        "value_ints" => integers(vec![value.ints.len() as i64], &value.ints),
        _ => return None,
    };
    Some(TensorProto { name, ..tensor })
}

fn remove_identities(graph: &mut GraphProto) {
    let outputs: HashSet<String> = graph.output.iter().map(|o| o.name.clone()).collect();
    let given: HashSet<String> = graph
        .node
        .iter()
        .flat_map(|n| n.output.iter().cloned())
        .collect();
    let mut renamed = HashMap::new();
    graph.node.retain(|node| {
        let ([from], [to]) = (node.input.as_slice(), node.output.as_slice()) else {
            return true;
        };
        let is_output = outputs.contains(to);
        // The graph's output keeps its name: what gives it takes that name.
        let removable = !is_output || given.contains(from) && !outputs.contains(from);
        // An empty name stands for what is left out, wherever it is read.
        let named = !from.is_empty() && !to.is_empty();
        if node.op_type != "Identity" || !named || !removable {
            return true;
        }
        let from = renamed.get(from).unwrap_or(from).clone();
        if is_output {
            renamed.insert(from, to.clone());
        } else {
            renamed.insert(to.clone(), from);
        }
        false
    });
    let rename = |name: &mut String| {
        while let Some(new) = renamed.get(name) {
            name.clone_from(new);
        }
    };
    for node in &mut graph.node {
        node.input.iter_mut().for_each(rename);
        node.output.iter_mut().for_each(rename);
    }
}

/// Some tools leave weights in f32 with a QuantizeLinear behind them.
fn quantise_weights(graph: &mut GraphProto) {
    let folded: Vec<TensorProto> = {
        let stored = stored::of(graph);
        let nodes = graph.node.iter().filter(|n| n.op_type == "QuantizeLinear");
        nodes.filter_map(|n| quantised(n, &stored)).collect()
    };
    let names: HashSet<&str> = folded.iter().map(|t| t.name.as_str()).collect();
    graph
        .node
        .retain(|n| !n.output.iter().any(|o| names.contains(o.as_str())));
    graph.initializer.extend(folded);
}

/// What a QuantizeLinear makes of a stored tensor: s8, the scale for all of it or along one axis.
fn quantised(node: &NodeProto, tensors: &Stored<'_>) -> Option<TensorProto> {
    let tensor = |i: usize| node.input.get(i).and_then(|n| tensors.get(n.as_str()));
    let (from, scales) = (tensor(0)?, stored::floats(tensor(1)?).ok()?);
    let zero = tensor(2)?;
    if zero.data_type != DataType::Int8 as i32
        || stored::integers(zero).ok()?.iter().any(|&z| z != 0)
    {
        return None;
    }
    let axis = attribute(node, "axis").map_or(1, |a| a.i);
    let axis = if axis < 0 {
        axis + from.dims.len() as i64
    } else {
        axis
    };
    let inner: i64 = from
        .dims
        .get(usize::try_from(axis).ok()? + 1..)
        .unwrap_or(&[])
        .iter()
        .product();
    let values = stored::floats(from).ok()?;
    let scale = |at: usize| match scales.as_slice() {
        [one] => *one,
        all => all[at / inner.max(1) as usize % all.len().max(1)],
    };
    if scales.is_empty() || scales.iter().any(|s| !s.is_normal()) {
        return None;
    }
    let bytes = values
        .iter()
        .enumerate()
        .map(|(at, v)| (v / scale(at)).round_ties_even().clamp(-128.0, 127.0) as i8 as u8);
    Some(TensorProto {
        name: node.output.first()?.clone(),
        dims: from.dims.clone(),
        data_type: DataType::Int8 as i32,
        raw_data: bytes.collect(),
        ..TensorProto::default()
    })
}

/// Lower and upper bound of a Clip, from its inputs or, in old operator sets, its attributes.
fn bounds(node: &NodeProto, tensors: &Stored<'_>) -> Option<(f32, f32)> {
    let bound = |i: usize, name: &str, missing: f32| match node.input.get(i) {
        Some(input) if !input.is_empty() => {
            match stored::floats(tensors.get(input.as_str())?)
                .ok()?
                .as_slice()
            {
                &[one] => Some(one),
                _ => None,
            }
        }
        _ => Some(attribute(node, name).map_or(missing, |a| a.f)),
    };
    Some((
        bound(1, "min", f32::NEG_INFINITY)?,
        bound(2, "max", f32::INFINITY)?,
    ))
}

/// What a Clip that starts at 0 lets through at most.
///
/// # Errors
/// In words, when it starts elsewhere.
pub(super) fn ceiling(node: &NodeProto, tensors: &Stored<'_>) -> Result<f32, String> {
    match bounds(node, tensors) {
        Some((0.0, high)) if high >= 0.0 => Ok(high),
        _ => Err("a Clip does not start at 0".into()),
    }
}

fn clips_to_relu(graph: &mut GraphProto) {
    let relus: HashSet<String> = {
        let stored = stored::of(graph);
        let clips = graph.node.iter().filter(|n| n.op_type == "Clip");
        clips
            .filter(|n| {
                bounds(n, &stored).is_some_and(|(low, high)| low == 0.0 && high >= f32::MAX)
            })
            .filter_map(|n| n.output.first().cloned())
            .collect()
    };
    for node in &mut graph.node {
        if node.op_type == "Clip" && node.output.first().is_some_and(|o| relus.contains(o)) {
            node.op_type = "Relu".into();
            node.input.truncate(1);
            node.attribute.clear();
        }
    }
}

/// Removes nodes that lead nowhere.
pub(super) fn remove_dead(graph: &mut GraphProto) {
    let mut read: HashSet<String> = graph.output.iter().map(|o| o.name.clone()).collect();
    let mut kept = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node).into_iter().rev() {
        if node.output.iter().any(|o| read.contains(o)) {
            read.extend(node.input.iter().cloned());
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sample;

    #[test]
    fn an_input_that_is_left_out_stays_so() {
        let mut graph = GraphProto {
            node: vec![
                sample::node("Identity", &["frame"], "", vec![]),
                sample::node("Identity", &[""], "", vec![]),
                sample::node("Clip", &["frame", "", "high"], "clipped", vec![]),
            ],
            ..GraphProto::default()
        };
        remove_identities(&mut graph);
        assert_eq!(graph.node.last().unwrap().input, ["frame", "", "high"]);
    }
}

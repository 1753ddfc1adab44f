//! Removing from an exported student what its constants decide.
//!
//! A factor or an offset for each channel, behind any convolution or in front of a 1x1 one, goes
//! into its weights and bias; equal tensors are stored once. The function stays the same up to the
//! rounding of the folded weights.

mod fold;

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, tensor_proto::DataType,
};

/// Simplifies an f32 student's file as [`of_run`](super::of_run) writes it.
///
/// # Errors
/// When the bytes are no ONNX.
pub fn simplify(model: &[u8]) -> Result<Vec<u8>> {
    let mut proto = ModelProto::decode(model).context("it is damaged, or no ONNX file")?;
    let graph = proto.graph.as_mut().context("it holds no graph")?;
    while fold::behind(graph) || fold::in_front(graph) {}
    store_once(graph);
    drop_unread(graph);
    Ok(proto.encode_to_vec())
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|a| a.name == name)
}

/// An f32 tensor of the file.
#[derive(Debug, Clone)]
struct Floats {
    dims: Vec<i64>,
    values: Vec<f32>,
}

impl Floats {
    fn of(graph: &GraphProto, name: &str) -> Option<Self> {
        let tensor = graph.initializer.iter().find(|t| t.name == name)?;
        if tensor.data_type != DataType::Float as i32 {
            return None;
        }
        let (values, _) = tensor.raw_data.as_chunks::<4>();
        let values: Vec<f32> = values.iter().map(|&v| f32::from_le_bytes(v)).collect();
        let dims = tensor.dims.clone();
        (values.len() as i64 == dims.iter().product::<i64>()).then_some(Self { dims, values })
    }

    /// The value for each of `channels` maps, when it is one number, or `[1,C,1,1]`, or `[C,1,1]`.
    fn for_channels(&self, channels: usize) -> Option<Vec<f32>> {
        if self.values.len() == 1 {
            return Some(vec![self.values[0]; channels]);
        }
        let behind = self.dims.len() >= 3 && self.dims.iter().rev().take(2).all(|d| *d == 1);
        (behind && self.values.len() == channels).then(|| self.values.clone())
    }

    fn store(self, graph: &mut GraphProto, name: &str) {
        graph.initializer.retain(|t| t.name != name);
        graph.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: self.dims,
            data_type: DataType::Float as i32,
            raw_data: self.values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ..TensorProto::default()
        });
    }
}

/// How many nodes read `name`; the graph's own output counts.
fn readers(graph: &GraphProto, name: &str) -> usize {
    let inputs = graph.node.iter().flat_map(|n| &n.input);
    let outputs = graph.output.iter().map(|o| &o.name);
    inputs.chain(outputs).filter(|i| *i == name).count()
}

fn rename(graph: &mut GraphProto, from: &str, to: &str) {
    let inputs = graph.node.iter_mut().flat_map(|n| &mut n.input);
    inputs.filter(|i| *i == from).for_each(|i| to.clone_into(i));
}

/// Keeps the first of equal tensors.
fn store_once(graph: &mut GraphProto) {
    let mut known: HashMap<Vec<u8>, String> = HashMap::new();
    let mut renamed = Vec::new();
    for tensor in &graph.initializer {
        let nameless = TensorProto {
            name: String::new(),
            ..tensor.clone()
        };
        match known.entry(nameless.encode_to_vec()) {
            std::collections::hash_map::Entry::Occupied(first) => {
                renamed.push((tensor.name.clone(), first.get().clone()));
            }
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(tensor.name.clone());
            }
        }
    }
    for (from, to) in &renamed {
        rename(graph, from, to);
    }
}

fn drop_unread(graph: &mut GraphProto) {
    let read: HashSet<&String> = graph.node.iter().flat_map(|n| &n.input).collect();
    graph
        .initializer
        .retain(|tensor| read.contains(&tensor.name));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::second_opinion::{Runtime, SecondOpinion};
    use crate::onnx::{Attribute, Graph, Metadata};
    use hone_shared::student::Colour;

    /// Factors and offsets around two convolutions.
    fn cluttered() -> Vec<u8> {
        let mut g = Graph::new();
        let factor = g.floats("factor", &[1, 4, 1, 1], &[1.0, 0.5, -1.0, 4.0]);
        let weights: Vec<f32> = (0..36).map(|i| (i % 7) as f32 * 0.05 - 0.1).collect();
        let wide = g.floats("wide", &[4, 1, 3, 3], &weights);
        let pads = [("pads", Attribute::Ints(&[1, 1, 1, 1]))];
        let x = g.node("Conv", &["frame", &wide], "x", &pads);
        let x = g.node("Mul", &[&x, &factor], "scaled", &[]);
        let offset = g.floats("offset", &[4, 1, 1], &[0.1, -0.1, 0.0, 0.3]);
        let x = g.node("Add", &[&offset, &x], "shifted", &[]);
        let x = g.node("Relu", &[&x], "relu", &[]);
        let same = g.floats("same", &[4, 1, 1], &[0.1, -0.1, 0.0, 0.3]);
        let x = g.node("Mul", &[&x, &same], "front", &[]);
        let narrow = g.floats("narrow", &[1, 4, 1, 1], &[0.5, 0.2, -0.3, 0.7]);
        let bias = g.floats("narrow_bias", &[1], &[0.05]);
        let residual = g.node("Conv", &[&x, &narrow, &bias], "residual", &[]);
        let metadata = Metadata {
            name: "cluttered".into(),
            recipe_sha256: None,
            scale: 1,
            halo: Some(1),
        };
        g.finish(&residual, Colour::Luma, &metadata)
    }

    #[test]
    fn constants_disappear_and_the_function_stays() {
        let model = cluttered();
        let simple = simplify(&model).unwrap();
        let graph = ModelProto::decode(&simple[..]).unwrap().graph.unwrap();
        let ops: Vec<&str> = graph.node.iter().map(|n| n.op_type.as_str()).collect();
        assert_eq!(ops, ["Conv", "Relu", "Conv", "Add"]);
        assert_eq!(graph.initializer.len(), 4);
        let frame: Vec<f32> = (0..48).map(|i| (i * 31 % 48) as f32 / 48.0).collect();
        let run = |bytes: &[u8]| {
            let opinion = SecondOpinion::new(bytes).unwrap();
            opinion.run(Runtime::OrtPlain, &frame, [1, 6, 8]).unwrap()
        };
        let (before, after) = (run(&model), run(&simple));
        let far = before.iter().zip(&after).any(|(a, b)| (a - b).abs() > 1e-6);
        assert!(!far, "{before:?} {after:?}");
        assert!(simplify(b"no onnx at all").is_err());
    }
}

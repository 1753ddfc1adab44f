//! Removing from a file what its constants decide.
//!
//! Constant nodes become initialisers; arithmetic between constants is worked out; Identity goes;
//! a factor or an offset for each channel, behind any convolution or in front of a 1x1 one, goes
//! into its weights and bias; equal tensors are stored once; what nothing reads is dropped. The
//! function stays the same up to the rounding of the folded weights.

mod fold;

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, tensor_proto::DataType,
};

/// Simplifies a student's file.
///
/// # Errors
/// When the bytes are no ONNX.
pub fn simplify(model: &[u8]) -> Result<Vec<u8>> {
    let mut proto = ModelProto::decode(model).context("it is damaged, or no ONNX file")?;
    let graph = proto.graph.as_mut().context("it holds no graph")?;
    constants_to_initialisers(graph);
    while drop_identity(graph) || work_out(graph) || fold::behind(graph) || fold::in_front(graph) {}
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
        let values = if tensor.raw_data.is_empty() {
            tensor.float_data.clone()
        } else {
            let (values, _) = tensor.raw_data.as_chunks::<4>();
            values.iter().map(|&v| f32::from_le_bytes(v)).collect()
        };
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

fn constants_to_initialisers(graph: &mut GraphProto) {
    let (constants, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut graph.node)
        .into_iter()
        .partition(|n| n.op_type == "Constant" && attribute(n, "value").is_some());
    graph.node = rest;
    for node in constants {
        let tensor = attribute(&node, "value").and_then(|a| a.t.clone());
        if let (Some(tensor), Some(name)) = (tensor, node.output.first()) {
            let name = name.clone();
            graph.initializer.push(TensorProto { name, ..tensor });
        }
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

fn drop_identity(graph: &mut GraphProto) -> bool {
    let outputs: HashSet<String> = graph.output.iter().map(|o| o.name.clone()).collect();
    let at = graph.node.iter().position(|n| {
        n.op_type == "Identity" && n.output.first().is_some_and(|o| !outputs.contains(o))
    });
    let Some(at) = at else { return false };
    let node = graph.node.remove(at);
    rename(graph, &node.output[0], &node.input[0]);
    true
}

/// Works out one node whose inputs are all constants of one shape, or a constant and a number.
fn work_out(graph: &mut GraphProto) -> bool {
    let found = graph.node.iter().enumerate().find_map(|(i, node)| {
        let inputs: Option<Vec<Floats>> = node.input.iter().map(|n| Floats::of(graph, n)).collect();
        Some((i, result(&node.op_type, &inputs?)?))
    });
    let Some((at, result)) = found else {
        return false;
    };
    let node = graph.node.remove(at);
    result.store(graph, &node.output[0]);
    true
}

fn result(op: &str, inputs: &[Floats]) -> Option<Floats> {
    match inputs {
        [x] => {
            let f: fn(f32) -> f32 = match op {
                "Sqrt" => f32::sqrt,
                "Neg" => |v| -v,
                "Abs" => f32::abs,
                "Relu" => |v| v.max(0.0),
                "Reciprocal" => |v| 1.0 / v,
                _ => return None,
            };
            let values = x.values.iter().map(|v| f(*v)).collect();
            let dims = x.dims.clone();
            Some(Floats { dims, values })
        }
        [a, b] => {
            let f: fn(f32, f32) -> f32 = match op {
                "Add" => |a, b| a + b,
                "Sub" => |a, b| a - b,
                "Mul" => |a, b| a * b,
                "Div" => |a, b| a / b,
                _ => return None,
            };
            let (shape, fits) = if a.values.len() >= b.values.len() {
                (
                    a,
                    b.dims == a.dims || (b.values.len() == 1 && b.dims.len() <= a.dims.len()),
                )
            } else {
                (b, a.values.len() == 1 && a.dims.len() <= b.dims.len())
            };
            let pick = |x: &Floats, i: usize| x.values[i % x.values.len().max(1)];
            fits.then(|| Floats {
                dims: shape.dims.clone(),
                values: (0..shape.values.len())
                    .map(|i| f(pick(a, i), pick(b, i)))
                    .collect(),
            })
        }
        _ => None,
    }
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
    loop {
        let mut read: HashSet<String> = graph.output.iter().map(|o| o.name.clone()).collect();
        read.extend(graph.node.iter().flat_map(|n| n.input.iter().cloned()));
        let before = graph.node.len();
        graph
            .node
            .retain(|n| n.output.iter().any(|o| read.contains(o)));
        if graph.node.len() == before {
            graph.initializer.retain(|t| read.contains(&t.name));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::second_opinion::{Runtime, SecondOpinion};
    use crate::onnx::{Attribute, Graph, Metadata};
    use hone_shared::student::Colour;

    /// Constants of every kind around two convolutions.
    fn cluttered() -> Vec<u8> {
        let mut g = Graph::new();
        let halves = g.floats("halves", &[1, 4, 1, 1], &[0.5, 0.25, -0.5, 2.0]);
        let two = g.floats("two", &[], &[2.0]);
        let factor = g.node("Mul", &[&halves, &two], "factor", &[]);
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
        let x = g.node("Identity", &[&x], "copy", &[]);
        let narrow = g.floats("narrow", &[1, 4, 1, 1], &[0.5, 0.2, -0.3, 0.7]);
        let bias = g.floats("narrow_bias", &[1], &[0.05]);
        let residual = g.node("Conv", &[&x, &narrow, &bias], "residual", &[]);
        let unread = g.floats("unread", &[2], &[1.0, 2.0]);
        g.node("Sqrt", &[&unread], "nowhere", &[]);
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

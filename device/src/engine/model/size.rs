//! Holding a graph to sizes that students have: a small file must neither keep a board busy for minutes nor fill its memory.

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use super::{MAX_ELEMENTS, broken};
use crate::engine::EngineError;
use crate::engine::stored::{self, floats, integers};

/// Most nodes: what reads or gives a tensor is searched among all of them, for many tensors.
const MAX_NODES: usize = 1 << 13;
/// Most bytes of the names that nodes read and give.
const MAX_NAMES: usize = 1 << 20;

/// Nodes and names are few.
pub(super) fn check(graph: &GraphProto) -> Result<(), EngineError> {
    let count = graph.node.len();
    if count > MAX_NODES {
        return broken(format!(
            "it has {count} nodes, students have {MAX_NODES} at most"
        ));
    }
    let names = graph
        .node
        .iter()
        .flat_map(|n| n.input.iter().chain(&n.output));
    let bytes: usize = names.map(|name| name.len() + 1).sum();
    if bytes > MAX_NAMES {
        return broken(format!(
            "what its nodes read and give has names of {bytes} bytes in all, of students {MAX_NAMES} at most"
        ));
    }
    Ok(())
}

/// No node makes a stored tensor larger than any that could be stored. Of a normalised graph.
pub(super) fn check_shapes(graph: &GraphProto) -> Result<(), EngineError> {
    let stored = stored::of(graph);
    for node in &graph.node {
        let shapes = shapes(node).iter().filter_map(|&i| node.input.get(i));
        let shapes = shapes.filter_map(|name| stored.get(name.as_str()));
        for shape in shapes {
            if elements(node, shape) > MAX_ELEMENTS as f64 {
                return broken(format!(
                    "node '{}' ({}) makes a tensor of more than {MAX_ELEMENTS} numbers, students have none of that size",
                    node.name, node.op_type
                ));
            }
        }
    }
    Ok(())
}

/// Inputs of a node that tell the size of what it makes.
fn shapes(node: &NodeProto) -> &[usize] {
    match node.op_type.as_str() {
        "ConstantOfShape" => &[0],
        "Expand" | "Pad" | "Tile" => &[1],
        "Resize" => &[2, 3],
        _ => &[],
    }
}

/// Numbers that a node makes of one at least.
fn elements(node: &NodeProto, shape: &TensorProto) -> f64 {
    let numbers: Vec<f64> = if shape.data_type == DataType::Float as i32 {
        let factors = floats(shape).unwrap_or_default();
        factors.into_iter().map(f64::from).collect()
    } else {
        match integers(shape) {
            Ok(numbers) => numbers.into_iter().map(f64::from).collect(),
            // A side that needs more than 32 bits.
            Err(_) => return f64::INFINITY,
        }
    };
    if node.op_type == "Pad" {
        let (before, after) = numbers.split_at(numbers.len() / 2);
        let sides = before
            .iter()
            .zip(after)
            .map(|(a, b)| (1.0 + a + b).max(1.0));
        return sides.product();
    }
    numbers.iter().product()
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use tract_onnx::pb::ModelProto;

    use super::super::Model;
    use super::*;
    use crate::engine::{EngineOptions, load, sample};

    /// A student's file after a change.
    fn changed(change: impl FnOnce(&mut GraphProto)) -> Vec<u8> {
        let mut proto = ModelProto::decode(sample::f32_chain().as_slice()).unwrap();
        change(proto.graph.as_mut().unwrap());
        proto.encode_to_vec()
    }

    fn refusal(change: impl FnOnce(&mut GraphProto)) -> String {
        Model::parse(&changed(change)).unwrap_err().to_string()
    }

    /// Adds to the residual the mean of what `op` makes of `from` by `numbers`.
    fn through(graph: &mut GraphProto, op: &str, from: &str, numbers: &[i64]) {
        graph
            .initializer
            .push(sample::floats("one", &[1; 4], &[1.0]));
        graph.initializer.push(TensorProto {
            name: "numbers".into(),
            dims: vec![numbers.len() as i64],
            data_type: DataType::Int64 as i32,
            int64_data: numbers.to_vec(),
            ..TensorProto::default()
        });
        let inputs: &[&str] = match op {
            "ConstantOfShape" => &["numbers"],
            "Resize" => &[from, "", "", "numbers"],
            _ => &[from, "numbers"],
        };
        let mut last = graph.node.pop().unwrap();
        last.input[1] = "more".into();
        graph.node.extend([
            sample::node(op, inputs, "wide", vec![]),
            sample::node("GlobalAveragePool", &["wide"], "mean", vec![]),
            sample::node("Add", &["residual", "mean"], "more", vec![]),
            last,
        ]);
    }

    #[test]
    fn more_nodes_and_names_than_students_have_are_refused() {
        let text = refusal(|graph| {
            let idle = sample::node("Relu", &["frame"], "x", vec![]);
            graph.node.resize(MAX_NODES + 1, idle);
        });
        assert!(text.contains("8193 nodes"), "{text}");
        let text = refusal(|graph| graph.node[0].input.resize(MAX_NAMES, String::new()));
        assert!(text.contains("has names of 10"), "{text}");
    }

    #[test]
    fn tensors_that_fill_a_memory_are_refused() {
        let side = 1 << 21;
        for op in ["ConstantOfShape", "Expand", "Tile", "Resize"] {
            let text = refusal(|graph| through(graph, op, "one", &[1, 1, side, side]));
            assert!(text.contains(op) && text.contains("268435456"), "{text}");
            let small = changed(|graph| through(graph, op, "one", &[1, 1, 2, 2]));
            Model::parse(&small).unwrap();
        }
        let pads = [0, 0, side, side, 0, 0, 0, 0];
        let text = refusal(|graph| through(graph, "Pad", "one", &pads));
        assert!(text.contains("Pad"), "{text}");
        let text = refusal(|graph| through(graph, "Expand", "one", &[1 << 40]));
        assert!(text.contains("Expand"), "{text}");
    }

    /// What the file alone does not tell.
    #[test]
    fn tensors_that_grow_out_of_a_frame_are_refused() {
        let load = |times: i64| {
            let numbers = [1, 1, times, times];
            let model = changed(|graph| through(graph, "Tile", "frame", &numbers));
            let options = EngineOptions {
                threads: 1,
                ..EngineOptions::default()
            };
            load(&model, options).map(|_| ()).map_err(|e| e.to_string())
        };
        assert_eq!(load(2), Ok(()));
        let text = load(1 << 13).unwrap_err();
        assert!(text.contains("numbers for a frame of 16x16"), "{text}");
    }
}

//! Reading an ONNX file and holding it to the student contract, before any executor sees it.
//!
//! Model files reach a board from outside, so everything an executor relies on is checked here:
//! names resolve, nodes come after what they read, tensors hold the bytes their shape promises,
//! and numbers that can be computed with.

mod finite;
mod size;

use std::collections::HashSet;

use hone_shared::student::{Colour, MIN_OPSET, Precision};
use prost::Message;
use tract_onnx::pb::{
    self, GraphProto, ModelProto, NodeProto, TensorProto, tensor_proto::DataType,
};

use super::normalise::normalise;
use super::{EngineError, interface, limit};

/// Largest integer attribute (kernel side, stride, padding, block) that a student may carry.
const MAX_ATTRIBUTE: i64 = 1 << 16;
/// Largest number of elements in one weight tensor.
pub(super) const MAX_ELEMENTS: i64 = 1 << 28;

/// A model that keeps the student contract.
#[derive(Debug, Clone)]
pub(super) struct Model {
    /// The file, its graph normalised.
    pub proto: ModelProto,
    /// Planes restored.
    pub colour: Colour,
    /// INT8 when convolutions read dequantised tensors.
    pub precision: Precision,
    /// Whether it has the second input, for what it gave before.
    pub temporal: bool,
    /// Whether its output is held to the overshoot limit, which is no part of the graph any more.
    pub limited: bool,
    /// Name of the tensor that the last node adds to the frame.
    pub residual: String,
}

impl Model {
    /// Decodes and checks `bytes`.
    ///
    /// # Errors
    /// [`EngineError::Load`] when the file is damaged, [`EngineError::Contract`] when it is ONNX
    /// but no student.
    pub fn parse(bytes: &[u8]) -> Result<Self, EngineError> {
        let mut proto = ModelProto::decode(bytes)
            .map_err(|e| EngineError::Load(format!("it is damaged, or no ONNX file ({e})")))?;
        let graph = proto
            .graph
            .as_mut()
            .ok_or_else(|| EngineError::Load("it holds no graph".into()))?;
        size::check(graph)?;
        check_names(graph)?;
        for tensor in tensors(graph) {
            check_tensor(tensor)?;
        }
        for node in &graph.node {
            check_attributes(node)?;
        }
        finite::check(graph)?;
        normalise(graph);
        finite::check_scales(graph)?;
        size::check_shapes(graph)?;
        let limited = limit::take(graph);
        check_opset(&proto)?;
        let graph = self::graph(&proto)?;
        let (colour, temporal) = interface::check(&proto, graph)?;
        let residual = interface::residual(graph)?;
        let quantised = graph.node.iter().any(|n| n.op_type == "DequantizeLinear");
        let precision = if quantised {
            Precision::Int8
        } else {
            Precision::F32
        };
        Ok(Self {
            colour,
            precision,
            temporal,
            limited,
            residual,
            proto,
        })
    }

    /// The graph, which [`Model::parse`] saw to exist.
    pub fn graph(&self) -> Result<&GraphProto, EngineError> {
        graph(&self.proto)
    }

    /// The value of a `metadata_props` entry.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        interface::metadata(&self.proto, key)
    }
}

fn graph(proto: &ModelProto) -> Result<&GraphProto, EngineError> {
    let graph = proto.graph.as_ref();
    graph.ok_or_else(|| EngineError::Load("it holds no graph".into()))
}

pub(super) fn breach<T>(what: impl Into<String>) -> Result<T, EngineError> {
    Err(EngineError::Contract(what.into()))
}

fn broken<T>(what: impl Into<String>) -> Result<T, EngineError> {
    Err(EngineError::Load(what.into()))
}

fn check_opset(proto: &ModelProto) -> Result<(), EngineError> {
    let version = proto
        .opset_import
        .iter()
        .find(|set| set.domain.is_empty() || set.domain == "ai.onnx")
        .map(|set| set.version);
    match version {
        Some(version) if version >= MIN_OPSET => Ok(()),
        Some(version) => breach(format!(
            "it uses ONNX opset {version}, students need {MIN_OPSET} or newer"
        )),
        None => breach("it names no ONNX opset"),
    }
}

/// Every input of a node is an initialiser, the graph's input or an earlier node's output, and every node gives something.
/// An empty name stands for what is left out.
fn check_names(graph: &GraphProto) -> Result<(), EngineError> {
    let mut known: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    known.extend(graph.input.iter().map(|i| i.name.as_str()));
    for node in &graph.node {
        for input in node.input.iter().filter(|name| !name.is_empty()) {
            if !known.contains(input.as_str()) {
                return broken(format!(
                    "node '{}' ({}) reads '{input}', which nothing before it gives",
                    node.name, node.op_type
                ));
            }
        }
        if node.output.iter().all(String::is_empty) {
            return broken(format!(
                "node '{}' ({}) gives nothing that has a name",
                node.name, node.op_type
            ));
        }
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            if !known.insert(output) {
                return broken(format!("two nodes give '{output}'"));
            }
        }
    }
    match graph
        .output
        .iter()
        .find(|o| !known.contains(o.name.as_str()))
    {
        Some(output) => broken(format!("nothing gives the output '{}'", output.name)),
        None => Ok(()),
    }
}

fn tensors(graph: &GraphProto) -> impl Iterator<Item = &TensorProto> {
    let attributes = graph.node.iter().flat_map(|node| &node.attribute);
    let in_nodes = attributes.filter_map(|attribute| attribute.t.as_ref());
    graph.initializer.iter().chain(in_nodes)
}

/// Shape, type and stored bytes agree, and nothing lies in another file.
fn check_tensor(tensor: &TensorProto) -> Result<(), EngineError> {
    let name = &tensor.name;
    if !tensor.external_data.is_empty() || tensor.data_location.unwrap_or(0) != 0 {
        return broken(format!(
            "weight '{name}' lies in another file: save the model with its weights inside"
        ));
    }
    let elements = tensor
        .dims
        .iter()
        .try_fold(1_i64, |n, &d| if d < 0 { None } else { n.checked_mul(d) })
        .filter(|&n| n <= MAX_ELEMENTS);
    let Some(elements) = elements.and_then(|n| usize::try_from(n).ok()) else {
        return broken(format!("weight '{name}' has the shape {:?}", tensor.dims));
    };
    let size = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float | DataType::Int32 | DataType::Uint32) => 4,
        Ok(DataType::Uint8 | DataType::Int8 | DataType::Bool) => 1,
        Ok(DataType::Int64 | DataType::Double | DataType::Uint64) => 8,
        Ok(DataType::Float16 | DataType::Int16 | DataType::Uint16) => 2,
        _ => return broken(format!("weight '{name}' has an unknown number format")),
    };
    let stored = if tensor.raw_data.is_empty() {
        [
            tensor.float_data.len(),
            tensor.int32_data.len(),
            tensor.int64_data.len(),
            tensor.double_data.len(),
            tensor.uint64_data.len(),
        ]
        .into_iter()
        .max()
        .unwrap_or(0)
            * size
    } else {
        tensor.raw_data.len()
    };
    if stored != elements * size {
        return broken(format!(
            "weight '{name}' of shape {:?} needs {} bytes, holds {stored}",
            tensor.dims,
            elements * size
        ));
    }
    Ok(())
}

fn check_attributes(node: &NodeProto) -> Result<(), EngineError> {
    for attribute in &node.attribute {
        let too_large = |&v: &i64| v.unsigned_abs() > MAX_ATTRIBUTE.unsigned_abs();
        if attribute.ints.iter().any(too_large) || too_large(&attribute.i) {
            return broken(format!(
                "attribute '{}' of node '{}' ({}) is out of range",
                attribute.name, node.name, node.op_type
            ));
        }
        if attribute.g.is_some() || !attribute.graphs.is_empty() {
            return broken(format!(
                "node '{}' ({}) holds a graph of its own",
                node.name, node.op_type
            ));
        }
    }
    Ok(())
}

/// The node that gives `name`. None gives the empty one, which stands for what is left out.
pub(super) fn giver<'a>(graph: &'a GraphProto, name: &str) -> Option<&'a NodeProto> {
    let mut nodes = graph.node.iter().filter(|_| !name.is_empty());
    nodes.find(|n| n.output.iter().any(|o| o == name))
}

/// An attribute of a node.
pub(super) fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a pb::AttributeProto> {
    node.attribute.iter().find(|a| a.name == name)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn refusal(change: impl FnOnce(&mut ModelProto)) -> String {
        let mut proto = ModelProto::decode(sample::f32_chain().as_slice()).unwrap();
        change(&mut proto);
        Model::parse(&proto.encode_to_vec())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_student_is_read() {
        let model = Model::parse(&sample::f32_chain()).unwrap();
        assert_eq!(
            (model.colour, model.precision),
            (Colour::Luma, Precision::F32)
        );
        assert_eq!(model.residual, "residual");
    }

    #[test]
    fn breaches_are_named() {
        let graph = |p: &mut ModelProto| p.graph.clone().unwrap();
        assert!(refusal(|p| p.opset_import[0].version = 13).contains("opset 13"));
        assert!(refusal(|p| p.graph = None).contains("no graph"));
        let text = refusal(|p| {
            let mut g = graph(p);
            g.input[0].name = "x".into();
            for node in &mut g.node {
                node.input
                    .iter_mut()
                    .filter(|i| *i == "frame")
                    .for_each(|i| *i = "x".into());
            }
            p.graph = Some(g);
        });
        assert!(text.contains("'x'"), "{text}");
        let text = refusal(|p| {
            let mut g = graph(p);
            g.node.last_mut().unwrap().op_type = "Mul".into();
            p.graph = Some(g);
        });
        assert!(text.contains("not an Add"), "{text}");
        let text = refusal(|p| {
            let mut g = graph(p);
            g.node[1].input[0] = "nowhere".into();
            p.graph = Some(g);
        });
        assert!(text.contains("'nowhere'"), "{text}");
        let text = refusal(|p| {
            let mut g = graph(p);
            g.initializer[0].dims[0] = 1 << 40;
            p.graph = Some(g);
        });
        assert!(text.contains("shape"), "{text}");
        let text = refusal(|p| {
            let mut g = graph(p);
            g.initializer[0].raw_data.truncate(5);
            p.graph = Some(g);
        });
        assert!(text.contains("holds 5"), "{text}");
        let text = refusal(|p| {
            let mut g = graph(p);
            let idle = sample::node("Identity", &[""], "", vec![]);
            g.node.insert(0, idle);
            p.graph = Some(g);
        });
        assert!(text.contains("gives nothing"), "{text}");
        let text = refusal(|p| {
            let mut g = graph(p);
            g.node.last_mut().unwrap().input[1].clear();
            p.graph = Some(g);
        });
        assert!(text.contains("does not add a residual"), "{text}");
        assert!(
            Model::parse(b"no onnx")
                .unwrap_err()
                .to_string()
                .contains("damaged")
        );
    }
}

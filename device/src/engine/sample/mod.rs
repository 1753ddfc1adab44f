//! Small students made of chosen numbers, written as ONNX: what the engine's tests run.

mod int8;

pub use int8::{qdq, quantised};

use hone_shared::student::{Colour, ConvChain, ConvLayer, META_HALO, META_SCALE};
use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

/// Numbers that look random and are the same everywhere (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In -1..1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

/// Interleaved samples of patches of five by four pixels, whose edges a limit holds; noise leaves it no range to hold.
pub fn patches(numbers: &mut Numbers, (width, height): (usize, usize), planes: usize) -> Vec<u8> {
    let across = width.div_ceil(5);
    let patches = numbers.bytes(across * height.div_ceil(4) * planes);
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let samples = pixels.flat_map(|(x, y)| {
        let at = (y / 4 * across + x / 5) * planes;
        patches[at..at + planes].to_vec()
    });
    samples.collect()
}

/// A chain of 3x3 convolutions with ReLU between; `channels[0]` and the last are its ends.
pub fn chain(colour: Colour, scale: usize, channels: &[usize], seed: u64) -> ConvChain {
    let mut numbers = Numbers(seed);
    let layers = channels.windows(2).enumerate().map(|(i, pair)| {
        let (inputs, outputs) = (pair[0], pair[1]);
        let gain = (2.0 / (9 * inputs) as f32).sqrt();
        ConvLayer {
            inputs,
            outputs,
            kernel: 3,
            weights: (0..9 * inputs * outputs)
                .map(|_| gain * numbers.unit())
                .collect(),
            bias: (0..outputs).map(|_| 0.1 * numbers.unit()).collect(),
            relu: i + 2 < channels.len(),
        }
    });
    ConvChain {
        colour,
        scale,
        layers: layers.collect(),
        limited: false,
    }
}

pub fn f32_chain() -> Vec<u8> {
    onnx(&chain(Colour::Luma, 2, &[4, 8, 8, 4], 1))
}

pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        i: value,
        r#type: AttributeType::Int as i32,
        ..AttributeProto::default()
    }
}

pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        ints: values.to_vec(),
        r#type: AttributeType::Ints as i32,
        ..AttributeProto::default()
    }
}

pub fn node(op: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        name: output.into(),
        input: inputs.iter().map(|&i| i.into()).collect(),
        output: vec![output.into()],
        attribute: attributes,
        ..NodeProto::default()
    }
}

pub fn floats(name: &str, dims: &[usize], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.iter().map(|&d| d as i64).collect(),
        data_type: DataType::Float as i32,
        raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..TensorProto::default()
    }
}

pub fn conv(inputs: &[&str], output: &str, kernel: usize) -> NodeProto {
    let (k, p) = (kernel as i64, kernel as i64 / 2);
    let attributes = vec![ints("kernel_shape", &[k, k]), ints("pads", &[p; 4])];
    node("Conv", inputs, output, attributes)
}

/// The f32 form of a chain.
pub fn onnx(chain: &ConvChain) -> Vec<u8> {
    let mut nodes = Vec::new();
    let mut weights = Vec::new();
    let block = || vec![int("blocksize", chain.scale as i64)];
    let mut last = begin(&mut nodes, chain.is_temporal());
    if chain.scale > 1 {
        nodes.push(node("SpaceToDepth", &[&last], "blocks", block()));
        last = "blocks".into();
    }
    for (i, layer) in chain.layers.iter().enumerate() {
        let (w, b, y) = (format!("w{i}"), format!("b{i}"), format!("y{i}"));
        let k = layer.kernel;
        weights.push(floats(
            &w,
            &[layer.outputs, layer.inputs, k, k],
            &layer.weights,
        ));
        weights.push(floats(&b, &[layer.outputs], &layer.bias));
        nodes.push(conv(&[&last, &w, &b], &y, k));
        last = y;
        if layer.relu {
            let activated = format!("a{i}");
            nodes.push(node("Relu", &[&last], &activated, vec![]));
            last = activated;
        }
    }
    if chain.scale > 1 {
        nodes.push(node("DepthToSpace", &[&last], "residual", block()));
        last = "residual".into();
    }
    end(&mut nodes, &mut weights, &last, chain.limited);
    model(chain, nodes, weights)
}

/// What becomes of the residual: added to the frame, and held to the limit of a limited student.
fn end(nodes: &mut Vec<NodeProto>, weights: &mut Vec<TensorProto>, residual: &str, limited: bool) {
    let restored = if limited { "free" } else { "restored" };
    nodes.push(node("Add", &["frame", residual], restored, vec![]));
    if !limited {
        return;
    }
    weights.push(floats("room", &[], &[2.0]));
    let mut add = |op: &str, inputs: &[&str], output: &str| {
        let window = vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1; 4])];
        let attributes = if op == "MaxPool" { window } else { vec![] };
        nodes.push(node(op, inputs, output, attributes));
    };
    add("Neg", &["frame"], "turned");
    for (x, turned, p) in [("frame", "turned", "h"), ("turned", "frame", "l")] {
        let name = |part: &str| format!("{p}.{part}");
        add("MaxPool", &[turned], &name("dilated"));
        add("Neg", &[&name("dilated")], &name("eroded"));
        add("MaxPool", &[&name("eroded")], &name("opened"));
        add("Sub", &[x, &name("opened")], &name("peak"));
        add("Mul", &["room", &name("peak")], &name("allowed"));
        add("Add", &[x, &name("allowed")], &name("raised"));
        add("MaxPool", &[&name("raised")], &name("bound"));
    }
    add("Neg", &["l.bound"], "low");
    add("Min", &["h.bound", "free"], "held");
    add("Max", &["low", "held"], "restored");
}

/// What a network reads: the frame, or it and the one before.
fn begin(nodes: &mut Vec<NodeProto>, temporal: bool) -> String {
    if temporal {
        let inputs = ["frame", "previous"];
        nodes.push(node("Concat", &inputs, "frames", vec![int("axis", 1)]));
        return "frames".into();
    }
    "frame".into()
}

/// Wraps nodes into a model file.
pub fn model(chain: &ConvChain, node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> Vec<u8> {
    let value = |name: &str| {
        let fixed = |v: usize| dimension::Value::DimValue(v as i64);
        let free = |n: &str| dimension::Value::DimParam(n.into());
        let dims = [
            fixed(1),
            fixed(chain.colour.channels()),
            free("H"),
            free("W"),
        ];
        let dim = dims.map(|value| Dimension {
            denotation: String::new(),
            value: Some(value),
        });
        let tensor = type_proto::Tensor {
            elem_type: DataType::Float as i32,
            shape: Some(TensorShapeProto { dim: dim.to_vec() }),
        };
        ValueInfoProto {
            name: name.into(),
            r#type: Some(TypeProto {
                denotation: String::new(),
                value: Some(type_proto::Value::TensorType(tensor)),
            }),
            doc_string: String::new(),
        }
    };
    let entry = |key: &str, value: usize| StringStringEntryProto {
        key: key.into(),
        value: value.to_string(),
    };
    let mut inputs = vec![value("frame")];
    let reads = |n: &NodeProto| n.input.iter().any(|i| i == "previous");
    inputs.extend(node.iter().any(reads).then(|| value("previous")));
    let model = ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 17,
        }],
        metadata_props: vec![
            entry(META_SCALE, chain.scale),
            entry(META_HALO, chain.halo()),
        ],
        graph: Some(GraphProto {
            name: "student".into(),
            input: inputs,
            output: vec![value("restored")],
            node,
            initializer,
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

//! Small students made of chosen numbers, written as ONNX: what the engine's tests run.

use hone_shared::quant::{Affine, INPUT, QuantChain, QuantConv};
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

/// A quantised chain with the shape of [`chain`].
pub fn quantised(colour: Colour, scale: usize, channels: &[usize], seed: u64) -> QuantChain {
    let mut numbers = Numbers(seed);
    let f32 = chain(colour, scale, channels, seed);
    let count = f32.layers.len();
    let layers = f32
        .layers
        .into_iter()
        .enumerate()
        .map(|(i, layer)| QuantConv {
            inputs: layer.inputs,
            outputs: layer.outputs,
            kernel: layer.kernel,
            weights: layer
                .weights
                .iter()
                .map(|_| (numbers.unit() * 127.0) as i8)
                .collect(),
            weight_scales: (0..layer.outputs)
                .map(|_| 0.004 * (1.5 + numbers.unit()) / (layer.inputs as f32).sqrt())
                .collect(),
            bias: (0..layer.outputs)
                .map(|_| (numbers.unit() * 3000.0) as i32)
                .collect(),
            output: Affine {
                scale: if i + 1 == count { 0.002 } else { 0.004 },
                zero_point: if i + 1 == count { 131 } else { 0 },
            },
        });
    let chain = QuantChain {
        colour,
        scale,
        layers: layers.collect(),
        limited: false,
    };
    assert_eq!(chain.validate(), Ok(()));
    chain
}

fn bytes(name: &str, kind: DataType, dims: &[usize], raw: Vec<u8>) -> TensorProto {
    TensorProto {
        data_type: kind as i32,
        raw_data: raw,
        ..floats(name, dims, &[])
    }
}

/// The QDQ form of a quantised chain.
pub fn qdq(chain: &QuantChain) -> Vec<u8> {
    let (mut nodes, mut weights) = (Vec::new(), Vec::new());
    let block = || vec![int("blocksize", chain.scale as i64)];
    let mut last = begin(&mut nodes, chain.is_temporal());
    if chain.scale > 1 {
        nodes.push(node("SpaceToDepth", &[&last], "blocks", block()));
        last = "blocks".into();
    }
    let through =
        |nodes: &mut Vec<NodeProto>, weights: &mut Vec<TensorProto>, from: &str, affine: Affine| {
            let n = nodes.len();
            let (s, z, q, dq) = (
                format!("s{n}"),
                format!("z{n}"),
                format!("q{n}"),
                format!("dq{n}"),
            );
            weights.push(floats(&s, &[], &[affine.scale]));
            weights.push(bytes(&z, DataType::Uint8, &[], vec![affine.zero_point]));
            nodes.push(node("QuantizeLinear", &[from, &s, &z], &q, vec![]));
            nodes.push(node("DequantizeLinear", &[&q, &s, &z], &dq, vec![]));
            dq
        };
    last = through(&mut nodes, &mut weights, &last, INPUT);
    for (i, layer) in chain.layers.iter().enumerate() {
        let (o, k) = (layer.outputs, layer.kernel);
        let names = ["w", "ws", "wz", "b", "bs", "bz", "wd", "bd", "y"].map(|n| format!("{n}{i}"));
        let [w, ws, wz, b, bs, bz, wd, bd, y] = names.each_ref().map(String::as_str);
        let input = chain.input_of(i).scale;
        let units: Vec<f32> = layer.weight_scales.iter().map(|s| s * input).collect();
        let raw = layer.weights.iter().map(|&v| v as u8).collect();
        weights.push(bytes(w, DataType::Int8, &[o, layer.inputs, k, k], raw));
        weights.push(floats(ws, &[o], &layer.weight_scales));
        weights.push(bytes(wz, DataType::Int8, &[o], vec![0; o]));
        let raw = layer.bias.iter().flat_map(|v| v.to_le_bytes()).collect();
        weights.push(bytes(b, DataType::Int32, &[o], raw));
        weights.push(floats(bs, &[o], &units));
        weights.push(bytes(bz, DataType::Int32, &[o], vec![0; 4 * o]));
        nodes.push(node(
            "DequantizeLinear",
            &[w, ws, wz],
            wd,
            vec![int("axis", 0)],
        ));
        nodes.push(node(
            "DequantizeLinear",
            &[b, bs, bz],
            bd,
            vec![int("axis", 0)],
        ));
        nodes.push(conv(&[&last, wd, bd], y, k));
        last = y.into();
        if layer.output.zero_point == 0 {
            let activated = format!("a{i}");
            nodes.push(node("Relu", &[&last], &activated, vec![]));
            last = activated;
        }
        last = through(&mut nodes, &mut weights, &last, layer.output);
    }
    if chain.scale > 1 {
        nodes.push(node("DepthToSpace", &[&last], "residual", block()));
        last = "residual".into();
    }
    end(&mut nodes, &mut weights, &last, chain.limited);
    let shape = self::chain(chain.colour, chain.scale, &[1, 1], 0);
    model(&shape, nodes, weights)
}

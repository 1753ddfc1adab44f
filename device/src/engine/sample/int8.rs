//! Small quantised students.

use hone_shared::quant::{Affine, INPUT, QuantChain, QuantConv};
use hone_shared::student::Colour;
use tract_onnx::pb::{NodeProto, TensorProto, tensor_proto::DataType};

use super::{Numbers, begin, chain, conv, end, floats, int, model, node};

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
    let shape = super::chain(chain.colour, chain.scale, &[1, 1], 0);
    model(&shape, nodes, weights)
}

//! The same student as different exporters write it gives the same bytes.

use hone_shared::student::Colour;
use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, attribute_proto::AttributeType,
    tensor_proto::DataType,
};

use super::sample::{self, Numbers};
use super::{EngineOptions, FrameView, FrameViewMut, Isa, PixelFormat, describe, load};

const SIZE: (usize, usize) = (21, 14);

pub(super) fn rewritten(model: &[u8], change: impl FnOnce(&mut GraphProto)) -> Vec<u8> {
    let mut proto = ModelProto::decode(model).unwrap();
    change(proto.graph.as_mut().unwrap());
    proto.encode_to_vec()
}

pub(super) fn restored(model: &[u8], colour: Colour) -> Vec<u8> {
    let format = match colour {
        Colour::Luma => PixelFormat::Gray8,
        Colour::Rgb => PixelFormat::Rgb8,
    };
    let options = EngineOptions {
        threads: 1,
        isa: Some(Isa::Scalar),
        ..EngineOptions::default()
    };
    let mut engine = load(model, options).unwrap();
    assert!(
        engine.executor().fused,
        "{:?}",
        describe(model).unwrap().layers
    );
    let bytes = Numbers(3).bytes(SIZE.0 * SIZE.1 * colour.channels());
    let mut out = vec![0; bytes.len()];
    let frame = FrameView::packed(format, SIZE.0, SIZE.1, &bytes).unwrap();
    let mut view = FrameViewMut::packed(format, SIZE.0, SIZE.1, &mut out).unwrap();
    engine.run(&frame, &mut view, 1.0).unwrap();
    assert_ne!(out, bytes);
    out
}

fn constant(tensor: TensorProto) -> NodeProto {
    let name = tensor.name.clone();
    let value = AttributeProto {
        name: "value".into(),
        t: Some(tensor),
        r#type: AttributeType::Tensor as i32,
        ..AttributeProto::default()
    };
    sample::node("Constant", &[], &name, vec![value])
}

fn shape(name: &str, dims: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![dims.len() as i64],
        data_type: DataType::Int64 as i32,
        int64_data: dims.to_vec(),
        ..TensorProto::default()
    }
}

fn weights_as_constants(graph: &mut GraphProto) {
    let constants: Vec<_> = graph.initializer.drain(..).map(constant).collect();
    graph.node.splice(0..0, constants);
}

/// An Identity before the first node, and what nothing reads.
fn idle_nodes(graph: &mut GraphProto) {
    graph.node[0].input[0] = "camera".into();
    graph
        .node
        .insert(0, sample::node("Identity", &["frame"], "camera", vec![]));
    graph
        .node
        .push(sample::node("Shape", &["frame"], "unread", vec![]));
    let add = graph.node.iter_mut().find(|n| n.op_type == "Add").unwrap();
    add.output[0] = "sum".into();
    graph
        .node
        .push(sample::node("Identity", &["sum"], "restored", vec![]));
}

fn relu_as_clip(graph: &mut GraphProto) {
    graph
        .initializer
        .push(sample::floats("nought", &[], &[0.0]));
    for node in graph.node.iter_mut().filter(|n| n.op_type == "Relu") {
        node.op_type = "Clip".into();
        node.input.push("nought".into());
    }
}

/// Both shuffles as reshapes and a transpose, as exporters without pixel shuffles spell them.
fn shuffles_as_reshapes(graph: &mut GraphProto) {
    let mut nodes = Vec::new();
    for node in std::mem::take(&mut graph.node) {
        let (six, perm, four): ([i64; 6], [i64; 6], [i64; 4]) = match node.op_type.as_str() {
            "SpaceToDepth" => ([1, 1, 8, 2, 12, 2], [0, 3, 5, 1, 2, 4], [1, 4, 8, 12]),
            "DepthToSpace" => ([1, 2, 2, 1, 8, 12], [0, 3, 4, 1, 5, 2], [1, 1, 16, 24]),
            _ => {
                nodes.push(node);
                continue;
            }
        };
        let name = |part: &str| format!("{}.{part}", node.output[0]);
        graph.initializer.push(shape(&name("six"), &six));
        graph.initializer.push(shape(&name("four"), &four));
        let permutation = vec![sample::ints("perm", &perm)];
        nodes.push(sample::node(
            "Reshape",
            &[&node.input[0], &name("six")],
            &name("a"),
            vec![],
        ));
        nodes.push(sample::node(
            "Transpose",
            &[&name("a")],
            &name("b"),
            permutation,
        ));
        let inputs = [name("b"), name("four")];
        nodes.push(sample::node(
            "Reshape",
            &[&inputs[0], &inputs[1]],
            &node.output[0],
            vec![],
        ));
    }
    graph.node = nodes;
}

#[test]
fn f32_students_read_alike() {
    let chain = sample::chain(Colour::Luma, 2, &[4, 8, 8, 4], 7);
    let plain = sample::onnx(&chain);
    let want = restored(&plain, chain.colour);
    for change in [
        weights_as_constants,
        idle_nodes,
        relu_as_clip,
        shuffles_as_reshapes,
    ] {
        assert_eq!(restored(&rewritten(&plain, change), chain.colour), want);
    }
    let all = rewritten(&plain, |g| {
        relu_as_clip(g);
        shuffles_as_reshapes(g);
        idle_nodes(g);
        weights_as_constants(g);
    });
    assert_eq!(restored(&all, chain.colour), want);
}

/// Weights in f16, each behind a Cast; `all` has everything in it, but for what the contract has in f32.
fn halves(graph: &mut GraphProto, all: bool) {
    let to = |kind: DataType| vec![sample::int("to", kind as i64)];
    let cast = |from: &str, name: &str, kind| sample::node("Cast", &[from], name, to(kind));
    let mut casts = Vec::new();
    for tensor in &mut graph.initializer {
        tensor.data_type = DataType::Float16 as i32;
        let (values, _) = tensor.raw_data.as_chunks::<4>();
        // The numbers of these tests have exponents that f16 has, too.
        let half = |v: &[u8; 4]| {
            let bits = u32::from_le_bytes(*v);
            let rest = ((bits & 0x7fff_ffff) >> 13) - (112 << 10);
            (((bits >> 16) & 0x8000) | rest) as u16
        };
        tensor.raw_data = values.iter().flat_map(|v| half(v).to_le_bytes()).collect();
        if !all {
            let wide = tensor.name.clone();
            tensor.name += ".f16";
            casts.push(cast(&tensor.name, &wide, DataType::Float));
        }
    }
    if all {
        let last = graph.node.len() - 1;
        graph.node[0].input[0] = "frame.f16".into();
        graph.node[last].input[1] = "residual.f32".into();
        let back = cast("residual", "residual.f32", DataType::Float);
        graph.node.insert(last, back);
        casts.push(cast("frame", "frame.f16", DataType::Float16));
    }
    graph.node.splice(0..0, casts);
}

#[test]
fn weights_in_f16_read_like_the_same_in_f32() {
    let mut chain = sample::chain(Colour::Luma, 2, &[4, 8, 8, 4], 7);
    for layer in &mut chain.layers {
        let numbers = layer.weights.iter_mut().chain(&mut layer.bias);
        // 11 bits of an f32, and none too small.
        numbers.for_each(|v| {
            *v = f32::from_bits((v.abs().max(0.001) * v.signum()).to_bits() & 0xffff_e000);
        });
    }
    let plain = sample::onnx(&chain);
    let want = restored(&plain, chain.colour);
    for all in [false, true] {
        let halved = rewritten(&plain, |graph| halves(graph, all));
        assert_eq!(restored(&halved, chain.colour), want, "all {all}");
    }
}

/// A Clip with an upper bound, against tract.
#[test]
fn clips_cut_on_both_sides() {
    let chain = sample::chain(Colour::Rgb, 1, &[3, 16, 16, 3], 7);
    let clipped = rewritten(&sample::onnx(&chain), |graph| {
        relu_as_clip(graph);
        graph.initializer.push(sample::floats("most", &[], &[0.15]));
        for node in graph.node.iter_mut().filter(|n| n.op_type == "Clip") {
            node.input.push("most".into());
        }
    });
    let bytes = Numbers(3).bytes(SIZE.0 * SIZE.1 * 3);
    let run = |tract_only, isa| {
        let options = EngineOptions {
            threads: 1,
            tract_only,
            isa: Some(isa),
            ..EngineOptions::default()
        };
        let mut engine = load(&clipped, options).unwrap();
        assert_eq!(engine.executor().fused, !tract_only);
        let mut out = vec![0; bytes.len()];
        let frame = FrameView::packed(PixelFormat::Rgb8, SIZE.0, SIZE.1, &bytes).unwrap();
        let mut view = FrameViewMut::packed(PixelFormat::Rgb8, SIZE.0, SIZE.1, &mut out).unwrap();
        engine.run(&frame, &mut view, 1.0).unwrap();
        out
    };
    let want = run(true, Isa::Scalar);
    assert_ne!(want, restored(&sample::onnx(&chain), chain.colour));
    for isa in Isa::available() {
        let off = |(a, b): (&u8, &u8)| a.abs_diff(*b);
        assert!(
            run(false, isa).iter().zip(&want).map(off).max() <= Some(1),
            "{}",
            isa.name()
        );
    }
}

#[test]
fn int8_students_read_alike() {
    let chain = sample::quantised(Colour::Luma, 2, &[4, 8, 8, 4], 7);
    let plain = sample::qdq(&chain);
    let want = restored(&plain, chain.colour);
    // Weights in f32, quantised in the graph.
    let floats = |graph: &mut GraphProto| {
        let mut quantisers = Vec::new();
        for (i, layer) in chain.layers.iter().enumerate() {
            let node = graph
                .node
                .iter_mut()
                .filter(|n| n.op_type == "Conv")
                .nth(i)
                .unwrap();
            let dequantised = node.input[1].clone();
            let giver = graph
                .node
                .iter()
                .position(|n| n.output[0] == dequantised)
                .unwrap();
            let inputs = graph.node[giver].input.clone();
            let each = layer.weights.len() / layer.outputs;
            let values = layer.weights.iter().enumerate();
            let values: Vec<f32> = values
                .map(|(at, &w)| f32::from(w) * layer.weight_scales[at / each])
                .collect();
            let stored = graph
                .initializer
                .iter_mut()
                .find(|t| t.name == inputs[0])
                .unwrap();
            let dims: Vec<usize> = stored.dims.iter().map(|&d| d as usize).collect();
            let name = format!("{}.f32", inputs[0]);
            *stored = sample::floats(&name, &dims, &values);
            let mut inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            let given = inputs[0];
            inputs[0] = &name;
            let axis = vec![sample::int("axis", 0)];
            quantisers.push(sample::node("QuantizeLinear", &inputs, given, axis));
        }
        graph.node.splice(0..0, quantisers);
    };
    for change in [weights_as_constants, idle_nodes, shuffles_as_reshapes] {
        assert_eq!(restored(&rewritten(&plain, change), chain.colour), want);
    }
    assert_eq!(restored(&rewritten(&plain, floats), chain.colour), want);
}

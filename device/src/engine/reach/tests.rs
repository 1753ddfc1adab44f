//! How far graphs look, and the blocks that frames are padded to.

use hone_shared::student::Colour;
use prost::Message;
use tract_onnx::pb::{ModelProto, StringStringEntryProto, TensorProto};

use super::super::{EngineOptions, FrameView, FrameViewMut, PixelFormat, describe, load, sample};
use super::node::through;
use super::*;

#[test]
fn a_mean_over_the_picture_sees_it_all_and_hides_no_cost() {
    let node = |op: &str| NodeProto {
        op_type: op.to_owned(),
        ..NodeProto::default()
    };
    let known = HashMap::new();
    let local = at(2, 6);
    let pooled = through(&node("GlobalAveragePool"), &[local], None, &known);
    assert_eq!((pooled.step, pooled.halo), (0, None));
    let gated = through(&node("Mul"), &[pooled, local], None, &known);
    assert_eq!((gated.step, gated.halo), (2, None));
    let lost = through(&node("Mul"), &[at(4, 6), local], None, &known);
    assert_eq!((lost.step, lost.followed), (2, Followed::Not));
    // A gate that is brought to another shape on its way stays one value for the frame.
    let gate = through(&node("Reshape"), &[pooled], None, &known);
    let gated = through(&node("Mul"), &[gate, local], None, &known);
    assert_eq!((gated.step, gated.halo), (2, None));
    assert_eq!(gated.followed, Followed::Wholly);
    let cut = through(&node("Slice"), &[local], None, &known);
    assert_eq!((cut.step, cut.followed), (2, Followed::Step));
}

/// A tensor that was followed.
fn at(step: usize, halo: usize) -> Local {
    Local {
        step,
        halo: Some(halo),
        followed: Followed::Wholly,
    }
}

/// The sample student with `nodes` in front of its first convolution, which reads `x`.
fn behind(nodes: Vec<NodeProto>, tensors: Vec<TensorProto>) -> super::super::Description {
    let mut proto = ModelProto::decode(sample::f32_chain().as_slice()).unwrap();
    let graph = proto.graph.as_mut().unwrap();
    let conv = graph.node.iter().position(|n| n.op_type == "Conv").unwrap();
    graph.node[conv].input[0] = "x".into();
    graph.node.splice(conv..conv, nodes);
    graph.initializer.extend(tensors);
    describe(&proto.encode_to_vec()).unwrap()
}

#[test]
fn what_looks_at_the_whole_frame_does_so_whatever_the_metadata_say() {
    let factors = || vec![sample::floats("f", &[4], &[1.0; 4])];
    let reduce = |axis: i64| {
        let mean = vec![sample::ints("axes", &[axis])];
        vec![
            sample::node("ReduceMean", &["blocks"], "mean", mean),
            sample::node("Sub", &["blocks", "mean"], "x", vec![]),
        ]
    };
    let told = describe(&sample::f32_chain()).unwrap().student.halo;
    for (nodes, halo) in [
        (
            vec![sample::node(
                "InstanceNormalization",
                &["blocks", "f", "f"],
                "x",
                vec![],
            )],
            None,
        ),
        (reduce(3), None),
        (vec![sample::node("CumSum", &["blocks"], "x", vec![])], None),
        // Rows come first behind it, or who knows what.
        (
            vec![
                sample::node("Transpose", &["blocks"], "turned", vec![]),
                sample::node("Softmax", &["turned"], "x", vec![]),
            ],
            None,
        ),
        (
            vec![
                sample::node(
                    "ReduceMean",
                    &["blocks"],
                    "mean",
                    vec![sample::ints("axes", &[1]), sample::int("keepdims", 0)],
                ),
                sample::node("Softmax", &["mean"], "x", vec![sample::int("axis", 1)]),
            ],
            None,
        ),
        (reduce(1), told),
        // Nobody knows what this does, so the file's word counts; and does so behind what is known.
        (
            vec![sample::node("Sharpen", &["blocks"], "x", vec![])],
            told,
        ),
        (
            vec![
                sample::node("GlobalMaxPool", &["blocks"], "most", vec![]),
                sample::node("Div", &["blocks", "most"], "part", vec![]),
                sample::node("Sharpen", &["part"], "x", vec![]),
            ],
            None,
        ),
    ] {
        let what = nodes[0].op_type.clone();
        assert_eq!(behind(nodes, factors()).student.halo, halo, "{what}");
    }
}

#[test]
fn bytes_whose_range_is_the_frames_see_all_of_it() {
    let node = NodeProto {
        output: vec!["q".into(), "scale".into(), "zero".into()],
        ..sample::node("DynamicQuantizeLinear", &["blocks"], "q", vec![])
    };
    let back = sample::node("DequantizeLinear", &["q", "scale", "zero"], "x", vec![]);
    let found = behind(vec![node, back], vec![]);
    let plain = describe(&sample::f32_chain()).unwrap();
    assert_eq!((found.student.halo, found.cost_is_known), (None, true));
    let cost = plain.student.macs_per_pixel;
    assert_eq!(found.student.macs_per_pixel, cost);
}

#[test]
fn convolutions_behind_what_is_not_followed_have_their_cost() {
    let plain = describe(&sample::f32_chain()).unwrap();
    let cost = plain.student.macs_per_pixel;
    let factors = |by: f32| vec![sample::floats("by", &[4], &[1.0, 1.0, by, by])];
    let one = |op: &str, inputs: &[&str]| vec![sample::node(op, inputs, "x", vec![])];
    for (nodes, tensors, macs, known) in [
        (one("Pad", &["blocks"]), vec![], cost, true),
        (one("Transpose", &["blocks"]), vec![], cost, false),
        (
            one("Resize", &["blocks", "", "by"]),
            factors(2.0),
            4.0 * cost,
            true,
        ),
        (
            one("Resize", &["blocks", "", "by"]),
            factors(0.5),
            cost / 4.0,
            true,
        ),
        (one("MatMul", &["blocks", "by"]), factors(1.0), cost, false),
    ] {
        let what = nodes[0].op_type.clone();
        let found = behind(nodes, tensors);
        assert_eq!(found.student.macs_per_pixel, macs, "{what}");
        assert_eq!(found.cost_is_known, known, "{what}");
        assert_eq!(found.student.halo, plain.student.halo, "{what}");
    }
}

#[test]
fn convolutions_of_bytes_cost_what_others_do() {
    let weight = TensorProto {
        dims: vec![8, 4, 3, 3],
        ..TensorProto::default()
    };
    let known = HashMap::from([("w", &weight)]);
    for (op, inputs) in [
        ("QLinearConv", &["x", "xs", "xz", "w", "ws", "wz"][..]),
        ("ConvInteger", &["x", "w"]),
    ] {
        let pads = sample::ints("pads", &[1; 4]);
        let node = sample::node(op, inputs, "y", vec![pads]);
        let dims = kernel_dims(&node, &GraphProto::default(), &known);
        assert_eq!(dims, Some(&[8, 4, 3, 3][..]), "{op}");
        let out = through(&node, &[at(2, 6)], dims, &known);
        assert_eq!((out.step, out.halo), (2, Some(8)), "{op}");
    }
}

#[test]
fn a_transposed_convolution_looks_as_far_as_its_weight() {
    let local = at(4, 0);
    let known = HashMap::new();
    let node = |attributes| sample::node("ConvTranspose", &["x", "w"], "y", attributes);
    let stride = || sample::ints("strides", &[4, 4]);
    let out = through(
        &node(vec![stride()]),
        &[local],
        Some(&[8, 4, 16, 16]),
        &known,
    );
    assert_eq!((out.step, out.halo), (1, Some(64)));
    let shape = sample::ints("kernel_shape", &[4, 4]);
    let out = through(&node(vec![stride(), shape]), &[local], None, &known);
    assert_eq!((out.step, out.halo), (1, Some(16)));
}

#[test]
fn blocks_of_every_branch_are_whole() {
    // Two branches, of a pixel in two and of one in three, each brought back to the frame's size.
    let branches = |told: Option<&str>, steps: [i64; 2]| {
        let chain = sample::chain(Colour::Luma, 1, &[1, 1], 3);
        let mut nodes = Vec::new();
        for step in steps {
            let name = |part: &str| format!("{part}{step}");
            let strides = || sample::ints("strides", &[step, step]);
            let down = ["frame", "w"];
            let small = name("small");
            let mut conv = sample::node("Conv", &down, &small, vec![strides()]);
            conv.attribute.push(sample::ints("kernel_shape", &[1, 1]));
            let up = format!("up{step}");
            let back = sample::node("ConvTranspose", &[&small, &up], &name("y"), vec![strides()]);
            nodes.extend([conv, back]);
        }
        let sums = steps.map(|step| format!("y{step}"));
        nodes.push(sample::node(
            "Add",
            &[&sums[0], &sums[1]],
            "residual",
            vec![],
        ));
        nodes.push(sample::node(
            "Add",
            &["frame", "residual"],
            "restored",
            vec![],
        ));
        let mut weights = vec![sample::floats("w", &[1, 1, 1, 1], &[0.1])];
        for step in steps {
            let side = step as usize;
            let ones = vec![0.5; side * side];
            weights.push(sample::floats(
                &format!("up{step}"),
                &[1, 1, side, side],
                &ones,
            ));
        }
        let mut proto =
            ModelProto::decode(sample::model(&chain, nodes, weights).as_slice()).unwrap();
        proto.metadata_props.clear();
        if let Some(told) = told {
            proto.metadata_props.push(StringStringEntryProto {
                key: META_SCALE.into(),
                value: told.into(),
            });
        }
        proto.encode_to_vec()
    };
    let scale = |model: Vec<u8>| describe(&model).map(|d| d.student.scale);
    assert_eq!(scale(branches(None, [2, 3])).unwrap(), 6);
    assert_eq!(scale(branches(Some("12"), [2, 3])).unwrap(), 12);
    let said = scale(branches(Some("3"), [2, 3])).unwrap_err().to_string();
    assert!(said.contains("blocks of 6"), "{said}");
    let said = scale(branches(None, [61, 64])).unwrap_err().to_string();
    assert!(said.contains("blocks of 61 and of 64"), "{said}");
    // A frame of neither's multiple.
    let mut engine = load(&branches(None, [2, 3]), EngineOptions::default()).unwrap();
    let bytes = [9; 14 * 8];
    let mut out = [0; 14 * 8];
    let frame = FrameView::packed(PixelFormat::Gray8, 14, 8, &bytes).unwrap();
    let mut view = FrameViewMut::packed(PixelFormat::Gray8, 14, 8, &mut out).unwrap();
    engine.run(&frame, &mut view, 1.0).unwrap();
}

#[test]
fn frames_are_padded_to_whole_blocks_of_the_graph() {
    let told = |scale: &str| {
        let mut proto = ModelProto::decode(sample::f32_chain().as_slice()).unwrap();
        for entry in &mut proto.metadata_props {
            if entry.key == META_SCALE {
                entry.value = scale.into();
            }
        }
        describe(&proto.encode_to_vec())
    };
    let said = told("3").unwrap_err().to_string();
    assert!(
        said.contains("hone.scale 3") && said.contains("blocks of 2"),
        "{said}"
    );
    let said = told("4").unwrap().layers.unwrap_err();
    assert!(said.contains("blocks are of 2"), "{said}");
    assert!(told("2").unwrap().layers.is_ok());
}

#[test]
fn a_chain_is_followed() {
    let model = Model::parse(&sample::f32_chain()).unwrap();
    let reach = reach(&model).unwrap();
    let chain = sample::chain(Colour::Luma, 2, &[4, 8, 8, 4], 1);
    assert_eq!(reach.scale, 2);
    assert_eq!(reach.halo, Some(chain.halo()));
    assert_eq!(reach.macs_per_pixel, chain.macs_per_pixel());
}

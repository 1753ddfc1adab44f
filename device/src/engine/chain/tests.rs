//! Files that say more than a chain's numbers, or other than it would be taken for.

use hone_shared::bundle;
use hone_shared::student::Colour;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, attribute_proto::AttributeType};

use crate::engine::dialects::{restored, rewritten};
use crate::engine::{EngineOptions, describe, load, sample};

/// Why tract is to run a model.
fn reason(model: &[u8]) -> String {
    describe(model).unwrap().layers.unwrap_err()
}

fn shuffles(graph: &mut GraphProto) -> impl Iterator<Item = &mut NodeProto> {
    let nodes = graph.node.iter_mut();
    nodes.filter(|n| n.op_type.ends_with("ToSpace") || n.op_type.ends_with("ToDepth"))
}

/// DepthToSpace takes all of a plane's channels one after another.
fn by_columns(graph: &mut GraphProto) {
    for node in shuffles(graph).filter(|n| n.op_type == "DepthToSpace") {
        node.attribute.push(AttributeProto {
            name: "mode".into(),
            s: "CRD".into(),
            r#type: AttributeType::String as i32,
            ..AttributeProto::default()
        });
    }
}

/// Leaves a stored tensor its first bytes only, in the shape `dims`.
fn cut(graph: &mut GraphProto, name: &str, dims: &[i64], bytes: usize) {
    let mut tensors = graph.initializer.iter_mut();
    let tensor = tensors.find(|t| t.name == name).unwrap();
    tensor.dims = dims.to_vec();
    tensor.raw_data.truncate(bytes);
}

/// The DequantizeLinear that gives `name` says `axis`, or nothing.
fn along(graph: &mut GraphProto, name: &str, axis: Option<i64>) {
    let mut nodes = graph.node.iter_mut();
    let node = nodes.find(|n| n.output[0] == name).unwrap();
    assert_eq!(node.op_type, "DequantizeLinear");
    node.attribute = axis
        .map(|axis| sample::int("axis", axis))
        .into_iter()
        .collect();
}

#[test]
fn both_orders_of_a_shuffle_read_alike() {
    let (planes, area) = (3, 4);
    let turned = |graph: &mut GraphProto| {
        for tensor in &mut graph.initializer {
            if !["w1", "b1", "ws1", "bs1"].contains(&tensor.name.as_str()) {
                continue;
            }
            let each = tensor.raw_data.len() / (planes * area);
            let outputs = (0..planes).flat_map(|p| (0..area).map(move |at| at * planes + p));
            let bytes = outputs.flat_map(|o| tensor.raw_data[o * each..][..each].to_vec());
            tensor.raw_data = bytes.collect();
        }
        by_columns(graph);
    };
    let f32 = sample::onnx(&sample::chain(Colour::Rgb, 2, &[12, 8, 12], 7));
    let int8 = sample::qdq(&sample::quantised(Colour::Rgb, 2, &[12, 8, 12], 7));
    for plain in [f32, int8] {
        let want = restored(&plain, Colour::Rgb);
        assert_ne!(restored(&rewritten(&plain, by_columns), Colour::Rgb), want);
        assert_eq!(restored(&rewritten(&plain, turned), Colour::Rgb), want);
    }
}

#[test]
fn a_bias_that_lacks_numbers_is_not_reordered() {
    let f32 = sample::onnx(&sample::chain(Colour::Luma, 2, &[4, 8, 4], 7));
    let int8 = sample::qdq(&sample::quantised(Colour::Luma, 2, &[4, 8, 4], 7));
    for plain in [f32, int8] {
        let short = rewritten(&plain, |graph| {
            by_columns(graph);
            cut(graph, "b1", &[1], 4);
        });
        let said = reason(&short);
        assert!(said.contains("4 channels has a bias of 1"), "{said}");
    }
}

#[test]
fn blocks_that_the_engine_does_not_run_are_not_reordered() {
    let f32 = sample::onnx(&sample::chain(Colour::Luma, 2, &[4, 8, 4], 7));
    let int8 = sample::qdq(&sample::quantised(Colour::Luma, 2, &[4, 8, 4], 7));
    for plain in [f32, int8] {
        for block in [0, 1 << 16] {
            let odd = rewritten(&plain, |graph| {
                by_columns(graph);
                for node in shuffles(graph) {
                    node.attribute.retain(|a| a.name != "blocksize");
                    node.attribute.push(sample::int("blocksize", block));
                }
            });
            let said = reason(&odd);
            assert!(said.contains(&format!("factor {block} is not")), "{said}");
            assert!(load(&odd, EngineOptions::default()).is_err());
        }
    }
}

/// As many inputs as outputs: by their number alone, scales could be of either.
#[test]
fn scales_are_an_outputs_or_tract_runs_them() {
    let chain = sample::quantised(Colour::Luma, 2, &[4, 4, 4], 7);
    let plain = sample::qdq(&chain);
    let told = |name: &str, axis| rewritten(&plain, |graph| along(graph, name, axis));
    for axis in [None, Some(1), Some(-3)] {
        let other = told("wd1", axis);
        let said = reason(&other);
        assert!(said.contains("'w1' lie along axis"), "{said}");
        let engine = load(&other, EngineOptions::default()).unwrap();
        assert!(!engine.executor().fused);
    }
    for axis in [None, Some(1)] {
        let said = reason(&told("bd1", axis));
        assert!(said.contains("'b1' lie along axis 1"), "{said}");
    }
    let want = restored(&plain, chain.colour);
    for (name, axis) in [("wd1", -4), ("bd1", -1)] {
        assert_eq!(restored(&told(name, Some(axis)), chain.colour), want);
    }
}

/// One scale is along no axis.
#[test]
fn a_single_scale_needs_no_axis() {
    let mut chain = sample::quantised(Colour::Luma, 2, &[4, 4, 4], 7);
    for layer in &mut chain.layers {
        let scale = layer.weight_scales[0];
        layer.weight_scales.fill(scale);
    }
    let plain = sample::qdq(&chain);
    let single = rewritten(&plain, |graph| {
        for i in 0..chain.layers.len() {
            for (name, bytes) in [("ws", 4), ("wz", 1), ("bs", 4), ("bz", 4)] {
                cut(graph, &format!("{name}{i}"), &[], bytes);
            }
            along(graph, &format!("wd{i}"), None);
            along(graph, &format!("bd{i}"), None);
        }
    });
    let want = restored(&plain, chain.colour);
    assert_eq!(restored(&single, chain.colour), want);
}

/// A node that gives its second output only, and leaves an input out: by their empty name it would follow itself.
#[test]
fn outputs_that_are_left_out_are_not_followed() {
    let f32 = sample::onnx(&sample::chain(Colour::Luma, 2, &[4, 8, 4], 7));
    let int8 = sample::qdq(&sample::quantised(Colour::Luma, 2, &[4, 8, 4], 7));
    for plain in [f32, int8] {
        let odd = rewritten(&plain, |graph| {
            let mut nodes = graph.node.iter_mut();
            let relu = nodes.find(|n| n.op_type == "Relu").unwrap();
            relu.input.push(String::new());
            relu.output.insert(0, String::new());
        });
        let said = reason(&odd);
        assert!(said.contains("leaves its first output out"), "{said}");
    }
}

#[test]
fn the_shipped_chains_run_fused() {
    let bundles: [&[u8]; 5] = [
        include_bytes!("../../../../models/conference.hone"),
        include_bytes!("../../../../models/defocus.hone"),
        include_bytes!("../../../../models/mixed.hone"),
        include_bytes!("../../../../models/motion.hone"),
        include_bytes!("../../../../models/rgb.hone"),
    ];
    for bytes in bundles {
        let bundle = bundle::read(bytes).unwrap();
        let models = bundle.manifest().models.iter();
        // Those two have skips: they are no chains.
        for model in models.filter(|m| !["nafnet-lite", "dsunet"].contains(&m.name.as_str())) {
            let layers = describe(bundle.model_bytes(model)).unwrap().layers;
            let (name, precision) = (&model.name, model.precision);
            assert!(layers.is_ok(), "{name} in {precision}: {layers:?}");
        }
    }
}

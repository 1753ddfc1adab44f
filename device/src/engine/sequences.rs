//! Temporal students: what comes out of one frame goes into the next, alike on every executor.

use hone_shared::student::{Colour, ConvChain};
use prost::Message;
use tract_onnx::pb::{ModelProto, tensor_shape_proto::dimension::Value};

use super::plain::expected;
use super::sample::{self, Numbers};
use super::tests::{executors, options, packed, run};
use super::*;

/// Planes, factor and channels of the chains that are tried.
const SHAPES: [(Colour, usize, &[usize]); 6] = [
    (Colour::Luma, 2, &[8, 16, 16, 4]),
    (Colour::Luma, 1, &[2, 5, 1]),
    (Colour::Luma, 4, &[32, 16, 16]),
    (Colour::Rgb, 1, &[6, 8, 3]),
    (Colour::Rgb, 2, &[24, 12, 12]),
    (Colour::Rgb, 4, &[96, 16, 48]),
];

fn frames(colour: Colour, (width, height): (usize, usize)) -> Vec<Vec<u8>> {
    let frame = |seed| sample::patches(&mut Numbers(seed), (width, height), colour.channels());
    (20..24).map(frame).collect()
}

/// Each pixel's samples and, behind them, those of another frame.
fn joined(planes: usize, frame: &[u8], before: &[u8]) -> Vec<u8> {
    let pixels = frame.chunks(planes).zip(before.chunks(planes));
    pixels.flat_map(|(a, b)| [a, b].concat()).collect()
}

fn planar(planes: usize, bytes: &[u8]) -> Vec<u8> {
    let plane = |c: usize| bytes.iter().skip(c).step_by(planes).copied();
    (0..planes).flat_map(plane).collect()
}

fn small() -> ConvChain {
    sample::chain(Colour::Luma, 2, &[8, 8, 4], 5)
}

#[test]
fn every_frame_is_restored_after_the_one_before() {
    for (colour, scale, channels) in SHAPES {
        let mut chain = sample::chain(colour, scale, channels, 5);
        chain.limited = scale == 2;
        let model = sample::onnx(&chain);
        for size in [(1, 1), (17, 9), (33, 70)] {
            for executor in executors(2) {
                let mut full = load(&model, executor).unwrap();
                let mut weak = load(&model, executor).unwrap();
                assert_eq!(full.executor().fused, !executor.tract_only);
                assert!(full.student().temporal);
                let mut before: Option<Vec<u8>> = None;
                for (t, frame) in frames(colour, size).iter().enumerate() {
                    let seen = before.as_ref().unwrap_or(frame);
                    let seen = joined(colour.channels(), frame, seen);
                    let check = |engine: &mut dyn Engine, strength: f32| {
                        let want = expected(&chain, size.0, size.1, &seen, strength);
                        let got = run(engine, packed(colour), size, frame, strength);
                        let name = engine.description();
                        for (i, (&got, want)) in got.iter().zip(&want).enumerate() {
                            let off = (f64::from(got) - want).abs();
                            let place = format_args!("{name}, {size:?}, frame {t}, sample {i}");
                            assert!(off < 0.501, "{place}: {got}, expected {want}");
                        }
                        got
                    };
                    // What is shown does not change what is seen next.
                    check(&mut *weak, 0.3);
                    before = Some(check(&mut *full, 1.0));
                }
            }
        }
    }
}

#[test]
fn int8_sequences_are_the_contract_to_the_byte() {
    for (colour, scale, channels) in SHAPES {
        let chain = sample::quantised(colour, scale, channels, 8);
        let model = sample::qdq(&chain);
        let planes = colour.channels();
        for blocks in [(1, 1), (5, 4), (25, 15)] {
            let (w, h) = (blocks.0 * scale, blocks.1 * scale);
            for isa in Isa::available() {
                let isa = Some(isa);
                let executor = EngineOptions { isa, ..options(3) };
                let mut engine = load(&model, executor).unwrap();
                assert!(engine.executor().fused);
                let mut before: Option<Vec<u8>> = None;
                for frame in frames(colour, (w, h)) {
                    let frame_planes = planar(planes, &frame);
                    let seen = before.as_ref().unwrap_or(&frame_planes);
                    let seen = [&frame_planes[..], seen].concat();
                    let want = chain.restore(&seen, h, w, 1.0);
                    let got = run(&mut *engine, packed(colour), (w, h), &frame, 1.0);
                    assert_eq!(planar(planes, &got), want, "{}", engine.description());
                    before = Some(want);
                }
            }
        }
    }
}

#[test]
fn threads_and_instruction_sets_change_nothing_on_odd_sizes() {
    let float = sample::onnx(&sample::chain(Colour::Luma, 2, &[8, 16, 16, 4], 5));
    let int8 = sample::qdq(&sample::quantised(Colour::Luma, 2, &[8, 16, 16, 4], 8));
    let size = (61, 143);
    let last = |model: &[u8], isa, threads| {
        let isa = Some(isa);
        let executor = EngineOptions {
            isa,
            ..options(threads)
        };
        let mut engine = load(model, executor).unwrap();
        let frames = frames(Colour::Luma, size);
        let restored = frames
            .iter()
            .map(|f| run(&mut *engine, PixelFormat::Gray8, size, f, 1.0));
        restored.last().unwrap()
    };
    let scalar = last(&int8, Isa::Scalar, 1);
    for isa in Isa::available() {
        let one = last(&float, isa, 1);
        for threads in [2, 5] {
            assert_eq!(one, last(&float, isa, threads), "{}", isa.name());
        }
        for threads in [1, 2, 5] {
            assert_eq!(scalar, last(&int8, isa, threads), "{}", isa.name());
        }
    }
}

#[test]
fn a_break_makes_the_next_frame_a_first_one() {
    let (float, int8) = (
        sample::onnx(&small()),
        sample::qdq(&sample::quantised(Colour::Luma, 2, &[8, 8, 4], 8)),
    );
    let tract = EngineOptions {
        tract_only: true,
        ..options(2)
    };
    for (model, executor) in [(&float, options(2)), (&int8, options(2)), (&float, tract)] {
        let size = (19, 12);
        let frames = frames(Colour::Luma, size);
        let mut engine = load(model, executor).unwrap();
        let mut restore = |break_: &dyn Fn(&mut dyn Engine)| {
            run(&mut *engine, PixelFormat::Gray8, size, &frames[0], 1.0);
            break_(&mut *engine);
            run(&mut *engine, PixelFormat::Gray8, size, &frames[1], 1.0)
        };
        let first = restore(&|engine| engine.reset());
        assert_ne!(first, restore(&|_| ()));
        assert_eq!(first, restore(&|engine| engine.reset()));
        let other = |engine: &mut dyn Engine| {
            run(engine, PixelFormat::Gray8, (12, 19), &frames[2], 1.0);
        };
        assert_eq!(first, restore(&other));
        let bypass = |engine: &mut dyn Engine| {
            run(engine, PixelFormat::Gray8, size, &frames[2], 0.0);
        };
        assert_eq!(first, restore(&bypass));
        // A camera's own planes: luma of YUYV is the same plane.
        let mut yuyv = Vec::new();
        for row in frames[1].chunks(19) {
            row.iter().for_each(|&y| yuyv.extend([y, 128]));
            yuyv.extend([0, 128]);
        }
        engine.reset();
        let out = run(&mut *engine, PixelFormat::Yuyv, size, &yuyv, 1.0);
        let luma = out
            .chunks(40)
            .flat_map(|row| row.iter().step_by(2).take(19).copied());
        assert_eq!(luma.collect::<Vec<_>>(), first);
    }
}

#[test]
fn what_is_not_joined_at_once_runs_on_tract() {
    let chain = small();
    let tensor = |name: &str, seed| {
        let values: Vec<f32> = (0..9).map(|i| 0.02 * ((i * seed) % 7) as f32).collect();
        sample::floats(name, &[1, 1, 3, 3], &values)
    };
    let nodes = vec![
        sample::conv(&["frame", "a"], "x", 3),
        sample::conv(&["previous", "b"], "y", 3),
        sample::node("Sub", &["x", "y"], "residual", vec![]),
        sample::node("Add", &["frame", "residual"], "restored", vec![]),
    ];
    let model = sample::model(&chain, nodes, vec![tensor("a", 3), tensor("b", 5)]);
    let mut engine = load(&model, options(2)).unwrap();
    assert!(!engine.executor().fused);
    let layers = describe(&model).unwrap().layers;
    assert!(layers.unwrap_err().contains("not joined"));
    let frame = Numbers(3).bytes(24 * 20);
    let mut turn = || run(&mut *engine, PixelFormat::Gray8, (24, 20), &frame, 1.0);
    assert_ne!(turn(), turn());
}

#[test]
fn a_wrong_second_input_is_named() {
    let refusal = |change: &dyn Fn(&mut ModelProto)| {
        let mut proto = ModelProto::decode(sample::onnx(&small()).as_slice()).unwrap();
        change(&mut proto);
        let refused = load(&proto.encode_to_vec(), options(1)).map(|e| e.description());
        refused.unwrap_err().to_string()
    };
    let shape = |proto: &mut ModelProto, dim: usize, value: Value| {
        let input = &mut proto.graph.as_mut().unwrap().input[1];
        let kind = input.r#type.as_mut().unwrap().value.as_mut().unwrap();
        let tract_onnx::pb::type_proto::Value::TensorType(tensor) = kind;
        tensor.shape.as_mut().unwrap().dim[dim].value = Some(value);
    };
    let text = refusal(&|p| shape(p, 1, Value::DimValue(3)));
    assert!(
        text.contains("'previous' has 3 channels, 'frame' has 1"),
        "{text}"
    );
    let text = refusal(&|p| shape(p, 0, Value::DimValue(2)));
    assert!(text.contains("'previous' is not of shape"), "{text}");
    let text = refusal(&|p| {
        let graph = p.graph.as_mut().unwrap();
        graph.node[0].input[1] = "frame".into();
    });
    assert!(
        text.contains("no node reads its input 'previous'"),
        "{text}"
    );
    let text = refusal(&|p| {
        let graph = p.graph.as_mut().unwrap();
        let mut third = graph.input[1].clone();
        third.name = "before".into();
        graph.input.push(third);
    });
    assert!(text.contains("3 inputs"), "{text}");
    // A network that joins two frames but has one input.
    let text = refusal(&|p| {
        let graph = p.graph.as_mut().unwrap();
        graph.input.truncate(1);
    });
    assert!(text.contains("'previous'"), "{text}");
}

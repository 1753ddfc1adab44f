//! Frames' bounds against the definition, and what other formats make of them.

use hone_shared::limit::bounds;
use hone_shared::student::{Colour, ConvChain};
use tract_onnx::pb::NodeProto;

use super::super::sample::{self, Numbers};
use super::super::tests::{executors, options, packed, run};
use super::super::{EngineOptions, FrameView, Isa, PixelFormat, load};
use super::*;

fn limited(channels: &[usize]) -> ConvChain {
    ConvChain {
        limited: true,
        ..sample::chain(Colour::Luma, 2, channels, 5)
    }
}

#[test]
fn bounds_are_those_of_the_definition_on_any_size() {
    let mut limit = Limit::default();
    for (colour, scale) in [(Colour::Luma, 1), (Colour::Luma, 2), (Colour::Rgb, 4)] {
        let planes = colour.channels();
        for (width, height) in [(1, 1), (2, 7), (17, 3), (40, 33), (17, 150)] {
            let bytes = sample::patches(&mut Numbers(3), (width, height), planes);
            let frame = FrameView::packed(packed(colour), width, height, &bytes).unwrap();
            let source = Source::new(&frame, colour).unwrap();
            let extent = source.extent(scale);
            let (w, h) = (extent.width, extent.height);
            let want: Vec<_> = (0..planes)
                .map(|plane| {
                    let sample = |at: usize| {
                        let (x, y) = ((at % w).min(width - 1), (at / w).min(height - 1));
                        bytes[(y * width + x) * planes + plane]
                    };
                    bounds(&(0..w * h).map(sample).collect::<Vec<u8>>(), h, w)
                })
                .collect();
            // Whole rows, and parts of them that begin and end anywhere.
            for (x, y) in [
                (0..w, 0..h),
                (w / 3..w, h / 2..h),
                (0..w.div_ceil(2), h / 5..h),
            ] {
                limit.forget();
                for y in y {
                    let (lows, highs) = limit.row(&source, extent, y, x.clone());
                    for (plane, (low, high)) in want.iter().enumerate() {
                        let own = |row: &[u8]| -> Vec<u8> {
                            row.iter().skip(plane).step_by(planes).copied().collect()
                        };
                        let at = y * w + x.start..y * w + x.end;
                        assert_eq!(own(lows), low[at.clone()], "{width}x{height}, row {y}");
                        assert_eq!(own(highs), high[at], "{width}x{height}, row {y}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_grey_picture_is_restored_alike_in_every_format() {
    let model = sample::onnx(&limited(&[4, 8, 8, 4]));
    let (width, height) = (21, 14);
    let luma = sample::patches(&mut Numbers(4), (width, height), 1);
    let free = sample::onnx(&sample::chain(Colour::Luma, 2, &[4, 8, 8, 4], 5));
    for executor in executors(2) {
        let mut engine = load(&model, executor).unwrap();
        assert!(engine.student().limited);
        for strength in [1.0, 0.4] {
            let size = (width, height);
            let grey = run(&mut *engine, PixelFormat::Gray8, size, &luma, strength);
            let mut unheld = load(&free, executor).unwrap();
            let unheld = run(&mut *unheld, PixelFormat::Gray8, size, &luma, strength);
            assert_ne!(grey, unheld, "the limit holds nothing");
            let rgb: Vec<u8> = luma.iter().flat_map(|&y| [y; 3]).collect();
            let rgb = run(&mut *engine, PixelFormat::Rgb8, size, &rgb, strength);
            let want: Vec<u8> = grey.iter().flat_map(|&y| [y; 3]).collect();
            assert_eq!(rgb, want, "{}", engine.description());
            let pairs = |y: &[u8]| -> Vec<u8> {
                let rows = y.chunks(width).map(|row| [row, &row[width - 1..]].concat());
                rows.flatten().flat_map(|y| [y, 99]).collect()
            };
            let yuyv = run(
                &mut *engine,
                PixelFormat::Yuyv,
                size,
                &pairs(&luma),
                strength,
            );
            let shown = |bytes: &[u8]| -> Vec<u8> {
                let rows = bytes.chunks(2 * (width + 1));
                rows.flat_map(|row| row[..2 * width].to_vec()).collect()
            };
            assert_eq!(shown(&yuyv), shown(&pairs(&grey)));
        }
    }
}

#[test]
fn a_graph_that_ends_otherwise_is_refused() {
    let model = sample::onnx(&limited(&[4, 8, 4]));
    let load = |change: fn(&mut NodeProto)| {
        use prost::Message;
        let mut proto = tract_onnx::pb::ModelProto::decode(&model[..]).unwrap();
        proto
            .graph
            .as_mut()
            .unwrap()
            .node
            .iter_mut()
            .for_each(change);
        load(&proto.encode_to_vec(), options(1)).map(|engine| engine.student().limited)
    };
    assert!(load(|_| ()).unwrap());
    // Operands of sums may stand the other way round.
    assert!(
        load(|node| if node.op_type == "Add" {
            node.input.reverse()
        })
        .unwrap()
    );
    let changes: [fn(&mut NodeProto); 3] = [
        |node| {
            if node.op_type == "MaxPool" {
                node.attribute[0] = sample::ints("kernel_shape", &[5, 5]);
            }
        },
        |node| {
            if node.op_type == "Sub" {
                node.input.reverse()
            }
        },
        |node| {
            if node.output == ["held"] {
                node.input[0] = "low".into()
            }
        },
    ];
    for change in changes {
        let error = load(change).unwrap_err().to_string();
        assert!(error.contains("nor the overshoot limit"), "{error}");
    }
}

#[test]
fn threads_change_nothing() {
    let model = sample::onnx(&limited(&[4, 8, 4]));
    let bytes = sample::patches(&mut Numbers(4), (61, 70), 1);
    let with = |threads| {
        let executor = EngineOptions {
            isa: Some(Isa::Scalar),
            ..options(threads)
        };
        let mut engine = load(&model, executor).unwrap();
        run(&mut *engine, PixelFormat::Gray8, (61, 70), &bytes, 1.0)
    };
    assert_eq!(with(1), with(2));
    assert_eq!(with(1), with(5));
}

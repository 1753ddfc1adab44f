//! The engine as a whole: every executor against a plain reference on awkward frames.

use hone_shared::student::{Colour, ConvChain};

use super::plain::expected;
use super::sample::{self, Numbers};
use super::*;

pub(super) fn packed(colour: Colour) -> PixelFormat {
    match colour {
        Colour::Luma => PixelFormat::Gray8,
        Colour::Rgb => PixelFormat::Rgb8,
    }
}

pub(super) fn run(
    engine: &mut dyn Engine,
    format: PixelFormat,
    size: (usize, usize),
    bytes: &[u8],
    strength: f32,
) -> Vec<u8> {
    let mut out = vec![7; bytes.len()];
    let frame = FrameView::packed(format, size.0, size.1, bytes).unwrap();
    let mut view = FrameViewMut::packed(format, size.0, size.1, &mut out).unwrap();
    engine.run(&frame, &mut view, strength).unwrap();
    out
}

const SIZES: [(usize, usize); 8] = [
    (1, 1),
    (2, 1),
    (1, 5),
    (3, 3),
    (17, 9),
    (24, 16),
    (33, 40),
    (70, 140),
];

/// Chains that meet every kernel: narrow and wide ends, vectors that do not fill, 1x1 layers.
fn chains() -> Vec<ConvChain> {
    let mut chains: Vec<_> = [
        (Colour::Luma, 2, &[4, 16, 16, 4][..]),
        (Colour::Luma, 1, &[1, 5, 20, 1]),
        (Colour::Luma, 4, &[16, 16, 16]),
        (Colour::Luma, 2, &[4, 4]),
        (Colour::Rgb, 1, &[3, 72, 3]),
        (Colour::Rgb, 2, &[12, 33, 12]),
        (Colour::Rgb, 4, &[48, 32, 48]),
    ]
    .into_iter()
    .map(|(colour, scale, channels)| sample::chain(colour, scale, channels, 5))
    .collect();
    let mut pointwise = sample::chain(Colour::Luma, 2, &[4, 24, 24, 4], 5);
    for layer in &mut pointwise.layers[1..] {
        layer.kernel = 1;
        layer.weights.truncate(layer.inputs * layer.outputs);
    }
    chains.push(pointwise);
    // Chains of which the limit holds what they draw.
    let limited = chains.clone().into_iter().map(|chain| ConvChain {
        limited: true,
        ..chain
    });
    chains.extend(limited.collect::<Vec<_>>());
    chains
}

pub(super) fn options(threads: usize) -> EngineOptions {
    EngineOptions {
        threads,
        ..EngineOptions::default()
    }
}

/// tract, and the fused executor with every instruction set of this machine.
pub(super) fn executors(threads: usize) -> Vec<EngineOptions> {
    let tract = EngineOptions {
        tract_only: true,
        ..options(threads)
    };
    let fused = Isa::available().map(|isa| EngineOptions {
        isa: Some(isa),
        ..options(threads)
    });
    std::iter::once(tract).chain(fused).collect()
}

#[test]
fn frames_of_any_size_are_restored() {
    for chain in chains() {
        let (colour, model) = (chain.colour, sample::onnx(&chain));
        let load = |executor| load(&model, executor).unwrap();
        let mut engines: Vec<_> = executors(2).into_iter().map(load).collect();
        for (i, engine) in engines.iter().enumerate() {
            assert_eq!(engine.executor().fused, i > 0);
        }
        for (width, height) in SIZES {
            let bytes = match chain.limited {
                true => sample::patches(&mut Numbers(9), (width, height), colour.channels()),
                false => Numbers(9).bytes(width * height * colour.channels()),
            };
            for strength in [1.0, 0.3] {
                let want = expected(&chain, width, height, &bytes, strength);
                for engine in &mut engines {
                    let size = (width, height);
                    let got = run(&mut **engine, packed(colour), size, &bytes, strength);
                    let name = engine.description();
                    for (i, (&got, want)) in got.iter().zip(&want).enumerate() {
                        let off = (f64::from(got) - want).abs();
                        let place = format_args!("{name}, {width}x{height}, sample {i}");
                        assert!(off < 0.501, "{place}: {got}, expected {want}");
                    }
                }
            }
        }
    }
}

#[test]
fn bands_and_threads_change_nothing() {
    // Wide enough to be cut into columns too.
    let chain = sample::chain(Colour::Luma, 1, &[1, 64, 64, 64, 1], 5);
    let model = sample::onnx(&chain);
    let (width, height) = (1234, 70);
    let bytes = Numbers(4).bytes(width * height);
    for isa in Isa::available() {
        let with = |threads| {
            let executor = EngineOptions {
                isa: Some(isa),
                ..options(threads)
            };
            let mut engine = load(&model, executor).unwrap();
            run(
                &mut *engine,
                PixelFormat::Gray8,
                (width, height),
                &bytes,
                1.0,
            )
        };
        let one = with(1);
        assert_ne!(one, bytes);
        assert_eq!(one, with(2));
        assert_eq!(one, with(5));
    }
    let chain = sample::chain(Colour::Luma, 2, &[4, 8, 8, 4], 5);
    let with = |threads| {
        let executor = EngineOptions {
            tract_only: true,
            ..options(threads)
        };
        let mut engine = load(&sample::onnx(&chain), executor).unwrap();
        run(
            &mut *engine,
            PixelFormat::Gray8,
            (61, 700),
            &bytes[..61 * 700],
            1.0,
        )
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn int8_is_the_contract_to_the_byte() {
    for (colour, scale, channels) in [
        (Colour::Luma, 2, &[4, 16, 16, 4][..]),
        (Colour::Luma, 1, &[1, 5, 33, 1]),
        (Colour::Luma, 4, &[16, 16, 16]),
        (Colour::Rgb, 1, &[3, 64, 3]),
        (Colour::Rgb, 2, &[12, 20, 12]),
        (Colour::Rgb, 4, &[48, 32, 48]),
    ] {
        let mut chain = sample::quantised(colour, scale, channels, 8);
        // Every other one is held to its limit.
        chain.limited = scale == 2;
        let planes = colour.channels();
        let model = sample::qdq(&chain);
        let load = |isa| {
            let executor = EngineOptions {
                isa: Some(isa),
                ..options(3)
            };
            load(&model, executor).unwrap()
        };
        let mut engines: Vec<_> = Isa::available().map(load).collect();
        for size in [(1, 1), (2, 3), (5, 4), (9, 17), (50, 30)] {
            let (w, h) = (size.0 * scale, size.1 * scale);
            let bytes = match chain.limited {
                true => sample::patches(&mut Numbers(9), (w, h), planes),
                false => Numbers(9).bytes(w * h * planes),
            };
            let plane = |c: usize| bytes.iter().skip(c).step_by(planes).copied();
            let planar: Vec<u8> = (0..planes).flat_map(plane).collect();
            for strength in [1.0, 0.3] {
                let want = chain.restore(&planar, h, w, strength);
                let want: Vec<u8> = (0..w * h)
                    .flat_map(|at| (0..planes).map(move |c| (c, at)))
                    .map(|(c, at)| want[c * w * h + at])
                    .collect();
                assert!(want != bytes || chain.limited);
                for engine in &mut engines {
                    let got = run(&mut **engine, packed(colour), (w, h), &bytes, strength);
                    let name = engine.description();
                    assert!(name.starts_with("fused, int8"), "{name}");
                    assert!(got == want, "{name}, {w}x{h}, strength {strength}");
                }
            }
        }
    }
}

#[test]
fn damaged_models_are_errors() {
    let good = sample::f32_chain();
    for cut in (0..good.len()).step_by(7) {
        // Protobuf may end early at a field's border; then something must be missing.
        assert!(load(&good[..cut], options(1)).is_err(), "cut at {cut}");
    }
    let mut numbers = Numbers(3);
    for _ in 0..300 {
        let mut bad = good.clone();
        for _ in 0..3 {
            let at = numbers.next() as usize % bad.len();
            bad[at] = numbers.next() as u8;
        }
        // Changed weights still make a student; what must not happen is a panic.
        let _ = load(&bad, options(1)).map(|e| e.description());
    }
}

#[test]
fn random_students_agree_with_tract() {
    for seed in 0..12 {
        let mut numbers = Numbers(1000 + seed);
        let chain = random::chain(&mut numbers);
        let size = (
            1 + numbers.next() as usize % 60,
            1 + numbers.next() as usize % 40,
        );
        random::compare(&chain, size, &mut numbers);
    }
}

//! Exported files against the ONNX checker and ONNX Runtime.

use hone_shared::quant::{Affine, INPUT, QuantChain, QuantConv};
use hone_shared::student::{Colour, ConvChain, ConvLayer};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::check::second_opinion::{Runtime, SecondOpinion};
use crate::quantise::MixedChain;

pub(crate) fn float_chain(colour: Colour, scale: usize, kernels: &[usize], seed: u64) -> ConvChain {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let ends = colour.channels() * scale * scale;
    let mut inputs = ends;
    let mut layers = Vec::new();
    for (i, &kernel) in kernels.iter().enumerate() {
        let last = i + 1 == kernels.len();
        let outputs = if last { ends } else { 8 + 4 * i };
        let bound = (6.0 / (inputs * kernel * kernel) as f32).sqrt() * if last { 0.1 } else { 1.0 };
        let mut numbers = |n: usize| (0..n).map(|_| rng.random_range(-bound..bound)).collect();
        layers.push(ConvLayer {
            inputs,
            outputs,
            kernel,
            weights: numbers(outputs * inputs * kernel * kernel),
            bias: numbers(outputs),
            relu: !last,
        });
        inputs = outputs;
    }
    ConvChain {
        colour,
        scale,
        layers,
        limited: false,
    }
}

fn int8_chain(colour: Colour, scale: usize, kernels: &[usize], seed: u64) -> QuantChain {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let floats = float_chain(colour, scale, kernels, seed);
    let mut input = INPUT;
    let mut layers = Vec::new();
    for layer in floats.layers {
        let zero_point = if layer.relu { 0 } else { 117 };
        let scale = if layer.relu {
            rng.random_range(0.004..0.008)
        } else {
            INPUT.scale
        };
        let weight_scales: Vec<f32> = (0..layer.outputs)
            .map(|_| rng.random_range(0.0005..0.002))
            .collect();
        layers.push(QuantConv {
            inputs: layer.inputs,
            outputs: layer.outputs,
            kernel: layer.kernel,
            weights: layer
                .weights
                .iter()
                .map(|_| rng.random_range(-127..=127))
                .collect(),
            weight_scales,
            bias: (0..layer.outputs)
                .map(|_| rng.random_range(-9000..9000))
                .collect(),
            output: Affine { scale, zero_point },
        });
        input = layers.last().map_or(input, |l| l.output);
    }
    QuantChain {
        colour,
        scale,
        layers,
        limited: false,
    }
}

fn metadata(scale: usize, halo: usize) -> Metadata {
    Metadata {
        name: "test".into(),
        recipe_sha256: None,
        scale,
        halo: Some(halo),
    }
}

/// `frame + residual` in f64, one output at a time.
fn plain_forward(chain: &ConvChain, frame: &[f32], height: usize, width: usize) -> Vec<f64> {
    let s = chain.scale;
    let order = hone_shared::tiling::block_order(chain.colour.channels(), s, height, width);
    let mut x: Vec<f64> = order.iter().map(|&at| f64::from(frame[at])).collect();
    let (rows, columns) = ((height / s) as i64, (width / s) as i64);
    for l in &chain.layers {
        let (k, mut out) = (l.kernel as i64, Vec::new());
        for o in 0..l.outputs {
            for at in 0..rows * columns {
                let (row, column) = (at / columns, at % columns);
                let mut sum = f64::from(l.bias[o]);
                for i in 0..l.inputs {
                    for tap in 0..k * k {
                        let (y, c) = (row + tap / k - k / 2, column + tap % k - k / 2);
                        if (0..rows).contains(&y) && (0..columns).contains(&c) {
                            let w = l.weights[(o * l.inputs + i) * (k * k) as usize + tap as usize];
                            sum += f64::from(w)
                                * x[i * (rows * columns) as usize + (y * columns + c) as usize];
                        }
                    }
                }
                out.push(if l.relu { sum.max(0.0) } else { sum });
            }
        }
        x = out;
    }
    let mut restored: Vec<f64> = frame.iter().map(|&v| f64::from(v)).collect();
    for (&at, value) in order.iter().zip(x) {
        restored[at] += value;
    }
    restored
}

pub(crate) const SHAPES: [(Colour, usize, &[usize]); 4] = [
    (Colour::Luma, 2, &[3, 3, 3]),
    (Colour::Rgb, 2, &[3, 1, 3]),
    (Colour::Luma, 4, &[3, 3]),
    (Colour::Rgb, 1, &[5, 3]),
];

#[test]
fn f32_files_agree_with_other_runtimes() {
    for (seed, (colour, scale, kernels)) in SHAPES.into_iter().enumerate() {
        let chain = float_chain(colour, scale, kernels, seed as u64);
        let bytes = write_chain_f32(&chain, &metadata(scale, chain.halo()));
        let (h, w) = (4 * scale, 5 * scale);
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let frame: Vec<f32> = (0..colour.channels() * h * w)
            .map(|_| rng.random())
            .collect();
        let want = plain_forward(&chain, &frame, h, w);
        let opinion = SecondOpinion::new(&bytes).unwrap();
        let got = opinion
            .run(Runtime::Ort, &frame, [colour.channels(), h, w])
            .unwrap();
        let worst = got
            .iter()
            .zip(want)
            .map(|(g, w)| (f64::from(*g) - w).abs())
            .fold(0.0, f64::max);
        assert!(worst < 1e-5, "{colour} {scale}: {worst}");
    }
}

#[test]
fn int8_files_agree_with_onnx_runtime_to_the_bit() {
    for (seed, (colour, scale, kernels)) in SHAPES.into_iter().enumerate() {
        let chain = int8_chain(colour, scale, kernels, seed as u64);
        chain.validate().unwrap();
        let (h, w) = (6 * scale, 9 * scale);
        let mut rng = ChaCha8Rng::seed_from_u64(seed as u64);
        let frame: Vec<u8> = (0..colour.channels() * h * w)
            .map(|_| rng.random())
            .collect();
        let want = chain.restore(&frame, h, w, 1.0);
        let levels = chain.residual(&frame, h, w);
        let varied = levels.iter().filter(|&&q| q > 0 && q < 255).count();
        assert!(
            varied * 2 > levels.len(),
            "most residuals are clamped: {varied}"
        );
        let floats: Vec<f32> = frame.iter().map(|&b| f32::from(b) / 255.0).collect();
        let shape = [colour.channels(), h, w];
        for format in [Format::Qdq, Format::Qoperator] {
            let bytes = MixedChain::from_int8(&chain).write(format, &metadata(scale, 2 * scale));
            let opinion = SecondOpinion::new(&bytes).unwrap();
            if seed == 0 {
                opinion.expect_integer().unwrap();
            }
            let runtimes: &[Runtime] = match (format, seed) {
                (Format::Qdq, 0) => &[Runtime::Ort, Runtime::OrtPlain],
                _ => &[Runtime::Ort],
            };
            for &runtime in runtimes {
                let got = opinion.run(runtime, &floats, shape).unwrap();
                let to_byte = |v: &f32| (v.clamp(0.0, 1.0) * 255.0).round_ties_even() as u8;
                let got: Vec<u8> = got.iter().map(to_byte).collect();
                let off = got.iter().zip(&want).filter(|(a, b)| a != b).count();
                assert_eq!(off, 0, "{colour} {scale} {format:?} {runtime:?}");
            }
        }
    }
}

#[test]
fn limited_files_agree_with_onnx_runtime_to_the_bit_and_are_known_for_it() {
    for (colour, scale, kernels) in [SHAPES[0], SHAPES[1]] {
        let mut chain = int8_chain(colour, scale, kernels, 3);
        chain.limited = true;
        let (h, w) = (6 * scale, 9 * scale);
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        // Patches with edges between them; noise leaves the limit nothing to hold.
        let patches: Vec<u8> = (0..colour.channels() * h).map(|_| rng.random()).collect();
        let frame: Vec<u8> = (0..colour.channels() * h * w)
            .map(|at| patches[at / (4 * w) * 4 + at % w / 6])
            .collect();
        let want = chain.restore(&frame, h, w, 1.0);
        let free = QuantChain {
            limited: false,
            ..chain.clone()
        };
        assert_ne!(want, free.restore(&frame, h, w, 1.0), "nothing was held");
        let floats: Vec<f32> = frame.iter().map(|&b| f32::from(b) / 255.0).collect();
        let shape = [colour.channels(), h, w];
        let file = MixedChain::from_int8(&chain).write(Format::Qdq, &metadata(scale, 2 * scale));
        let known = hone_device::engine::describe(&file).unwrap();
        assert!(known.student.limited && known.layers.is_ok());
        let opinion = SecondOpinion::new(&file).unwrap();
        let got = opinion.run(Runtime::Ort, &floats, shape).unwrap();
        let to_byte = |v: &f32| (v.clamp(0.0, 1.0) * 255.0).round_ties_even() as u8;
        assert_eq!(got.iter().map(to_byte).collect::<Vec<_>>(), want);
    }
    let mut chain = float_chain(Colour::Luma, 2, &[3, 3], 1);
    chain.limited = true;
    let file = write_chain_f32(&chain, &metadata(2, chain.halo()));
    for file in [&file, &simplify(&file).unwrap()] {
        assert_eq!(hone_device::engine::convolutions(file).unwrap(), chain);
    }
}

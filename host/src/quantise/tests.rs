//! Fake quantisation against the definition, and what quantisation costs.

use clap::ValueEnum;
use hone_shared::quant::QuantChain;
use hone_shared::student::Colour;
use tch::{Device, Tensor};

use super::qat::Trainee;
use super::*;
use crate::onnx::tests::{SHAPES, float_chain};

pub(super) fn frames(colour: Colour, side: i64, count: i64) -> Vec<Tensor> {
    let kind = tch::kind::FLOAT_CPU;
    let size = [1, colour.channels() as i64, side, side];
    let coarse = [1, colour.channels() as i64, side / 4, side / 4];
    (0..count)
        .map(|_| {
            let smooth =
                Tensor::rand(coarse, kind).upsample_bilinear2d(&size[2..], false, None, None);
            let noisy = smooth * 0.9 + Tensor::rand(size, kind) * 0.1;
            (noisy * 255.0).round() / 255.0
        })
        .collect()
}

pub(super) fn bytes(x: &Tensor) -> Vec<u8> {
    let scaled = (x.clamp(0.0, 1.0) * 255.0).round().flatten(0, -1);
    Vec::<f32>::try_from(scaled)
        .unwrap()
        .into_iter()
        .map(|v| v as u8)
        .collect()
}

fn assert_same(chain: &QuantChain, frame: &Tensor, restored: &Tensor) {
    let size = frame.size();
    let want = chain.restore(&bytes(frame), size[2] as usize, size[3] as usize, 1.0);
    assert_eq!(bytes(restored), want);
}

#[test]
fn fake_quantisation_is_the_definition_to_the_bit() {
    tch::manual_seed(3);
    for (seed, (colour, scale, kernels)) in SHAPES.into_iter().enumerate() {
        let chain = float_chain(colour, scale, kernels, seed as u64);
        let frames = frames(colour, 24, 2);
        let mixed = quantise(&chain, &frames, &QuantiseConfig::default()).unwrap();
        let int8 = mixed.int8().unwrap();
        assert_same(&int8, &frames[1], &mixed.restore(&frames[1]));
        let affines: Vec<_> = int8.layers.iter().map(|l| l.output).collect();
        let trainee = Trainee::new(&chain, &affines, Device::Cpu).unwrap();
        let (residual, _) = tch::no_grad(|| trainee.forward(&frames[0]));
        assert_same(
            &trainee.export().unwrap(),
            &frames[0],
            &(&frames[0] + residual),
        );
    }
}

/// Mean squared difference from the f32 chain, in squared steps of the frame.
fn error(chain: &ConvChain, mixed: &MixedChain, frames: &[Tensor]) -> f64 {
    let float = MixedChain::from_float(chain);
    let one = |f: &Tensor| {
        (float.restore(f) - mixed.restore(f))
            .square()
            .mean(Kind::Double)
    };
    frames.iter().map(|f| one(f).double_value(&[])).sum::<f64>() / frames.len() as f64 * 65025.0
}

#[test]
fn every_calibration_stays_near_f32_and_equalising_helps_unequal_channels() {
    tch::manual_seed(4);
    let mut chain = float_chain(Colour::Luma, 2, &[3, 3, 3], 5);
    // One loud channel that the next layer hardly hears takes the others' levels away.
    let taps = chain.layers[0].inputs * 9;
    chain.layers[0].weights[..taps]
        .iter_mut()
        .for_each(|w| *w *= 40.0);
    let width = chain.layers[1].inputs;
    for (i, taps) in chain.layers[1].weights.chunks_exact_mut(9).enumerate() {
        if i % width == 0 {
            taps.iter_mut().for_each(|w| *w /= 40.0);
        }
    }
    let frames = frames(Colour::Luma, 32, 4);
    for &calibration in Calibration::value_variants() {
        let config = QuantiseConfig {
            calibration,
            ..QuantiseConfig::default()
        };
        let off = error(
            &chain,
            &quantise(&chain, &frames, &config).unwrap(),
            &frames,
        );
        // Divergence of histograms is not distance of pictures: it clips more.
        let limit = if calibration == Calibration::Entropy {
            3.0
        } else {
            1.0
        };
        assert!(off < limit, "{calibration:?}: {off}");
    }
    let config = QuantiseConfig {
        calibration: Calibration::MinMax,
        ..QuantiseConfig::default()
    };
    let with = error(
        &chain,
        &quantise(&chain, &frames, &config).unwrap(),
        &frames,
    );
    let config = QuantiseConfig {
        equalise: false,
        ..config
    };
    let without = error(
        &chain,
        &quantise(&chain, &frames, &config).unwrap(),
        &frames,
    );
    assert!(with < without, "equalised {with}, plain {without}");
}

#[test]
fn a_search_is_closest_on_pictures_that_it_measured_no_range_on() {
    tch::manual_seed(9);
    let chain = float_chain(Colour::Luma, 2, &[3, 3, 3], 7);
    let all = frames(Colour::Luma, 32, 6);
    let half = |odd| {
        let frames = all.iter().skip(odd).step_by(2);
        frames.map(Tensor::shallow_clone).collect::<Vec<_>>()
    };
    let (measured, judges) = (half(0), half(1));
    // Balancing channels looks at all pictures.
    let by = |calibration| QuantiseConfig {
        calibration,
        equalise: false,
        ..QuantiseConfig::default()
    };
    let searched = quantise(&chain, &all, &by(Calibration::Search)).unwrap();
    let searched = error(&chain, &searched, &judges);
    let mut nearest = f64::MAX;
    for &how in Calibration::value_variants() {
        if how != Calibration::Search {
            let one = quantise(&chain, &measured, &by(how)).unwrap();
            nearest = nearest.min(error(&chain, &one, &judges));
        }
    }
    // Sums of floats in another order.
    let bound = nearest * (1.0 + 1e-6);
    assert!(searched <= bound, "{searched}, one criterion {nearest}");
}

#[test]
fn a_layer_that_is_int8_alone_is_corrected_for_itself_alone() {
    tch::manual_seed(10);
    let chain = float_chain(Colour::Luma, 2, &[3, 3, 3], 8);
    let frames = frames(Colour::Luma, 32, 3);
    let config = |keep_float| QuantiseConfig {
        calibration: Calibration::Mse,
        equalise: false,
        keep_float,
        ..QuantiseConfig::default()
    };
    let every = config(Vec::new());
    let alone = quantise_after(&chain, &frames, &every, Before::Float).unwrap();
    assert_ne!(alone, quantise(&chain, &frames, &every).unwrap());
    for layer in 0..3 {
        let others = (0..3).filter(|other| *other != layer).collect();
        let one = quantise(&chain, &frames, &config(others)).unwrap();
        assert_eq!(one.layers[layer], alone.layers[layer], "layer {layer}");
    }
}

#[test]
fn layers_kept_in_f32_stay_exact_and_bad_input_is_named() {
    tch::manual_seed(5);
    let chain = float_chain(Colour::Rgb, 2, &[3, 3], 6);
    let rgb = frames(Colour::Rgb, 16, 1);
    let keep = |keep_float| QuantiseConfig {
        keep_float,
        ..QuantiseConfig::default()
    };
    let all = quantise(&chain, &rgb, &keep(vec![0, 1])).unwrap();
    assert!(all.int8().is_none());
    assert!(error(&chain, &all, &rgb) < 1e-3);
    let refused = |chain: &ConvChain, pictures: &[Tensor], config: &QuantiseConfig| {
        quantise(chain, pictures, config).unwrap_err().to_string()
    };
    assert!(refused(&chain, &rgb, &keep(vec![2])).contains("no layer 2"));
    let luma = frames(Colour::Luma, 16, 1);
    assert!(refused(&chain, &luma, &keep(vec![])).contains("1 planes"));
    assert!(refused(&chain, &[], &keep(vec![])).contains("no pictures"));
    let mut broken = chain.clone();
    broken.layers[1].weights[7] = f32::NAN;
    assert!(refused(&broken, &rgb, &keep(vec![])).contains("not a finite number"));
}

#[test]
fn fine_tuning_lowers_the_error_of_a_coarse_start() {
    tch::manual_seed(6);
    let chain = float_chain(Colour::Luma, 2, &[3, 3], 7);
    let frames = frames(Colour::Luma, 32, 4);
    let mut start = quantise(&chain, &frames, &QuantiseConfig::default())
        .unwrap()
        .int8()
        .unwrap();
    // Far too wide a range: five levels are left of 255.
    start.layers[0].output.scale *= 50.0;
    // Biases count in steps of what a layer reads.
    start.layers[1].bias.iter_mut().for_each(|b| *b /= 50);
    let config = QatConfig {
        steps: 300,
        learning_rate: 1e-3,
        ..QatConfig::default()
    };
    let input = Tensor::cat(&frames, 0);
    let truth = tch::no_grad(|| {
        let floats = chain
            .layers
            .iter()
            .cloned()
            .map(MixedLayer::Float)
            .collect();
        MixedChain {
            colour: chain.colour,
            scale: chain.scale,
            layers: floats,
            limited: chain.limited,
        }
        .restore(&input)
    });
    let batch = || {
        Ok(QatBatch {
            input: input.shallow_clone(),
            truth: truth.shallow_clone(),
        })
    };
    let (mut first, mut last) = (f64::NAN, f64::NAN);
    let tuned = fine_tune(&chain, &start, &config, batch, |step, loss| {
        if step == 1 {
            first = loss
        }
        last = loss;
    });
    tuned.unwrap().validate().unwrap();
    assert!(last < 0.8 * first, "loss went from {first} to {last}");
}

#[test]
fn a_single_convolution_without_scales_to_learn_is_fine_tuned() {
    tch::manual_seed(8);
    let chain = float_chain(Colour::Luma, 2, &[3], 7);
    let frames = frames(Colour::Luma, 32, 2);
    let start = quantise(&chain, &frames, &QuantiseConfig::default()).unwrap();
    let config = QatConfig {
        steps: 2,
        ..QatConfig::default()
    };
    let batch = || {
        Ok(QatBatch {
            input: frames[0].shallow_clone(),
            truth: frames[0].shallow_clone(),
        })
    };
    let tuned = fine_tune(&chain, &start.int8().unwrap(), &config, batch, |_, _| {});
    tuned.unwrap().validate().unwrap();
}

#[test]
fn files_of_the_ladder_are_small() {
    // The f32 files have 9,908, 15,003, 32,732 and 51,712 bytes.
    for (name, limit) in [
        ("nano", 9_000),
        ("small", 12_000),
        ("medium", 17_000),
        ("large", 25_000),
    ] {
        let (_, colour, config) = crate::student::catalogue()
            .into_iter()
            .find(|(n, ..)| *n == name)
            .unwrap();
        let store = tch::nn::VarStore::new(Device::Cpu);
        let student = crate::student::build(&config, colour, &store.root()).unwrap();
        let chain = tch::no_grad(|| student.fold()).unwrap();
        let mixed = quantise(&chain, &frames(colour, 32, 1), &QuantiseConfig::default()).unwrap();
        let metadata = crate::onnx::Metadata {
            name: name.into(),
            recipe_sha256: Some("0".repeat(64)),
            scale: chain.scale,
            halo: Some(chain.halo()),
        };
        for format in [crate::onnx::Format::Qdq, crate::onnx::Format::Qoperator] {
            let size = mixed.write(format, &metadata).len();
            assert!(size < limit, "{name} {format:?}: {size} bytes");
        }
    }
}

//! Ranges by what the whole student loses on pictures that no range was measured on.
//!
//! Criteria that look at one activation at a time ([`Calibration::Mse`] and its like) let rare extremes
//! of a few pictures decide, and which one serves a student best differs from student to student. Here
//! each proposes, the student's output is the judge, and then every layer's step is made larger or
//! smaller as long as that helps. The distance to the f32 output on held-out pictures is what AdaQuant
//! (Hubara et al., ICML 2021) and BRECQ (Li et al., ICLR 2021) minimise too, by gradient.

use anyhow::{Context, Result};
use hone_shared::quant::Affine;
use hone_shared::student::ConvChain;
use tch::{Kind, Tensor};

use super::calibrate::Ranges;
use super::histogram::with_hidden_step;
use super::{Before, Calibration, MixedChain, QuantiseConfig, blocks, with_ranges};

/// Who proposes ranges, and the share in percent that a percentile keeps.
const PROPOSALS: [(Calibration, f64); 6] = [
    (Calibration::Mse, 100.0),
    (Calibration::MinMax, 100.0),
    (Calibration::Percentile, 99.9),
    (Calibration::Percentile, 99.99),
    (Calibration::Percentile, 99.999),
    (Calibration::Entropy, 100.0),
];
/// Factors that a layer's step is multiplied by, again and again while that helps.
const FACTORS: [f32; 2] = [0.85, 1.18];

/// Every other picture measures ranges, the rest judge; a single one does both.
fn split<T>(pictures: &[T]) -> (Vec<&T>, Vec<&T>) {
    if pictures.len() < 2 {
        return (pictures.iter().collect(), pictures.iter().collect());
    }
    let every = |odd: usize| pictures.iter().skip(odd).step_by(2).collect();
    (every(0), every(1))
}

/// One choice, and what it is worth.
struct Found {
    affines: Vec<Affine>,
    correct_bias: bool,
    int8: MixedChain,
    distance: f64,
}

/// Quantises `chain`, whose channels are balanced, on `frames`; `before` says how biases are corrected in
/// what comes out, not in what is tried.
///
/// # Errors
/// When a layer gave values that are no numbers, or every choice could overflow.
pub(super) fn search(
    chain: &ConvChain,
    frames: &[Tensor],
    config: &QuantiseConfig,
    before: Before,
) -> Result<MixedChain> {
    let (seen, judges) = split(frames);
    let seen: Vec<Tensor> = seen.into_iter().map(Tensor::shallow_clone).collect();
    let seen = blocks(chain, &seen);
    let float = MixedChain::from_float(chain);
    let wanted: Vec<Tensor> = judges.iter().map(|j| float.restore(j)).collect();
    let made = |affines: &[Affine], correct_bias: bool, before: Before| {
        let config = QuantiseConfig {
            correct_bias,
            ..config.clone()
        };
        with_ranges(chain, &seen, affines, &config, before)
    };
    let value = |affines: Vec<Affine>, correct_bias: bool| -> Result<Found> {
        let int8 = made(&affines, correct_bias, Before::Int8)?;
        let pairs = judges.iter().zip(&wanted);
        let errors =
            pairs.map(|(j, wanted)| (int8.restore(j) - wanted).square().mean(Kind::Double));
        Ok(Found {
            distance: errors.map(|e| e.double_value(&[])).sum(),
            affines,
            correct_bias,
            int8,
        })
    };
    let ranges = Ranges::measure(chain, &seen);
    let corrections: &[bool] = match config.correct_bias {
        true => &[false, true],
        false => &[false],
    };
    let mut best: Option<Found> = None;
    let mut fault = None;
    for (how, percentile) in PROPOSALS {
        let affines = ranges.choose(how, percentile)?;
        for &correct_bias in corrections {
            match value(affines.clone(), correct_bias) {
                Ok(found) if best.as_ref().is_none_or(|b| found.distance < b.distance) => {
                    best = Some(found);
                }
                Ok(_) => {}
                Err(e) => fault = Some(e),
            }
        }
    }
    let mut best = match (best, fault) {
        (Some(best), _) => best,
        (None, fault) => return Err(fault.context("no range serves")?),
    };
    // The last layer's steps are the frame's own, or what its range needs.
    for layer in 0..best.affines.len().saturating_sub(1) {
        for factor in FACTORS {
            loop {
                let mut affines = best.affines.clone();
                let scale = affines[layer].scale * factor;
                affines[layer] = with_hidden_step(affines[layer], scale);
                match value(affines, best.correct_bias) {
                    Ok(found) if found.distance < best.distance => best = found,
                    _ => break,
                }
            }
        }
    }
    match before {
        Before::Int8 => Ok(best.int8),
        Before::Float => made(&best.affines, best.correct_bias, before),
    }
}

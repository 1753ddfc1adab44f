//! Scores of a network on the validation pictures.

use tch::{Kind, Tensor};

use super::state::Scores;
use crate::loss::ssim;
use crate::metric::Summary;

/// A blurred picture and its truth, `[1,C,H,W]` each, 0..1.
#[derive(Debug)]
pub struct ValidationPair {
    /// Degraded frames before it, oldest first, where a network sees sequences.
    pub earlier: Vec<Tensor>,
    /// What the network gets.
    pub input: Tensor,
    /// What it should give.
    pub truth: Tensor,
}

impl ValidationPair {
    /// The same tensors.
    pub fn shallow_clone(&self) -> Self {
        Self {
            earlier: self.earlier.iter().map(Tensor::shallow_clone).collect(),
            input: self.input.shallow_clone(),
            truth: self.truth.shallow_clone(),
        }
    }
}

/// What [`validate`] finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validation {
    /// Mean scores of the clamped output.
    pub scores: Scores,
    /// Mean absolute difference between output and input.
    pub residual: f64,
}

/// Runs `restore` on every picture; scores are means over pictures, after clamping to 0..1.
pub fn validate(
    pairs: &[ValidationPair],
    restore: &dyn Fn(&ValidationPair) -> Tensor,
) -> Validation {
    tch::no_grad(|| {
        let (mut ssim_sum, mut residual) = (0.0, 0.0);
        let (mut mended, mut sharp) = (Vec::new(), Vec::new());
        for pair in pairs {
            let raw = restore(pair).to_kind(Kind::Float);
            residual += (&raw - &pair.input)
                .abs()
                .mean(Kind::Float)
                .double_value(&[]);
            let restored = raw.clamp(0.0, 1.0);
            // Of nothing to mend, nothing can be gained: in one mean, its 100 dB would hide what the others gain.
            let scored = match pair.input.equal(&pair.truth) {
                true => &mut sharp,
                false => &mut mended,
            };
            scored.push(psnr(&restored, &pair.truth));
            ssim_sum += ssim(&restored, &pair.truth).double_value(&[]);
        }
        let count = pairs.len().max(1) as f64;
        let mean = |scored| Summary::of(scored).map(|s| s.mean);
        let (mended, sharp) = (mean(mended), mean(sharp));
        let scores = Scores {
            psnr: mended.or(sharp).unwrap_or_default(),
            ssim: ssim_sum / count,
            sharp,
        };
        Validation {
            scores,
            residual: residual / count,
        }
    })
}

/// Peak signal-to-noise ratio in dB over all samples; 100 for equal pictures, NaN where a sample is.
pub fn psnr(a: &Tensor, b: &Tensor) -> f64 {
    let mse = (a - b).square().mean(Kind::Double).double_value(&[]);
    // Not `min(100.0)`, which would make a number of NaN.
    if mse < 1e-10 {
        100.0
    } else {
        -10.0 * mse.log10()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_not_scored_as_equal() {
        let flat = |value: f64| Tensor::full([1, 1, 4, 4], value, (Kind::Float, tch::Device::Cpu));
        assert!(psnr(&flat(f64::NAN), &flat(0.5)).is_nan());
        assert_eq!(psnr(&flat(0.5), &flat(0.5)), 100.0);
    }

    #[test]
    fn pictures_that_need_nothing_are_scored_apart() {
        let flat =
            |value: f64| Tensor::full([1, 1, 16, 16], value, (Kind::Float, tch::Device::Cpu));
        let pair = |input: f64| ValidationPair {
            earlier: Vec::new(),
            input: flat(input),
            truth: flat(0.5),
        };
        let shift = |pair: &ValidationPair| &pair.input + 0.01;
        let found = validate(&[pair(0.48), pair(0.5)], &shift).scores;
        assert!((found.psnr - 40.0).abs() < 1e-3, "{found:?}");
        assert!((found.sharp.unwrap() - 40.0).abs() < 1e-3, "{found:?}");
        let untouched = |pair: &ValidationPair| pair.input.shallow_clone();
        let found = validate(&[pair(0.4), pair(0.5)], &untouched).scores;
        assert!((found.psnr - 20.0).abs() < 1e-3, "{found:?}");
        assert_eq!(found.sharp, Some(100.0));
        let found = validate(&[pair(0.4)], &untouched).scores;
        assert!(
            found.sharp.is_none() && found.to_string().ends_with(&format!("{:.4}", found.ssim))
        );
    }
}

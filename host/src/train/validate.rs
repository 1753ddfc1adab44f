//! Scores of a network on the validation pictures.

use tch::{Kind, Tensor};

use super::state::Scores;
use crate::loss::ssim;

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

/// Runs `restore` on every picture; PSNR and SSIM are means over pictures, after clamping to 0..1.
pub fn validate(
    pairs: &[ValidationPair],
    restore: &dyn Fn(&ValidationPair) -> Tensor,
) -> Validation {
    tch::no_grad(|| {
        let (mut psnr_sum, mut ssim_sum, mut residual) = (0.0, 0.0, 0.0);
        for pair in pairs {
            let raw = restore(pair).to_kind(Kind::Float);
            residual += (&raw - &pair.input)
                .abs()
                .mean(Kind::Float)
                .double_value(&[]);
            let restored = raw.clamp(0.0, 1.0);
            psnr_sum += psnr(&restored, &pair.truth);
            ssim_sum += ssim(&restored, &pair.truth).double_value(&[]);
        }
        let count = pairs.len().max(1) as f64;
        let scores = Scores {
            psnr: psnr_sum / count,
            ssim: ssim_sum / count,
        };
        Validation {
            scores,
            residual: residual / count,
        }
    })
}

/// Peak signal-to-noise ratio in dB over all samples; 100 for equal pictures.
pub fn psnr(a: &Tensor, b: &Tensor) -> f64 {
    let mse = (a - b).square().mean(Kind::Double).double_value(&[]);
    if mse > 0.0 {
        (-10.0 * mse.log10()).min(100.0)
    } else {
        100.0
    }
}

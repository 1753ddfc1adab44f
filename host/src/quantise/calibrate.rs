//! Choosing the range of each activation from what it holds on calibration pictures.

use anyhow::{Result, ensure};
use hone_shared::quant::{Affine, INPUT};
use hone_shared::student::ConvChain;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::histogram::{Histogram, with_step};
use super::mixed::MixedLayer;

/// How ranges are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Calibration {
    /// Everything seen fits.
    MinMax,
    /// A share of the values fits; the rest is clipped.
    Percentile,
    /// Every criterion proposes, also without bias correction; then each layer's step is changed
    /// while the student's output comes closer to f32 on the half of the pictures that no range was
    /// measured on. Students that are no chains take mse.
    #[default]
    Search,
    /// Least mean squared error.
    Mse,
    /// Least Kullback-Leibler divergence between the histograms before and after, as in Migacz,
    /// "8-bit Inference with TensorRT" (GTC 2017).
    Entropy,
}

impl Calibration {
    /// What serves a student that is no chain.
    pub(super) fn of_graph(self) -> Self {
        match self {
            Self::Search => Self::Mse,
            how => how,
        }
    }
}

/// What every layer of a chain gave, after ReLU.
#[derive(Debug)]
pub(super) struct Ranges {
    histograms: Vec<Histogram>,
}

impl Ranges {
    /// Runs the chain in f32 on `blocks`.
    pub fn measure(chain: &ConvChain, blocks: &[Tensor]) -> Self {
        let mut inputs: Vec<Tensor> = blocks.iter().map(Tensor::shallow_clone).collect();
        let mut histograms = Vec::new();
        for layer in &chain.layers {
            let layer = MixedLayer::Float(layer.clone());
            inputs = inputs.iter().map(|x| layer.run(x)).collect();
            histograms.push(Histogram::of(&inputs));
        }
        Self { histograms }
    }

    /// Scale and zero point of every layer's output.
    ///
    /// # Errors
    /// When a layer gave values that are no numbers.
    pub fn choose(&self, how: Calibration, percentile: f64) -> Result<Vec<Affine>> {
        let last = self.histograms.len().saturating_sub(1);
        let mut affines = Vec::new();
        for (i, histogram) in self.histograms.iter().enumerate() {
            ensure!(
                histogram.is_sound(),
                "layer {i} gives values that are no numbers on a calibration picture"
            );
            let affine = histogram.choose(how, percentile);
            affines.push(if i == last { residual(affine) } else { affine });
        }
        Ok(affines)
    }
}

/// The residual in steps of the frame's own where it fits: at full strength the sum of two bytes
/// then needs no second rounding, and finer steps would be lost in the first.
fn residual(affine: Affine) -> Affine {
    if affine.scale >= INPUT.scale {
        return affine;
    }
    with_step(affine, INPUT.scale)
}

#[cfg(test)]
mod tests {
    use super::super::histogram::affine;
    use super::*;

    #[test]
    fn small_residuals_take_the_frame_s_own_steps() {
        let chosen = residual(affine(-0.2, 0.1));
        assert_eq!(chosen.scale, INPUT.scale);
        assert!(chosen.real(0) <= -0.2 && chosen.real(255) >= 0.1);
        assert!(residual(affine(-0.9, 0.9)).scale > INPUT.scale);
    }
}

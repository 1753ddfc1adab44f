//! One `[[loss]]` table of a recipe.

use std::path::{Path as FilePath, PathBuf};

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tch::nn::Path;

use super::Term;
use super::feature::{FeatureShapes, FeatureTerm};
use super::measure::{FeatureMode, Measure};
use super::output::{TeacherTerm, to_truth};
use super::perceptual::{PerceptualTerm, Vgg, VggKind};
use super::picture::{charbonnier, lab, missing_decibels, overshoot, sobel_magnitude, spectrum};
use super::ssim::ms_ssim;
use super::temporal::TemporalTerm;

/// A term of the loss and its weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LossConfig {
    /// Mean absolute difference to the truth.
    L1 {
        /// Factor in the sum.
        weight: f64,
    },
    /// Mean squared difference to the truth.
    Mse {
        /// Factor in the sum.
        weight: f64,
    },
    /// Mean of `sqrt(d^2 + epsilon^2)` to the truth.
    Charbonnier {
        /// Factor in the sum.
        weight: f64,
        /// Width of the quadratic region.
        #[serde(default = "epsilon")]
        epsilon: f64,
    },
    /// Decibels that each patch lies below the PSNR of a mean squared error of `floor`: patches count by what PSNR says of them,
    /// not by how much is wrong with them.
    Psnr {
        /// Factor in the sum.
        weight: f64,
        /// Mean squared error below which a patch counts as done.
        #[serde(default = "floor")]
        floor: f64,
    },
    /// `1 - SSIM` to the truth, 11x11 Gaussian window.
    Ssim {
        /// Factor in the sum.
        weight: f64,
    },
    /// `1 - MS-SSIM` to the truth, five scales.
    MsSsim {
        /// Factor in the sum.
        weight: f64,
    },
    /// L1 between Sobel gradient magnitudes.
    Edge {
        /// Factor in the sum.
        weight: f64,
    },
    /// Mean of how far the output leaves the range of the truth around a pixel: halos cost extra.
    Overshoot {
        /// Factor in the sum.
        weight: f64,
        /// Side of what counts as around a pixel, odd.
        #[serde(default = "window")]
        window: usize,
    },
    /// L1 in CIE Lab (D65), divided by 100; RGB only.
    Lab {
        /// Factor in the sum.
        weight: f64,
    },
    /// L1 between 2-D Fourier transforms (real and imaginary parts).
    Frequency {
        /// Factor in the sum.
        weight: f64,
    },
    /// Distance between maps of a VGG, a mean over the layers.
    Perceptual {
        /// Factor in the sum.
        weight: f64,
        /// Which VGG.
        network: VggKind,
        /// torchvision's weight file, relative to the recipe.
        weights: PathBuf,
        /// ReLU layers, such as `relu2_2`.
        layers: Vec<String>,
        /// Which distance.
        #[serde(default)]
        measure: Measure,
    },
    /// Distance to the teacher's output.
    Teacher {
        /// Factor in the sum.
        weight: f64,
        /// Which distance.
        #[serde(default)]
        measure: Measure,
    },
    /// L1 between the restorations of a patch and of a moved window of it with other noise.
    Temporal {
        /// Factor in the sum.
        weight: f64,
        /// Standard deviation of the added noise.
        #[serde(default = "noise")]
        noise: f64,
    },
    /// Distance between named maps of student and teacher.
    Feature {
        /// Factor in the sum.
        weight: f64,
        /// Pairs of a student's and a teacher's map.
        pairs: Vec<(String, String)>,
        /// How they are compared.
        #[serde(default)]
        mode: FeatureMode,
    },
}

fn epsilon() -> f64 {
    1e-3
}

/// 40 dB.
fn floor() -> f64 {
    1e-4
}

fn window() -> usize {
    5
}

/// Two steps of a byte.
fn noise() -> f64 {
    0.008
}

impl LossConfig {
    /// The factor in the sum.
    pub fn weight(&self) -> f64 {
        match self {
            Self::L1 { weight }
            | Self::Mse { weight }
            | Self::Charbonnier { weight, .. }
            | Self::Psnr { weight, .. }
            | Self::Ssim { weight }
            | Self::MsSsim { weight }
            | Self::Edge { weight }
            | Self::Overshoot { weight, .. }
            | Self::Lab { weight }
            | Self::Frequency { weight }
            | Self::Perceptual { weight, .. }
            | Self::Teacher { weight, .. }
            | Self::Temporal { weight, .. }
            | Self::Feature { weight, .. } => *weight,
        }
    }

    /// The file of the weights that it looks through, relative to the recipe.
    pub fn weight_file(&self) -> Option<&FilePath> {
        match self {
            Self::Perceptual { weights, .. } => Some(weights),
            _ => None,
        }
    }

    /// The name in logs.
    pub fn label(&self) -> String {
        match self {
            Self::L1 { .. } => "l1".into(),
            Self::Mse { .. } => "mse".into(),
            Self::Charbonnier { .. } => "charbonnier".into(),
            Self::Psnr { .. } => "psnr".into(),
            Self::Ssim { .. } => "ssim".into(),
            Self::MsSsim { .. } => "ms-ssim".into(),
            Self::Edge { .. } => "edge".into(),
            Self::Overshoot { .. } => "overshoot".into(),
            Self::Lab { .. } => "lab".into(),
            Self::Frequency { .. } => "frequency".into(),
            Self::Perceptual { .. } => "perceptual".into(),
            Self::Teacher { measure, .. } => format!("teacher-{}", measure.name()),
            Self::Temporal { .. } => "temporal".into(),
            Self::Feature {
                mode: FeatureMode::Adaptor,
                ..
            } => "feature".into(),
            Self::Feature {
                mode: FeatureMode::Attention,
                ..
            } => "attention".into(),
        }
    }

    /// Whether the term compares with a teacher.
    pub fn needs_teacher(&self) -> bool {
        matches!(self, Self::Teacher { .. } | Self::Feature { .. })
    }

    /// Whether the term is defined for RGB only.
    pub fn needs_rgb(&self) -> bool {
        matches!(self, Self::Lab { .. })
    }

    /// The noise of the second look that the term needs, if it needs one.
    pub fn second_look(&self) -> Option<f64> {
        match self {
            Self::Temporal { noise, .. } => Some(*noise),
            _ => None,
        }
    }

    /// Smallest crop that the term can look at.
    pub fn smallest_crop(&self) -> usize {
        match self {
            Self::Ssim { .. }
            | Self::Teacher {
                measure: Measure::Ssim,
                ..
            } => 11,
            Self::MsSsim { .. } => 176,
            Self::Temporal { .. } => 24,
            _ => 1,
        }
    }

    /// Refuses weights that make no sense.
    ///
    /// # Errors
    /// A sentence that names the term.
    pub fn validate(&self) -> Result<()> {
        let weight = self.weight();
        let label = self.label();
        ensure!(
            weight.is_finite() && weight >= 0.0,
            "loss '{label}' has weight {weight}; it must be 0 or more"
        );
        match self {
            Self::Feature { pairs, .. } if pairs.is_empty() => {
                bail!("loss '{label}' names no pairs of maps")
            }
            Self::Perceptual { layers, .. } if layers.is_empty() => {
                bail!("loss '{label}' names no layers")
            }
            Self::Perceptual {
                measure: Measure::Ssim,
                ..
            } => bail!("loss '{label}' compares maps: measure 'ssim' is for pictures"),
            Self::Temporal { noise, .. } if !(0.0..=0.5).contains(noise) => {
                bail!("loss 'temporal' has noise {noise}; it must be 0 to 0.5")
            }
            Self::Overshoot { window, .. } if window % 2 == 0 || *window > 15 => {
                bail!("loss 'overshoot' has window {window}; it must be odd, 15 at most")
            }
            Self::Charbonnier { epsilon, .. } if !(*epsilon > 0.0 && epsilon.is_finite()) => {
                bail!("loss 'charbonnier' has epsilon {epsilon}; it must be above 0")
            }
            Self::Psnr { floor, .. } if !(*floor > 0.0 && floor.is_finite()) => {
                bail!("loss 'psnr' has floor {floor}; it must be above 0")
            }
            _ => Ok(()),
        }
    }

    pub(super) fn build(
        &self,
        shapes: &FeatureShapes,
        adaptors: &Path,
        base: &FilePath,
    ) -> Result<Box<dyn Term>> {
        Ok(match self {
            Self::Feature { pairs, mode, .. } => {
                Box::new(FeatureTerm::new(pairs, *mode, shapes, adaptors)?)
            }
            Self::Perceptual {
                network,
                weights,
                layers,
                measure,
                ..
            } => {
                let device = adaptors.device();
                Box::new(PerceptualTerm {
                    vgg: Vgg::load(*network, &base.join(weights), layers, device)?,
                    layers: layers.clone(),
                    measure: *measure,
                })
            }
            Self::Teacher { measure, .. } => Box::new(TeacherTerm(*measure)),
            Self::Temporal { .. } => Box::new(TemporalTerm),
            Self::L1 { .. } => to_truth(|a, b| Measure::L1.between(a, b)),
            Self::Mse { .. } => to_truth(|a, b| Measure::Mse.between(a, b)),
            Self::Charbonnier { epsilon, .. } => {
                let epsilon = *epsilon;
                to_truth(move |a, b| charbonnier(a, b, epsilon))
            }
            Self::Psnr { floor, .. } => {
                let floor = *floor;
                to_truth(move |a, b| missing_decibels(a, b, floor))
            }
            Self::Ssim { .. } => to_truth(|a, b| Measure::Ssim.between(a, b)),
            Self::MsSsim { .. } => to_truth(|a, b| 1.0 - ms_ssim(a, b)),
            Self::Edge { .. } => {
                to_truth(|a, b| Measure::L1.between(&sobel_magnitude(a), &sobel_magnitude(b)))
            }
            Self::Overshoot { window, .. } => {
                let window = *window as i64;
                to_truth(move |a, b| overshoot(a, b, window))
            }
            Self::Lab { .. } => to_truth(|a, b| Measure::L1.between(&lab(a), &lab(b)) / 100.0),
            Self::Frequency { .. } => {
                to_truth(|a, b| Measure::L1.between(&spectrum(a), &spectrum(b)))
            }
        })
    }
}

//! Ways to measure a distance, by the names that recipes use.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::picture::charbonnier;
use super::ssim::ssim;

/// Distance between two pictures or maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Mean absolute difference.
    #[default]
    L1,
    /// Mean squared difference.
    Mse,
    /// Mean of `sqrt(d^2 + 1e-6)`.
    Charbonnier,
    /// `1 - SSIM`, 11x11 Gaussian window; pictures only.
    Ssim,
}

impl Measure {
    /// The distance, a scalar.
    pub fn between(self, a: &Tensor, b: &Tensor) -> Tensor {
        match self {
            Self::L1 => a.l1_loss(b, tch::Reduction::Mean),
            Self::Mse => a.mse_loss(b, tch::Reduction::Mean),
            Self::Charbonnier => charbonnier(a, b, 1e-3),
            Self::Ssim => 1.0 - ssim(a, b),
        }
    }

    /// The name used in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::Mse => "mse",
            Self::Charbonnier => "charbonnier",
            Self::Ssim => "ssim",
        }
    }
}

/// How feature maps are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureMode {
    /// Through a learned 1x1 adaptor (FitNets, Romero et al., ICLR 2015).
    #[default]
    Adaptor,
    /// Normalised channel energy (attention transfer, Zagoruyko and Komodakis, ICLR 2017).
    Attention,
}

//! Image quality figures, each under the definition that published tables use.
//!
//! | name | definition | source |
//! |---|---|---|
//! | `psnr_rgb` | `-10 log10(MSE)` over all samples, peak 1 | |
//! | `psnr_y` | peak 255 on BT.601 studio-range luma (16..235, unrounded) | SwinIR, RCAN tables; those of super-resolution cut a border of `scale` pixels off first, which is not done here |
//! | `ssim_gaussian_rgb`, `_y` | 11x11 Gaussian of sigma 1.5, population covariance, windows wholly inside, mean over channels; `_y` on studio-range luma with L = 255 | Wang et al. 2004; scikit-image `gaussian_weights=True, use_sample_covariance=False` |
//! | `ssim_uniform7_rgb` | 7x7 box, sample covariance | scikit-image's default |
//! | `ssim_valid_window11_rgb` | the same windows as `ssim_gaussian_rgb` (`pytorch_msssim` 1.0 does it in f32) | `pytorch_msssim.ssim` |
//! | `ms_ssim_rgb` | five scales, 2x2 means between them, each factor cut off at 0 | Wang et al. 2003; `pytorch_msssim.ms_ssim` |
//! | `ssim_gopro_3d` | 11x11x11 Gaussian over H x W x C, border repeated | MATLAB `ssim` on an RGB array, as in the GoPro tables of MPRNet, NAFNet, Restormer |
//! | `lab_l1` | mean absolute difference in CIELAB (D65, 2 degrees) over L, a, b | scikit-image `rgb2lab` |
//! | `sobel_magnitude_l1_gray` | mean absolute difference of Sobel magnitudes of BT.601 luma, border repeated | scipy `ndimage.sobel(mode="nearest")` |
//! | `charbonnier_eps1e_3` | mean of `sqrt(d^2 + 1e-6)` | Charbonnier et al. 1994; MPRNet |
//! | `l1`, `mse` | over all samples, 0..1 | |
//! | `vgg_l1` | mean absolute difference of VGG maps after ReLU, mean over layers; weights given by the user | Johnson et al. 2016; torchvision |
//! | `lpips_alex`, `lpips_vgg` | LPIPS 0.1; weights given by the user | Zhang et al. 2018; `lpips` |
//!
//! Of videos, [`Temporal`] is what shows only in motion, and [`align()`] finds frames that were dropped.
//!
//! Samples are taken as they are: round to bytes first ([`Picture::to_bytes`]) when a figure is to
//! describe what is seen.

mod align;
mod colour;
mod edge;
mod gopro;
mod lpips;
mod ms_ssim;
mod pair;
mod perceptual;
mod pixel;
mod scores;
mod set;
mod sharpness;
mod ssim;
mod video;
mod window;

pub use align::{Alignment, Thumbnail, align};
pub use colour::{lab_l1, studio_luma};
pub use edge::sobel_magnitude_l1;
pub use gopro::ssim_gopro_3d;
pub use lpips::Lpips;
pub use perceptual::VggDistance;
pub use pixel::{charbonnier, l1, mse};
pub use scores::{Better, METRICS, Metric, Scores, Summary};
pub use set::{LEARNED, MetricSet, better, format};
pub use sharpness::{Sharpness, sharpness};
pub use ssim::{ssim_gaussian, ssim_uniform7};
pub use video::{Temporal, TemporalMeter};

use crate::picture::Picture;

/// A figure that is not defined for the pictures given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// The two pictures differ in shape.
    #[error(
        "the pictures differ in size: {reference} against {distorted} (width x height x channels)"
    )]
    Shape {
        /// The reference, as `WxHxC`.
        reference: String,
        /// The distorted picture, as `WxHxC`.
        distorted: String,
    },
    /// The picture is smaller than the metric's window.
    #[error("{metric} needs pictures of at least {need} pixels on each side, got {width}x{height}")]
    TooSmall {
        /// Name of the metric.
        metric: &'static str,
        /// Least side.
        need: usize,
        /// Width given.
        width: usize,
        /// Height given.
        height: usize,
    },
    /// The metric is defined on colour pictures only.
    #[error("{metric} needs RGB pictures, got one with a single plane")]
    NeedsRgb {
        /// Name of the metric.
        metric: &'static str,
    },
    /// The metric's weights were not given.
    #[error(
        "{metric} needs weight files: give --vgg for vgg_l1, --lpips and --lpips-backbone for the others"
    )]
    NeedsWeights {
        /// Name of the metric.
        metric: &'static str,
    },
    /// Two videos of many frames, and lengths that differ.
    #[error(
        "videos of {reference} and {distorted} frames are too long to find which frames were dropped: cut both into shorter parts"
    )]
    TooLong {
        /// Frames of the reference.
        reference: usize,
        /// Frames of the distorted video.
        distorted: usize,
    },
    /// No metric has this name.
    #[error("unknown metric '{0}'; `hone metrics --list` names them all")]
    Unknown(String),
}

/// Peak signal-to-noise ratio in dB over all samples, peak 1; infinite for equal pictures, NaN for
/// pictures of different shapes.
pub fn psnr(reference: &Picture, distorted: &Picture) -> f64 {
    mse(reference, distorted).map_or(f64::NAN, |mse| -10.0 * mse.log10())
}

/// Fails unless both pictures have the same shape.
fn same_shape(reference: &Picture, distorted: &Picture) -> Result<(), MetricError> {
    let shape = |p: &Picture| (p.width, p.height, p.channels);
    if shape(reference) == shape(distorted) {
        return Ok(());
    }
    let name = |p: &Picture| format!("{}x{}x{}", p.width, p.height, p.channels);
    Err(MetricError::Shape {
        reference: name(reference),
        distorted: name(distorted),
    })
}

/// Fails when a side is under `need` pixels.
fn at_least(picture: &Picture, need: usize, metric: &'static str) -> Result<(), MetricError> {
    if picture.width.min(picture.height) >= need {
        return Ok(());
    }
    Err(MetricError::TooSmall {
        metric,
        need,
        width: picture.width,
        height: picture.height,
    })
}

#[cfg(test)]
mod tests;

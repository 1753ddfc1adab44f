//! Structural similarity with the windows that lie wholly inside the picture (Wang et al. 2004).

use super::window::{Moments, gaussian, sum_rows};
use super::{MetricError, at_least, same_shape};
use crate::picture::Picture;

/// Stabilisers for samples in 0..1: `(0.01 L)^2` and `(0.03 L)^2` with L = 1.
pub(super) const C1: f32 = 1e-4;
/// See [`C1`].
pub(super) const C2: f32 = 9e-4;

/// SSIM and contrast-structure of one channel, each the mean over all windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Similarity {
    /// `(2 mx my + C1)(2 sxy + C2) / ((mx^2 + my^2 + C1)(sx^2 + sy^2 + C2))`
    pub ssim: f64,
    /// `(2 sxy + C2) / (sx^2 + sy^2 + C2)`
    pub contrast: f64,
}

/// SSIM and contrast-structure at one pixel, from means; `normalise` scales (co)variances.
#[inline]
pub(super) fn similarity(x: f32, y: f32, energy: f32, product: f32, normalise: f32) -> (f32, f32) {
    let (means, squares) = (x * y, x * x + y * y);
    let contrast =
        (2.0 * normalise * (product - means) + C2) / (normalise * (energy - squares) + C2);
    ((2.0 * means + C1) / (squares + C1) * contrast, contrast)
}

/// Adds up [`similarity`] over a row.
fn add_row(moments: &Moments<'_>, normalise: f32, sums: &mut [f64; 2]) {
    let means = moments.x.iter().zip(moments.y);
    let squares = moments.energy.iter().zip(moments.product);
    let (mut ssim, mut contrast) = (0.0, 0.0);
    for ((x, y), (energy, product)) in means.zip(squares) {
        let (s, c) = similarity(*x, *y, *energy, *product, normalise);
        ssim += f64::from(s);
        contrast += f64::from(c);
    }
    sums[0] += ssim;
    sums[1] += contrast;
}

/// The similarity of each channel under the window `taps` x `taps`.
pub(super) fn channels(
    reference: &Picture,
    distorted: &Picture,
    taps: &[f32],
    normalise: f32,
) -> Vec<Similarity> {
    let sums = sum_rows(reference, distorted, taps, |moments, sums| {
        for (moments, sums) in moments.iter().zip(sums) {
            add_row(moments, normalise, sums);
        }
    });
    let side = taps.len() - 1;
    let windows = ((reference.height - side) * (reference.width - side)) as f64;
    sums.iter()
        .take(reference.channels)
        .map(|[ssim, contrast]| Similarity {
            ssim: ssim / windows,
            contrast: contrast / windows,
        })
        .collect()
}

/// SSIM with an 11x11 Gaussian window of sigma 1.5 and population covariance, mean over channels;
/// samples 0..1.
///
/// # Errors
/// When the pictures differ in shape or have a side under 11 pixels.
pub fn ssim_gaussian(reference: &Picture, distorted: &Picture) -> Result<f64, MetricError> {
    Ok(mean(&gaussian_channels(reference, distorted)?))
}

/// What [`ssim_gaussian`] is the mean of.
pub(super) fn gaussian_channels(
    reference: &Picture,
    distorted: &Picture,
) -> Result<Vec<Similarity>, MetricError> {
    same_shape(reference, distorted)?;
    at_least(reference, 11, "SSIM with an 11x11 window")?;
    Ok(channels(reference, distorted, &gaussian(5, 1.5), 1.0))
}

/// SSIM with a 7x7 box and sample covariance, scikit-image's default, mean over channels; samples 0..1.
///
/// # Errors
/// When the pictures differ in shape or have a side under 7 pixels.
pub fn ssim_uniform7(reference: &Picture, distorted: &Picture) -> Result<f64, MetricError> {
    same_shape(reference, distorted)?;
    at_least(reference, 7, "SSIM with a 7x7 window")?;
    let taps = [1.0 / 7.0; 7];
    Ok(mean(&channels(reference, distorted, &taps, 49.0 / 48.0)))
}

/// The SSIM over all channels.
pub(super) fn mean(channels: &[Similarity]) -> f64 {
    channels.iter().map(|c| c.ssim).sum::<f64>() / channels.len() as f64
}

//! The SSIM of the published GoPro tables: MATLAB's `ssim` given an H x W x 3 array, which takes the
//! channels for a third dimension of the window.

use super::ssim::similarity;
use super::window::{gaussian, sum_rows};
use super::{MetricError, same_shape};
use crate::picture::Picture;

/// Radius of the window in each of the three dimensions.
const RADIUS: usize = 5;

/// SSIM with an 11x11x11 Gaussian window of sigma 1.5 over H x W x C, the border repeated in all
/// three dimensions, mean over all samples; samples 0..1. Reads about 0.02 higher than
/// [`super::ssim_gaussian`]. The evaluation scripts of MPRNet, HINet, NAFNet and Restormer use it.
///
/// # Errors
/// When the pictures differ in shape or are not RGB.
pub fn ssim_gopro_3d(reference: &Picture, distorted: &Picture) -> Result<f64, MetricError> {
    same_shape(reference, distorted)?;
    if reference.channels != 3 {
        return Err(MetricError::NeedsRgb {
            metric: "ssim_gopro_3d",
        });
    }
    let taps = gaussian(RADIUS, 1.5);
    let mix = across_channels(&taps);
    let (a, b) = (repeat_border(reference), repeat_border(distorted));
    let sums = sum_rows(&a, &b, &taps, |moments, sums| {
        let [r, g, b] = moments else { return };
        for i in 0..r.x.len() {
            for (out, sums) in mix.iter().zip(sums.iter_mut()) {
                let blend = |r: f32, g: f32, b: f32| out[0] * r + out[1] * g + out[2] * b;
                let (ssim, _) = similarity(
                    blend(r.x[i], g.x[i], b.x[i]),
                    blend(r.y[i], g.y[i], b.y[i]),
                    blend(r.energy[i], g.energy[i], b.energy[i]),
                    blend(r.product[i], g.product[i], b.product[i]),
                    1.0,
                );
                sums[0] += f64::from(ssim);
            }
        }
    });
    let total: f64 = sums.iter().map(|[ssim, _]| ssim).sum();
    Ok(total / reference.data.len() as f64)
}

/// The window along three channels with the end channels repeated, as a 3x3 matrix.
fn across_channels(taps: &[f32]) -> [[f32; 3]; 3] {
    let mut mix = [[0.0; 3]; 3];
    for (c, out) in mix.iter_mut().enumerate() {
        for (i, tap) in taps.iter().enumerate() {
            out[(c + i).saturating_sub(RADIUS).min(2)] += tap;
        }
    }
    mix
}

/// The picture with [`RADIUS`] pixels more on each side, repeating the nearest.
fn repeat_border(picture: &Picture) -> Picture {
    let (h, w) = (picture.height, picture.width);
    let mut data = Vec::with_capacity(picture.channels * (h + 2 * RADIUS) * (w + 2 * RADIUS));
    for plane in picture.data.chunks_exact(h * w) {
        for y in 0..h + 2 * RADIUS {
            let row = &plane[y.saturating_sub(RADIUS).min(h - 1) * w..][..w];
            data.extend(std::iter::repeat_n(row[0], RADIUS));
            data.extend_from_slice(row);
            data.extend(std::iter::repeat_n(row[w - 1], RADIUS));
        }
    }
    Picture {
        channels: picture.channels,
        height: h + 2 * RADIUS,
        width: w + 2 * RADIUS,
        data,
    }
}

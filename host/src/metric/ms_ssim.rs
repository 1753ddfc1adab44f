//! Multi-scale SSIM (Wang, Simoncelli, Bovik 2003), as `pytorch_msssim` computes it.

use rayon::prelude::*;

use super::pair::Pair;
use super::ssim::{self, Similarity};
use super::{MetricError, at_least};
use crate::picture::Picture;

/// Exponent of each scale, finest first.
const WEIGHTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

/// Multi-scale SSIM, mean over channels; samples 0..1. Contrast-structure of the four finer scales
/// and SSIM of the coarsest, each cut off at 0, to the power of its weight.
///
/// # Errors
/// When the pictures have a side of 160 pixels or less, where the coarsest scale is smaller than the
/// window.
pub(super) fn of_pair(pair: &Pair<'_>) -> Result<f64, MetricError> {
    at_least(pair.reference, 161, "MS-SSIM")?;
    let mut factors: Vec<Vec<Similarity>> = vec![pair.gaussian()?.to_vec()];
    let mut halved = (halve(pair.reference), halve(pair.distorted));
    loop {
        factors.push(ssim::gaussian_channels(&halved.0, &halved.1)?);
        if factors.len() == WEIGHTS.len() {
            break;
        }
        halved = (halve(&halved.0), halve(&halved.1));
    }
    let product = |channel: usize| {
        let scales = factors.iter().zip(WEIGHTS).enumerate();
        let factors = scales.map(|(scale, (similarity, weight))| {
            let similarity = similarity[channel];
            let last = scale + 1 == WEIGHTS.len();
            let factor = if last {
                similarity.ssim
            } else {
                similarity.contrast
            };
            factor.max(0.0).powf(weight)
        });
        factors.product::<f64>()
    };
    let channels = pair.reference.channels;
    Ok((0..channels).map(product).sum::<f64>() / channels as f64)
}

/// Means of 2x2 blocks. An odd side gets a line of zeros in front, and the zeros count: that is what
/// `avg_pool2d(kernel_size=2, padding=side % 2)` does.
fn halve(picture: &Picture) -> Picture {
    let (h, w) = (picture.height, picture.width);
    let (shift_y, shift_x) = (h % 2, w % 2);
    let mut half = Picture::new(picture.channels, h.div_ceil(2), w.div_ceil(2));
    let (half_h, half_w) = (half.height, half.width);
    half.data
        .par_chunks_mut(half_w)
        .enumerate()
        .for_each(|(row, out)| {
            let (c, y) = (row / half_h, row % half_h);
            for input_y in (2 * y).saturating_sub(shift_y)..(2 * y + 2 - shift_y).min(h) {
                let input = &picture.data[(c * h + input_y) * w..][..w];
                let (single, pairs) = input.split_at(shift_x);
                if let (Some(out), Some(value)) = (out.first_mut(), single.first()) {
                    *out += 0.25 * value;
                }
                for (out, pair) in out[shift_x..].iter_mut().zip(pairs.chunks_exact(2)) {
                    *out += 0.25 * (pair[0] + pair[1]);
                }
            }
        });
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_sides_are_padded_in_front_with_zeros_that_count() {
        let picture = Picture {
            channels: 1,
            height: 2,
            width: 3,
            data: vec![1.0, 2.0, 3.0, 5.0, 6.0, 7.0],
        };
        assert_eq!(halve(&picture).data, [1.5, 4.5]);
        let picture = Picture {
            channels: 1,
            height: 3,
            width: 2,
            data: vec![4.0, 8.0, 1.0, 2.0, 3.0, 6.0],
        };
        assert_eq!(halve(&picture).data, [3.0, 3.0]);
    }
}

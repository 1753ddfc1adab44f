//! Edges: Sobel gradients of luma.

use rayon::prelude::*;

use super::{MetricError, same_shape};
use crate::picture::Picture;

/// Mean absolute difference of Sobel magnitudes of BT.601 full-range luma, samples 0..1, border
/// repeated, kernels unnormalised (`[1 2 1] x [-1 0 1]`).
///
/// # Errors
/// When the pictures differ in shape.
pub fn sobel_magnitude_l1(reference: &Picture, distorted: &Picture) -> Result<f64, MetricError> {
    same_shape(reference, distorted)?;
    let (a, b) = (reference.luma(), distorted.luma());
    let rows: Vec<f64> = (0..a.height)
        .into_par_iter()
        .map(|y| {
            let (mut left, mut right) = (vec![0.0; a.width], vec![0.0; a.width]);
            squared_gradients(&a, y, &mut left);
            squared_gradients(&b, y, &mut right);
            left.iter()
                .zip(&right)
                .map(|(a, b)| f64::from((a.sqrt() - b.sqrt()).abs()))
                .sum()
        })
        .collect();
    Ok(rows.iter().sum::<f64>() / (a.width * a.height) as f64)
}

/// `gx^2 + gy^2` of Sobel gradients along row `y` of the first plane, border repeated.
pub(super) fn squared_gradients(luma: &Picture, y: usize, out: &mut [f32]) {
    let w = luma.width;
    let row = |y: usize| &luma.data[y.min(luma.height - 1) * w..][..w];
    let (above, here, below) = (row(y.saturating_sub(1)), row(y), row(y + 1));
    for (x, out) in out.iter_mut().enumerate() {
        let (left, right) = (x.saturating_sub(1), (x + 1).min(w - 1));
        let across = (above[right] - above[left])
            + 2.0 * (here[right] - here[left])
            + (below[right] - below[left]);
        let down = (below[left] - above[left])
            + 2.0 * (below[x] - above[x])
            + (below[right] - above[right]);
        *out = across * across + down * down;
    }
}

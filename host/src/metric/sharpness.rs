//! How sharp a picture is without a reference. Noise counts as sharpness: compare only pictures of
//! the same scene and noise.

use rayon::prelude::*;
use serde::Serialize;

use super::edge::squared_gradients;
use crate::picture::Picture;

/// No-reference sharpness of a picture's luma on the scale of bytes, 0..255.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sharpness {
    /// Tenengrad: mean squared Sobel magnitude (Tenenbaum 1970; Krotkov 1987).
    pub tenengrad: f64,
    /// Variance of the 4-neighbour Laplacian (Pech-Pacheco et al. 2000), border repeated.
    pub laplacian_variance: f64,
}

/// Measures [`Sharpness`].
pub fn sharpness(picture: &Picture) -> Sharpness {
    let luma = picture.luma();
    let (w, h) = (luma.width, luma.height);
    let rows: Vec<[f64; 3]> = (0..h)
        .into_par_iter()
        .map(|y| {
            let mut squared = vec![0.0; w];
            squared_gradients(&luma, y, &mut squared);
            let row = |y: usize| &luma.data[y.min(h - 1) * w..][..w];
            let (above, here, below) = (row(y.saturating_sub(1)), row(y), row(y + 1));
            let mut sums = [squared.iter().map(|g| f64::from(*g)).sum(), 0.0, 0.0];
            for x in 0..w {
                let sides = here[x.saturating_sub(1)] + here[(x + 1).min(w - 1)];
                let laplacian = f64::from(sides + above[x] + below[x] - 4.0 * here[x]);
                sums[1] += laplacian;
                sums[2] += laplacian * laplacian;
            }
            sums
        })
        .collect();
    let pixels = (w * h) as f64;
    let mean = |k: usize| rows.iter().map(|sums| sums[k]).sum::<f64>() / pixels;
    let bytes = 255.0 * 255.0;
    Sharpness {
        tenengrad: bytes * mean(0),
        laplacian_variance: bytes * (mean(2) - mean(1) * mean(1)),
    }
}

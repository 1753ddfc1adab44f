//! Sample by sample differences, summed in f64.

use rayon::prelude::*;

use super::{MetricError, same_shape};
use crate::picture::Picture;

/// Samples that one task sums; fixed, so that the result does not depend on the number of cores.
const CHUNK: usize = 1 << 16;

/// Mean of `term(reference - distorted)` over all samples.
fn mean_of(
    reference: &Picture,
    distorted: &Picture,
    term: impl Fn(f32) -> f32 + Sync,
) -> Result<f64, MetricError> {
    same_shape(reference, distorted)?;
    let sums: Vec<f64> = reference
        .data
        .par_chunks(CHUNK)
        .zip(distorted.data.par_chunks(CHUNK))
        .map(|(a, b)| {
            // Short f32 runs vectorise; f64 between them keeps the sum exact enough.
            let runs = a.chunks(64).zip(b.chunks(64)).map(|(a, b)| {
                let run: f32 = a.iter().zip(b).map(|(a, b)| term(a - b)).sum();
                f64::from(run)
            });
            runs.sum()
        })
        .collect();
    Ok(sums.iter().sum::<f64>() / reference.data.len() as f64)
}

/// Mean squared difference, samples in 0..1.
///
/// # Errors
/// When the pictures differ in shape.
pub fn mse(reference: &Picture, distorted: &Picture) -> Result<f64, MetricError> {
    mean_of(reference, distorted, |d| d * d)
}

/// Mean absolute difference, samples in 0..1.
///
/// # Errors
/// When the pictures differ in shape.
pub fn l1(reference: &Picture, distorted: &Picture) -> Result<f64, MetricError> {
    mean_of(reference, distorted, f32::abs)
}

/// Mean of `sqrt(d^2 + eps^2)` with eps = 1e-3, the loss of MPRNet.
///
/// # Errors
/// When the pictures differ in shape.
pub fn charbonnier(reference: &Picture, distorted: &Picture) -> Result<f64, MetricError> {
    mean_of(reference, distorted, |d| (d * d + 1e-6).sqrt())
}

//! Colour spaces that metrics are defined in.

use rayon::prelude::*;

use super::{MetricError, same_shape};
use crate::picture::Picture;

/// BT.601 studio-range luma `(16 + 65.481 R + 128.553 G + 24.966 B) / 255`, unrounded, as the Y of
/// published tables (MATLAB `rgb2ycbcr`). A picture of one plane is taken for full-range luma.
pub fn studio_luma(picture: &Picture) -> Picture {
    let plane = picture.height * picture.width;
    let data = if picture.channels == 1 {
        let scaled = picture.data.iter().map(|y| (16.0 + 219.0 * y) / 255.0);
        scaled.collect()
    } else {
        let (r, rest) = picture.data.split_at(plane);
        let (g, b) = rest.split_at(plane);
        r.iter()
            .zip(g)
            .zip(b)
            .map(|((r, g), b)| (16.0 + 65.481 * r + 128.553 * g + 24.966 * b) / 255.0)
            .collect()
    };
    Picture {
        channels: 1,
        height: picture.height,
        width: picture.width,
        data,
    }
}

/// Mean absolute difference over L, a and b of CIELAB (D65, 2 degree observer), in CIELAB units.
///
/// # Errors
/// When the pictures differ in shape or are not RGB.
pub fn lab_l1(reference: &Picture, distorted: &Picture) -> Result<f64, MetricError> {
    same_shape(reference, distorted)?;
    if reference.channels != 3 {
        return Err(MetricError::NeedsRgb { metric: "lab_l1" });
    }
    let plane = reference.height * reference.width;
    let bytes = linear_bytes();
    let row = |y: usize| {
        let span = y * reference.width..(y + 1) * reference.width;
        span.map(|i| {
            let lab = |p: &Picture| {
                let linear = |c: usize| linear(p.data[c * plane + i], &bytes);
                lab_from_linear([linear(0), linear(1), linear(2)])
            };
            let (a, b) = (lab(reference), lab(distorted));
            a.iter()
                .zip(&b)
                .map(|(a, b)| f64::from((a - b).abs()))
                .sum::<f64>()
        })
        .sum::<f64>()
    };
    let rows: Vec<f64> = (0..reference.height).into_par_iter().map(row).collect();
    Ok(rows.iter().sum::<f64>() / reference.data.len() as f64)
}

/// Linear light of every byte.
fn linear_bytes() -> [f32; 256] {
    std::array::from_fn(|byte| expand(byte as f32 / 255.0))
}

/// Linear light of an sRGB sample, from the table where the sample is a byte.
fn linear(sample: f32, bytes: &[f32; 256]) -> f32 {
    let scaled = sample * 255.0;
    let nearest = scaled.round_ties_even();
    if (scaled - nearest).abs() < 1e-4 && (0.0..=255.0).contains(&nearest) {
        bytes[nearest as usize]
    } else {
        expand(sample)
    }
}

/// The sRGB curve, IEC 61966-2-1.
fn expand(sample: f32) -> f32 {
    if sample > 0.04045 {
        ((sample + 0.055) / 1.055).powf(2.4)
    } else {
        sample / 12.92
    }
}

/// CIELAB of linear sRGB, with scikit-image's matrix and white.
fn lab_from_linear([r, g, b]: [f32; 3]) -> [f32; 3] {
    let x = (0.412_453 * r + 0.357_580 * g + 0.180_423 * b) / 0.950_47;
    let y = 0.212_671 * r + 0.715_160 * g + 0.072_169 * b;
    let z = (0.019_334 * r + 0.119_193 * g + 0.950_227 * b) / 1.088_83;
    let curve = |t: f32| {
        if t > 0.008_856 {
            t.cbrt()
        } else {
            7.787 * t + 16.0 / 116.0
        }
    };
    let (x, y, z) = (curve(x), curve(y), curve(z));
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

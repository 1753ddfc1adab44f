//! Colour spaces that metrics are defined in.

use rayon::prelude::*;

use super::{MetricError, same_shape};
use crate::picture::{Picture, nearest_byte};

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
    let bytes = linear_bytes();
    let width = reference.width;
    let row = |y: usize| {
        let (a, b) = (lab_row(reference, y, &bytes), lab_row(distorted, y, &bytes));
        let mut sum = 0.0;
        for (a, b) in a.iter().zip(&b) {
            // Short f32 runs vectorise; f64 between them keeps the sum exact enough.
            for (a, b) in a.chunks(64).zip(b.chunks(64)) {
                let run: f32 = a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum();
                sum += f64::from(run);
            }
        }
        sum
    };
    let rows: Vec<f64> = (0..reference.height).into_par_iter().map(row).collect();
    Ok(rows.iter().sum::<f64>() / (3 * width * reference.height) as f64)
}

/// L, a and b of row `y`.
fn lab_row(picture: &Picture, y: usize, bytes: &[f32; 256]) -> [Vec<f32>; 3] {
    let (w, h) = (picture.width, picture.height);
    let mut rows = [0, 1, 2].map(|c| {
        let row = &picture.data[(c * h + y) * w..][..w];
        row.iter().map(|v| linear(*v, bytes)).collect::<Vec<_>>()
    });
    let [r, g, b] = &mut rows;
    for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
        [*r, *g, *b] = lab_from_linear([*r, *g, *b]);
    }
    rows
}

/// Linear light of every byte.
fn linear_bytes() -> [f32; 256] {
    std::array::from_fn(|byte| expand(byte as f32 / 255.0))
}

/// Linear light of an sRGB sample, from the table where the sample is a byte.
fn linear(sample: f32, bytes: &[f32; 256]) -> f32 {
    let nearest = nearest_byte(sample);
    if (sample * 255.0 - nearest).abs() < 1e-4 {
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
        let (low, high) = (7.787 * t + 16.0 / 116.0, cube_root(t));
        if t > 0.008_856 { high } else { low }
    };
    let (x, y, z) = (curve(x), curve(y), curve(z));
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// The cube root of a positive number to f32's precision: a guess from the exponent, then Halley's iteration
/// twice. Unlike a call of the C library it vectorises. Of other numbers the result means nothing.
fn cube_root(x: f32) -> f32 {
    // A third of the bits is a third of the exponent; the constant sets the bias right (Kahan; in FreeBSD's cbrtf).
    let mut root = f32::from_bits(x.to_bits() / 3 + 709_958_130);
    for _ in 0..2 {
        let cube = root * root * root;
        root *= (cube + 2.0 * x) / (2.0 * cube + x);
    }
    root
}

#[cfg(test)]
mod tests {
    use super::cube_root;

    #[test]
    fn the_cube_root_is_the_c_librarys() {
        for i in 1..=20_000 {
            let x = i as f32 / 15_000.0;
            let (ours, theirs) = (cube_root(x), x.cbrt());
            assert!(
                (ours - theirs).abs() <= 3e-7 * theirs,
                "{x}: {ours} against {theirs}"
            );
        }
    }
}

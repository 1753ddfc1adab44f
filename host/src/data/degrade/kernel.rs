//! Blur by point spread functions, mirrored at the border.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::data::light;
use crate::data::photo::mirror;
use crate::data::random::{Stream, normal};
use crate::picture::Picture;

/// The numbers that a blur averages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Light {
    /// Photons, as optics and motion do (gamma 2.2).
    #[default]
    Linear,
    /// Display codes, as scalers, codecs and most published test sets do.
    Display,
}

impl Light {
    /// Whether this is what a step does unless told otherwise.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn enter(self, picture: &mut Picture) {
        if self == Self::Linear {
            light::decode(&mut picture.data);
        }
    }

    fn leave(self, picture: &mut Picture) {
        if self == Self::Linear {
            light::encode(&mut picture.data);
        }
    }
}

/// A point spread function: (dy, dx, weight), weights sum to 1.
pub(super) struct Kernel {
    taps: Vec<(isize, isize, f32)>,
}

impl Kernel {
    /// A disc with antialiased rim.
    pub(super) fn disc(radius: f32) -> Self {
        let reach = radius.ceil() as isize + 1;
        let mut taps = Vec::new();
        for dy in -reach..=reach {
            for dx in -reach..=reach {
                let distance = (dx as f32).hypot(dy as f32);
                taps.push((dy, dx, (radius + 0.5 - distance).clamp(0.0, 1.0)));
            }
        }
        Self::normalised(taps)
    }

    /// A line of `length` pixels at `degrees`.
    pub(super) fn motion(length: f32, degrees: f32) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let steps = (4.0 * length).ceil().max(1.0) as usize;
        let points = (0..=steps).map(|i| {
            let along = length * (i as f32 / steps as f32 - 0.5);
            (along * cos, along * sin)
        });
        Self::splatted(points)
    }

    /// A random walk with inertia whose path is `length` pixels, centred on its mean.
    pub(super) fn shake(length: f32, rng: &mut Stream) -> Self {
        const POINTS: usize = 64;
        let mut heading: f32 = rng.random_range(0.0..std::f32::consts::TAU);
        let jitter: f32 = rng.random_range(0.05..0.5);
        let mut turn = 0.0;
        let (mut x, mut y) = (0.0_f32, 0.0_f32);
        let mut points = Vec::with_capacity(POINTS);
        for _ in 0..POINTS {
            points.push((x, y));
            turn = 0.8 * turn + jitter * normal(rng);
            // Now and then the hand jerks back.
            if rng.random_bool(0.03) {
                heading += std::f32::consts::PI;
            }
            heading += turn * 0.5;
            x += heading.cos() * length / POINTS as f32;
            y += heading.sin() * length / POINTS as f32;
        }
        let mean = |f: fn(&(f32, f32)) -> f32| points.iter().map(f).sum::<f32>() / POINTS as f32;
        let (mx, my) = (mean(|p| p.0), mean(|p| p.1));
        Self::splatted(points.into_iter().map(|(x, y)| (x - mx, y - my)))
    }

    fn splatted(points: impl Iterator<Item = (f32, f32)>) -> Self {
        let mut taps = Vec::new();
        for (x, y) in points {
            let (x0, y0) = (x.floor(), y.floor());
            let (fx, fy) = (x - x0, y - y0);
            let (column, row) = (x0 as isize, y0 as isize);
            taps.push((row, column, (1.0 - fx) * (1.0 - fy)));
            taps.push((row, column + 1, fx * (1.0 - fy)));
            taps.push((row + 1, column, (1.0 - fx) * fy));
            taps.push((row + 1, column + 1, fx * fy));
        }
        Self::normalised(taps)
    }

    /// Merges equal offsets, drops nothings, makes the sum 1.
    fn normalised(mut taps: Vec<(isize, isize, f32)>) -> Self {
        taps.sort_by_key(|t| (t.0, t.1));
        let mut merged: Vec<(isize, isize, f32)> = Vec::new();
        for tap in taps {
            match merged.last_mut() {
                Some(last) if (last.0, last.1) == (tap.0, tap.1) => last.2 += tap.2,
                _ => merged.push(tap),
            }
        }
        merged.retain(|t| t.2 > 1e-4);
        let sum: f32 = merged.iter().map(|t| t.2).sum();
        for tap in &mut merged {
            tap.2 /= sum;
        }
        Self { taps: merged }
    }

    /// Pixels on each side that it looks at.
    pub(super) fn reach(&self) -> usize {
        let extent = |t: &(isize, isize, f32)| t.0.unsigned_abs().max(t.1.unsigned_abs());
        self.taps.iter().map(extent).max().unwrap_or(0)
    }

    /// Convolves every plane.
    pub(super) fn blur(&self, picture: &mut Picture, light: Light) {
        let reach = self.reach();
        if reach == 0 {
            return;
        }
        light.enter(picture);
        let (height, width) = (picture.height, picture.width);
        let stride = width + 2 * reach;
        for plane in picture.data.chunks_exact_mut(height * width) {
            let padded = pad(plane, height, width, reach);
            plane.fill(0.0);
            for (y, row) in plane.chunks_exact_mut(width).enumerate() {
                for &(dy, dx, weight) in &self.taps {
                    let start = (y + reach).wrapping_add_signed(dy) * stride
                        + reach.wrapping_add_signed(dx);
                    for (v, s) in row.iter_mut().zip(&padded[start..start + width]) {
                        *v += weight * s;
                    }
                }
            }
        }
        light.leave(picture);
    }
}

fn pad(plane: &[f32], height: usize, width: usize, reach: usize) -> Vec<f32> {
    let stride = width + 2 * reach;
    let columns: Vec<usize> = (0..stride)
        .map(|x| mirror(x as isize - reach as isize, width))
        .collect();
    let mut padded = Vec::with_capacity((height + 2 * reach) * stride);
    for y in 0..height + 2 * reach {
        let start = mirror(y as isize - reach as isize, height) * width;
        let row = &plane[start..start + width];
        padded.extend(columns.iter().map(|&x| row[x]));
    }
    padded
}

/// Pixels on each side that a Gaussian of `sigma` is cut at.
pub(super) fn gaussian_radius(sigma: f32) -> usize {
    (3.0 * sigma).ceil() as usize
}

/// Gaussian blur, rows then columns.
pub(super) fn gaussian(picture: &mut Picture, sigma: f32, light: Light) {
    let reach = gaussian_radius(sigma);
    if sigma < 0.05 {
        return;
    }
    let mut weights: Vec<f32> = (0..=2 * reach)
        .map(|i| {
            let x = i as f32 - reach as f32;
            (-0.5 * (x / sigma).powi(2)).exp()
        })
        .collect();
    let sum: f32 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= sum);
    light.enter(picture);
    let (height, width) = (picture.height, picture.width);
    let stride = width + 2 * reach;
    for plane in picture.data.chunks_exact_mut(height * width) {
        let padded = pad(plane, height, width, reach);
        let mut rows = vec![0.0_f32; (height + 2 * reach) * width];
        for (row, source) in rows
            .chunks_exact_mut(width)
            .zip(padded.chunks_exact(stride))
        {
            for (i, weight) in weights.iter().enumerate() {
                for (v, s) in row.iter_mut().zip(&source[i..i + width]) {
                    *v += weight * s;
                }
            }
        }
        plane.fill(0.0);
        for (y, row) in plane.chunks_exact_mut(width).enumerate() {
            for (i, weight) in weights.iter().enumerate() {
                let start = (y + i) * width;
                for (v, s) in row.iter_mut().zip(&rows[start..start + width]) {
                    *v += weight * s;
                }
            }
        }
    }
    light.leave(picture);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::random::stream;

    /// Where the weights of a blur lie.
    struct Moments {
        /// Mean offset down and to the right.
        mean: [f32; 2],
        /// Deviations along the longer axis and across it.
        deviations: [f32; 2],
        /// Of the longer axis, downwards from the right, 0..180.
        degrees: f32,
    }

    impl Moments {
        fn of(taps: impl Iterator<Item = (isize, isize, f32)> + Clone) -> Self {
            let mean = |f: &dyn Fn(f32, f32) -> f32| -> f32 {
                taps.clone()
                    .map(|(y, x, weight)| weight * f(y as f32, x as f32))
                    .sum()
            };
            let (y, x) = (mean(&|y, _| y), mean(&|_, x| x));
            let yy = mean(&|y, _| y * y) - y * y;
            let xx = mean(&|_, x| x * x) - x * x;
            let yx = mean(&|y, x| y * x) - y * x;
            let (half, apart) = ((yy + xx) / 2.0, ((xx - yy) / 2.0).hypot(yx));
            let degrees = (2.0 * yx).atan2(xx - yy).to_degrees() / 2.0;
            Self {
                mean: [y, x],
                deviations: [half + apart, half - apart].map(|v| v.max(0.0).sqrt()),
                degrees: degrees.rem_euclid(180.0),
            }
        }

        fn of_kernel(kernel: &Kernel) -> Self {
            Self::of(kernel.taps.iter().copied())
        }
    }

    fn near(found: f32, expected: f32, share: f32) -> bool {
        (found / expected - 1.0).abs() < share
    }

    #[test]
    fn a_gaussian_has_its_deviation_in_both_directions() {
        const SIDE: usize = 81;
        for light in [Light::Linear, Light::Display] {
            for sigma in [0.7, 1.5, 4.0, 12.0] {
                let mut point = Picture::new(1, SIDE, SIDE);
                let centre = SIDE / 2;
                point.data[centre * SIDE + centre] = 1.0;
                gaussian(&mut point, sigma, light);
                light.enter(&mut point);
                let from_centre = |i: usize| i as isize - centre as isize;
                let spread = point.data.iter().enumerate();
                let found = Moments::of(
                    spread.map(|(i, v)| (from_centre(i / SIDE), from_centre(i % SIDE), *v)),
                );
                assert!((point.data.iter().sum::<f32>() - 1.0).abs() < 1e-2);
                // Cut at three deviations it loses 1.4 % of them.
                for deviation in found.deviations {
                    assert!(near(deviation, sigma, 0.03), "{sigma}: {deviation}");
                }
            }
        }
    }

    #[test]
    fn a_disc_has_its_radius() {
        // The soft rim adds some to small ones.
        for radius in [4.0, 10.0, 20.0] {
            let found = Moments::of_kernel(&Kernel::disc(radius));
            for deviation in found.deviations {
                assert!(near(2.0 * deviation, radius, 0.05), "{radius}: {deviation}");
            }
        }
    }

    #[test]
    fn motion_has_its_length_and_its_angle() {
        for length in [6.0, 20.0, 60.0] {
            for degrees in [0.0, 30.0, 90.0, 135.0] {
                let found = Moments::of_kernel(&Kernel::motion(length, degrees));
                let [along, across] = found.deviations;
                // A line's deviation is its length by the root of 12; half a pixel of bilinear weights widens it.
                let measured = 12f32.sqrt() * along / length;
                assert!((0.99..1.09).contains(&measured), "{length}: {measured}");
                assert!(across <= 0.51, "{length} at {degrees}: {across} across");
                let turned = (found.degrees - degrees + 90.0).rem_euclid(180.0) - 90.0;
                assert!(turned.abs() < 1.0, "{degrees}: {}", found.degrees);
                assert!(found.mean.iter().all(|m| m.abs() < 0.01));
            }
        }
    }

    #[test]
    fn shake_travels_its_length_around_its_middle() {
        let length = 30.0;
        let mut longest = 0f32;
        for seed in 0..200 {
            let found = Moments::of_kernel(&Kernel::shake(length, &mut stream(&[seed])));
            assert!(found.mean.iter().all(|m| m.abs() < 0.01), "{seed}");
            longest = longest.max(12f32.sqrt() * found.deviations[0]);
        }
        // A path without turns is a line, and none reaches further.
        assert!((0.9..1.03).contains(&(longest / length)), "{longest}");
    }
}

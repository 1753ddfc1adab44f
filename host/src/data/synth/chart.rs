//! Test charts: Siemens stars, line groups, thin lines.

use rand::Rng;

use super::canvas::Canvas;
use super::fill::colour;
use crate::data::random::Stream;

/// Two colours with visible contrast.
fn contrast(rng: &mut Stream) -> ([f32; 3], [f32; 3]) {
    let (dark, light) = (
        colour(rng).map(|v| v * 0.15),
        colour(rng).map(|v| 0.4 + 0.6 * v),
    );
    if rng.random_bool(0.5) {
        (dark, light)
    } else {
        (light, dark)
    }
}

/// A star of `spokes` dark sectors; the middle, where spokes are finer than the pixels, is grey.
pub(super) fn siemens_star(canvas: &mut Canvas, rng: &mut Stream, centre: (f32, f32), radius: f32) {
    let spokes = rng.random_range(8..36) as f32;
    let (a, b) = contrast(rng);
    let phase: f32 = rng.random_range(0.0..1.0);
    canvas.paint(
        centre,
        radius,
        |x, y| x.hypot(y) - radius,
        |x, y| {
            let turn = y.atan2(x) / std::f32::consts::TAU * spokes + phase;
            let part = turn - turn.floor();
            // Distance to the nearest edge in pixels, as coverage of one pixel.
            let period = std::f32::consts::TAU * x.hypot(y) / spokes;
            let edge = (0.25 - (part - 0.5).abs()) * period;
            let share = (0.5 + edge).clamp(0.0, 1.0);
            let faded = 0.5 + (share - 0.5) * ((period - 2.0) / 2.0).clamp(0.0, 1.0);
            std::array::from_fn(|c| a[c] + (b[c] - a[c]) * faded)
        },
    );
}

/// Groups of parallel bars from coarse to fine, as on a resolution target.
pub(super) fn line_groups(canvas: &mut Canvas, rng: &mut Stream, centre: (f32, f32), radius: f32) {
    let (a, b) = contrast(rng);
    let (sin, cos) = if rng.random_bool(0.5) {
        (0.0, 1.0)
    } else {
        rng.random_range(0.0..std::f32::consts::PI).sin_cos()
    };
    let groups = 5.0;
    canvas.paint(
        centre,
        radius,
        |x, y| x.abs().max(y.abs()) - radius * 0.7,
        |x, y| {
            let (u, v) = (x * cos + y * sin, y * cos - x * sin);
            let group = ((u / radius + 1.0) * 0.5 * groups)
                .clamp(0.0, groups - 1.0)
                .floor();
            let period = 16.0 / 1.5_f32.powf(group);
            let part = v / period - (v / period).floor();
            let share = (0.5 + (0.25 - (part - 0.5).abs()) * period).clamp(0.0, 1.0);
            std::array::from_fn(|c| a[c] + (b[c] - a[c]) * share)
        },
    );
}

/// A straight line of `width` pixels.
pub(super) fn line(canvas: &mut Canvas, rng: &mut Stream) {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let centre = (rng.random_range(0.0..w), rng.random_range(0.0..h));
    let length: f32 = rng.random_range(10.0..80.0);
    let half: f32 = rng.random_range(0.5..2.0);
    let (sin, cos) = rng.random_range(0.0..std::f32::consts::PI).sin_cos();
    let ink = colour(rng);
    canvas.paint(
        centre,
        length,
        |x, y| ((x * cos + y * sin).abs() - length).max((y * cos - x * sin).abs() - half),
        |_, _| ink,
    );
}

//! Scenes drawn by code, sharp to the pixel: what demo and tests train on, and a source of unlimited
//! training data where there are no photographs.
//!
//! A scene is a gradient, dead leaves with textured fills, text, charts and lines, drawn in linear light.
//! [`Sequence`] moves such scenes: camera pan and shake, objects that go their own ways, and blur by
//! averaging over the exposure.

mod canvas;
mod chart;
mod fill;
mod leaves;
mod sequence;
mod text;
pub mod tree;

use rand::Rng;

use crate::data::random::{Stream, stream};
use crate::picture::Picture;
use canvas::Canvas;
pub use sequence::{MovingFrame, Sequence, SequenceOptions};

/// The `index`-th sharp RGB scene of `seed`: `[3,height,width]`, display-coded, 0..1.
pub fn scene(seed: u64, index: u64, width: usize, height: usize) -> Picture {
    draw(&mut stream(&[seed, index, 0x0073_6365_6e65]), width, height).picture()
}

fn draw(rng: &mut Stream, width: usize, height: usize) -> Canvas {
    let mut canvas = Canvas::new(width.max(1), height.max(1));
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    backdrop(&mut canvas, rng);
    let density = *[0.4_f32, 1.0, 2.0]
        .get(rng.random_range(0..3_usize))
        .unwrap_or(&1.0);
    leaves::scatter(&mut canvas, rng, density);
    // Counts grow with the area, so that a patch sees the same mix in any scene.
    let area = w * h / (512.0 * 384.0);
    let count = |rng: &mut Stream, mean: f32| {
        let wanted = mean * area;
        wanted as usize + usize::from(rng.random::<f32>() < wanted.fract())
    };
    for _ in 0..count(rng, 8.0) {
        chart::line(&mut canvas, rng);
    }
    for kind in [chart::siemens_star, chart::line_groups] {
        for _ in 0..count(rng, 0.7) {
            let centre = (rng.random_range(0.0..w), rng.random_range(0.0..h));
            let radius = rng.random_range(12.0..60.0);
            kind(&mut canvas, rng, centre, radius);
        }
    }
    for _ in 0..count(rng, 4.0) {
        let at = (
            rng.random_range(-0.1 * w..0.85 * w),
            rng.random_range(-0.05 * h..0.95 * h),
        );
        // Sizes from small print to headlines, equally often per octave.
        let size = 9.0 * 2.0_f32.powf(rng.random_range(0.0..2.6));
        text::block(&mut canvas, rng, at, size);
    }
    canvas
}

/// A smooth gradient over everything.
fn backdrop(canvas: &mut Canvas, rng: &mut Stream) {
    let corners: [[f32; 3]; 4] = std::array::from_fn(|_| fill::colour(rng));
    let (width, height) = (canvas.width, canvas.height);
    for (i, pixel) in canvas.pixels.iter_mut().enumerate() {
        let (x, y) = (
            (i % width) as f32 / width as f32,
            (i / width) as f32 / height as f32,
        );
        *pixel = std::array::from_fn(|c| {
            let top = corners[0][c] + (corners[1][c] - corners[0][c]) * x;
            let bottom = corners[2][c] + (corners[3][c] - corners[2][c]) * x;
            top + (bottom - top) * y
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_repeat_differ_and_have_detail() {
        let a = scene(3, 0, 160, 120);
        assert_eq!(a, scene(3, 0, 160, 120));
        assert_ne!(a, scene(3, 1, 160, 120));
        assert_ne!(a, scene(4, 0, 160, 120));
        assert!(a.data.iter().all(|v| (0.0..=1.0).contains(v)));
        let steps = a
            .data
            .windows(2)
            .filter(|w| (w[0] - w[1]).abs() > 0.1)
            .count();
        assert!(steps > a.data.len() / 200, "{steps}");
    }

    #[test]
    fn odd_sizes_are_drawn() {
        for (width, height) in [(1, 1), (3, 50), (17, 5)] {
            assert_eq!(scene(0, 0, width, height).data.len(), 3 * width * height);
        }
    }
}

//! Dead leaves: shapes of power-law size that occlude one another, the model of natural image statistics
//! by Lee, Mumford and Huang (2001).

use rand::Rng;

use super::canvas::Canvas;
use super::fill::Fill;
use crate::data::random::Stream;

/// A shape around the origin.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Ellipse { rx: f32, ry: f32 },
    Box { rx: f32, ry: f32, corner: f32 },
    Triangle { r: f32 },
}

impl Shape {
    pub(super) fn draw(rng: &mut Stream, radius: f32) -> Self {
        let aspect: f32 = rng.random_range(0.45..1.0);
        match rng.random_range(0..10) {
            0..5 => Self::Ellipse {
                rx: radius,
                ry: radius * aspect,
            },
            5..8 => Self::Box {
                rx: radius * 0.8,
                ry: radius * 0.8 * aspect,
                corner: radius * rng.random_range(0.0..0.3) * aspect,
            },
            _ => Self::Triangle { r: radius * 0.5 },
        }
    }

    /// Signed distance in pixels, negative inside (first-order for ellipses).
    #[inline(always)]
    pub(super) fn distance(&self, x: f32, y: f32) -> f32 {
        match *self {
            Self::Ellipse { rx, ry } => {
                let k0 = ((x / rx).powi(2) + (y / ry).powi(2)).sqrt();
                let k1 = ((x / (rx * rx)).powi(2) + (y / (ry * ry)).powi(2)).sqrt();
                if k1 < 1e-9 { -ry } else { k0 * (k0 - 1.0) / k1 }
            }
            Self::Box { rx, ry, corner } => {
                let qx = x.abs() - rx + corner;
                let qy = y.abs() - ry + corner;
                let outside = (qx.max(0.0).powi(2) + qy.max(0.0).powi(2)).sqrt();
                outside + qx.max(qy).min(0.0) - corner
            }
            Self::Triangle { r } => (y - r).max(0.866 * x.abs() - 0.5 * y - r),
        }
    }
}

/// Covers the canvas with leaves until they would hide it `density` times over.
pub(super) fn scatter(canvas: &mut Canvas, rng: &mut Stream, density: f32) {
    let (width, height) = (canvas.width as f32, canvas.height as f32);
    let (smallest, largest) = (3.0_f32, 0.35 * width.min(height).max(12.0));
    let mut to_cover = density * width * height;
    while to_cover > 0.0 {
        // Density r^-3 by inversion.
        let u: f32 = rng.random();
        let inverse = smallest.powi(-2) * (1.0 - u) + largest.powi(-2) * u;
        let radius = inverse.powf(-0.5);
        let centre = (rng.random_range(0.0..width), rng.random_range(0.0..height));
        leaf(canvas, rng, centre, radius);
        to_cover -= 2.0 * radius * radius;
    }
}

/// One leaf of a drawn shape, turn and fill.
pub(super) fn leaf(canvas: &mut Canvas, rng: &mut Stream, centre: (f32, f32), radius: f32) {
    let shape = Shape::draw(rng, radius);
    let fill = Fill::draw(rng, radius);
    let (sin, cos) = rng.random_range(0.0..std::f32::consts::TAU).sin_cos();
    canvas.paint(
        centre,
        radius,
        |x, y| shape.distance(x * cos + y * sin, y * cos - x * sin),
        |x, y| fill.at(x, y),
    );
}

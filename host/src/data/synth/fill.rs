//! What leaves are filled with: flat colour, gradients, stripes, checks, and 1/f noise.

use std::sync::LazyLock;

use rand::Rng;

use crate::data::random::{Stream, normal, stream};

const TILE: usize = 256;

/// Tileable noise of zero mean and unit deviation whose octaves have equal energy, as in natural images
/// (Field 1987). The finest octave is one pixel.
static NOISE: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let mut rng = stream(&[0x006e_6f69_7365]);
    let mut tile = vec![0.0_f32; TILE * TILE];
    let mut cell = 1;
    while cell <= TILE / 4 {
        let side = TILE / cell;
        let lattice: Vec<f32> = (0..side * side).map(|_| normal(&mut rng)).collect();
        for (i, sample) in tile.iter_mut().enumerate() {
            let (y, x) = (i / TILE, i % TILE);
            let (fy, fx) = (
                (y % cell) as f32 / cell as f32,
                (x % cell) as f32 / cell as f32,
            );
            let at = |dy: usize, dx: usize| {
                lattice[((y / cell + dy) % side) * side + (x / cell + dx) % side]
            };
            let top = at(0, 0) + (at(0, 1) - at(0, 0)) * fx;
            let bottom = at(1, 0) + (at(1, 1) - at(1, 0)) * fx;
            *sample += top + (bottom - top) * fy;
        }
        cell *= 2;
    }
    let mean = tile.iter().sum::<f32>() / tile.len() as f32;
    let variance = tile.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / tile.len() as f32;
    for v in &mut tile {
        *v = (*v - mean) / variance.sqrt();
    }
    tile
});

/// A random colour in linear light, mostly muted, sometimes vivid.
pub(super) fn colour(rng: &mut Stream) -> [f32; 3] {
    let brightness: f32 = rng.random_range(0.08_f32..0.97).powf(2.2);
    let spread = if rng.random_bool(0.3) { 0.9 } else { 0.35 };
    std::array::from_fn(|_| brightness * (1.0 - spread * rng.random::<f32>()))
}

#[derive(Clone, Copy)]
enum Kind {
    Flat,
    Gradient,
    Stripes,
    Checks,
    Noise,
    /// Coarse noise, magnified: clouds and walls.
    Clouds,
}

/// A fill with all its parameters drawn.
#[derive(Clone, Copy)]
pub(super) struct Fill {
    kind: Kind,
    base: [f32; 3],
    other: [f32; 3],
    /// Direction times frequency, cycles per pixel.
    wave: (f32, f32),
    amplitude: f32,
    offset: (usize, usize),
}

impl Fill {
    pub(super) fn draw(rng: &mut Stream, size: f32) -> Self {
        let kind = match rng.random_range(0..100) {
            0..22 => Kind::Flat,
            22..40 => Kind::Gradient,
            40..50 => Kind::Stripes,
            50..56 => Kind::Checks,
            56..84 => Kind::Noise,
            _ => Kind::Clouds,
        };
        let angle: f32 = rng.random_range(0.0..std::f32::consts::TAU);
        let frequency = match kind {
            Kind::Gradient => 0.5 / size.max(4.0),
            // Below the Nyquist limit with room, or the charts would alias.
            _ => 1.0 / rng.random_range(3.5_f32..24.0),
        };
        Self {
            kind,
            base: colour(rng),
            other: colour(rng),
            wave: (frequency * angle.cos(), frequency * angle.sin()),
            amplitude: rng.random_range(0.05..0.4),
            offset: (rng.random_range(0..TILE), rng.random_range(0..TILE)),
        }
    }

    /// The colour at (`x`, `y`) from the shape's middle.
    #[inline]
    pub(super) fn at(&self, x: f32, y: f32) -> [f32; 3] {
        let along = x * self.wave.0 + y * self.wave.1;
        match self.kind {
            Kind::Flat => self.base,
            Kind::Gradient => self.mixed((along + 0.5).clamp(0.0, 1.0)),
            Kind::Stripes => self.mixed(triangle(along)),
            Kind::Checks => {
                let across = y * self.wave.0 - x * self.wave.1;
                let product = (triangle(along) - 0.5) * (triangle(across) - 0.5);
                self.mixed((product * 8.0 + 0.5).clamp(0.0, 1.0))
            }
            Kind::Noise => self.shaded(self.noise(x as isize, y as isize)),
            Kind::Clouds => {
                let (x, y) = (x * 0.25, y * 0.25);
                let (x0, y0) = (x.floor(), y.floor());
                let (fx, fy) = (x - x0, y - y0);
                let at = |dy: isize, dx: isize| self.noise(x0 as isize + dx, y0 as isize + dy);
                let top = at(0, 0) + (at(0, 1) - at(0, 0)) * fx;
                let bottom = at(1, 0) + (at(1, 1) - at(1, 0)) * fx;
                self.shaded(top + (bottom - top) * fy)
            }
        }
    }

    fn noise(&self, x: isize, y: isize) -> f32 {
        let wrap = |i: isize, offset: usize| i.wrapping_add(offset as isize) as usize % TILE;
        NOISE[wrap(y, self.offset.1) * TILE + wrap(x, self.offset.0)]
    }

    fn mixed(&self, part: f32) -> [f32; 3] {
        std::array::from_fn(|c| self.base[c] + (self.other[c] - self.base[c]) * part)
    }

    fn shaded(&self, noise: f32) -> [f32; 3] {
        let gain = (1.0 + self.amplitude * noise).max(0.0);
        self.base.map(|v| (v * gain).min(1.0))
    }
}

/// A triangle wave of period 1 through 0..1.
fn triangle(phase: f32) -> f32 {
    let part = phase - phase.floor();
    1.0 - (2.0 * part - 1.0).abs()
}

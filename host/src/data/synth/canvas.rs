//! Drawing in linear light with analytic edge coverage, so that every edge is as sharp as one pixel allows.

use crate::data::light;
use crate::picture::Picture;

/// Linear RGB, interleaved.
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<[f32; 3]>,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![[0.0; 3]; width * height],
        }
    }

    /// Paints where `distance` (pixels, negative inside) says so, within `reach` of (`cx`, `cy`).
    #[inline(always)]
    pub(super) fn paint(
        &mut self,
        (cx, cy): (f32, f32),
        reach: f32,
        distance: impl Fn(f32, f32) -> f32,
        colour: impl Fn(f32, f32) -> [f32; 3],
    ) {
        let from = |c: f32| (c - reach - 1.0).floor().max(0.0) as usize;
        let to = |c: f32, n: usize| ((c + reach + 2.0).max(0.0) as usize).min(n);
        for y in from(cy)..to(cy, self.height) {
            let dy = y as f32 + 0.5 - cy;
            let columns = from(cx).min(self.width)..to(cx, self.width);
            let first = columns.start;
            let row = &mut self.pixels[y * self.width..(y + 1) * self.width];
            for (i, pixel) in row[columns].iter_mut().enumerate() {
                let dx = (first + i) as f32 + 0.5 - cx;
                let coverage = 0.5 - distance(dx, dy);
                if coverage >= 1.0 {
                    *pixel = colour(dx, dy);
                } else if coverage > 0.0 {
                    blend(pixel, colour(dx, dy), coverage);
                }
            }
        }
    }

    /// The display-coded picture.
    pub(super) fn picture(&self) -> Picture {
        let plane = self.width * self.height;
        let mut picture = Picture::new(3, self.height, self.width);
        for (c, samples) in picture.data.chunks_exact_mut(plane).enumerate() {
            for (sample, pixel) in samples.iter_mut().zip(&self.pixels) {
                *sample = pixel[c];
            }
        }
        light::encode(&mut picture.data);
        picture
    }
}

/// `pixel` covered by `colour` to the part `coverage`.
#[inline(always)]
pub(super) fn blend(pixel: &mut [f32; 3], colour: [f32; 3], coverage: f32) {
    for (p, c) in pixel.iter_mut().zip(colour) {
        *p += (c - *p) * coverage;
    }
}

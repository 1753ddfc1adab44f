//! Rendered text, from outlines, in several sizes.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use rand::Rng;

use super::canvas::{Canvas, blend};
use super::fill::colour;
use crate::data::random::Stream;

static FONTS: LazyLock<Vec<FontRef<'static>>> = LazyLock::new(|| {
    [
        epaint_default_fonts::UBUNTU_LIGHT,
        epaint_default_fonts::HACK_REGULAR,
    ]
    .iter()
    .filter_map(|bytes| FontRef::try_from_slice(bytes).ok())
    .collect()
});

const LETTERS: &[u8] =
    b"eeeetttaaaooiinnsshhrrddlluccmmwfggyppbvkxjqzEATOINSHR0123456789.,:;!?%&@#()+-=/";

/// A block of `lines` lines of random words, top left at (`left`, `top`), with or without a sheet of paper.
pub(super) fn block(canvas: &mut Canvas, rng: &mut Stream, (left, top): (f32, f32), size: f32) {
    if FONTS.is_empty() {
        return;
    }
    let font = &FONTS[rng.random_range(0..FONTS.len())];
    let scaled = font.as_scaled(PxScale::from(size));
    let lines = rng.random_range(1..5_usize);
    let width = size * rng.random_range(5.0_f32..16.0);
    let (mut ink, mut paper) = (
        colour(rng).map(|v| v * 0.1),
        colour(rng).map(|v| 0.5 + 0.5 * v),
    );
    if rng.random_bool(0.3) {
        (ink, paper) = (paper, ink);
    }
    if rng.random_bool(0.7) {
        let (hw, hh) = (width * 0.5 + size * 0.4, size * (lines as f32 * 0.6 + 0.3));
        let centre = (left + width * 0.5, top + size * lines as f32 * 0.6);
        canvas.paint(
            centre,
            hw.max(hh),
            |x, y| (x.abs() - hw).max(y.abs() - hh),
            |_, _| paper,
        );
    }
    for line in 0..lines {
        let baseline = top + size * (line as f32 * 1.2 + 0.95);
        let mut x = left;
        while x < left + width - size * 0.5 {
            let word = rng.random_range(2..9);
            for _ in 0..word {
                let letter = char::from(LETTERS[rng.random_range(0..LETTERS.len())]);
                let id = scaled.glyph_id(letter);
                let glyph = id.with_scale_and_position(size, point(x, baseline));
                x += scaled.h_advance(id);
                if x > left + width {
                    break;
                }
                if let Some(outline) = font.outline_glyph(glyph) {
                    let origin = outline.px_bounds().min;
                    outline.draw(|gx, gy, coverage| {
                        let (px, py) = (
                            origin.x as i64 + i64::from(gx),
                            origin.y as i64 + i64::from(gy),
                        );
                        if px >= 0
                            && py >= 0
                            && px < canvas.width as i64
                            && py < canvas.height as i64
                        {
                            let at = py as usize * canvas.width + px as usize;
                            blend(&mut canvas.pixels[at], ink, coverage.clamp(0.0, 1.0));
                        }
                    });
                }
            }
            x += size * 0.35;
        }
    }
}

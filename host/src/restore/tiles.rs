//! Large pictures in overlapping tiles, blended so that no seam shows.
//!
//! Where a tile's result is exact beyond its core (the overlap covers the receptive field) blending
//! changes nothing; elsewhere neighbours fade linearly into each other over the overlap.

use hone_shared::tiling::{Span, spans};

use crate::picture::Picture;

/// How a picture is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiling {
    /// Side of a tile's core in pixels.
    pub core: usize,
    /// Pixels read beyond the core on each side.
    pub overlap: usize,
    /// Borders between cores are multiples of this.
    pub align: usize,
    /// Pixels over which neighbours fade into each other, at most twice `overlap`; 0 keeps the core
    /// of each tile only, which is exact when `overlap` covers the receptive field.
    pub feather: usize,
}

/// Restores `input` tile by tile. `restore` gets each tile and gives one of the same shape.
///
/// # Errors
/// The first error of `restore`, or a tile that changed its shape.
pub fn restore(
    input: &Picture,
    tiling: Tiling,
    mut restore: impl FnMut(&Picture) -> anyhow::Result<Picture>,
) -> anyhow::Result<Picture> {
    let (h, w) = (input.height, input.width);
    let cut = |length: usize| {
        let count = length.div_ceil(tiling.core.max(1));
        spans(length, count, tiling.overlap, tiling.align)
    };
    let (rows, columns) = (cut(h), cut(w));
    let mut out = Picture::new(input.channels, h, w);
    let wanted = tiling.feather.min(2 * tiling.overlap);
    let (fade_down, fade_across) = (fitting(&rows, wanted), fitting(&columns, wanted));
    for row in &rows {
        for column in &columns {
            let (tile_h, tile_w) = (
                row.read_end - row.read_start,
                column.read_end - column.read_start,
            );
            let tile = input.crop(row.read_start, column.read_start, tile_h, tile_w);
            let tile = restore(&tile)?;
            if (tile.channels, tile.height, tile.width) != (input.channels, tile_h, tile_w) {
                anyhow::bail!(
                    "a {tile_w}x{tile_h} tile came back as {}x{}",
                    tile.width,
                    tile.height
                );
            }
            let down = weights(row.start, row.end, h, fade_down);
            let across = weights(column.start, column.end, w, fade_across);
            for c in 0..input.channels {
                for (y, down) in down.clone() {
                    let from = (c * tile_h + y - row.read_start) * tile_w;
                    let to = (c * h + y) * w;
                    for (x, across) in across.clone() {
                        out.data[to + x] += down * across * tile.data[from + x - column.read_start];
                    }
                }
            }
        }
    }
    Ok(out)
}

/// The widest fade, at most `wanted`, that no core is too narrow for: where the ramps at both ends of a core
/// met, three tiles would share a position, and their weights would not add up to 1.
fn fitting(spans: &[Span], wanted: usize) -> usize {
    let last = spans.len().saturating_sub(1);
    let room = spans.iter().enumerate().map(|(i, span)| {
        let core = span.end - span.start;
        // Half a ramp lies on either side of a border, and the picture's ends have none.
        if i == 0 || i == last { 2 * core } else { core }
    });
    room.fold(wanted, usize::min)
}

/// The positions a tile contributes to along one axis, each with its weight; over all tiles the
/// weights of a position add up to 1.
fn weights(
    start: usize,
    end: usize,
    length: usize,
    fade: usize,
) -> impl Iterator<Item = (usize, f32)> + Clone {
    let half = fade / 2;
    let first = if start == 0 { 0 } else { start - half };
    let last = if end == length { length } else { end + half };
    (first..last).map(move |i| {
        // Position within the ramp that starts `half` before a border.
        let ramp = |border: usize| ((i + half - border) as f32 + 0.5) / (2 * half).max(1) as f32;
        let rise = if start > 0 && i < start + half {
            ramp(start)
        } else {
            1.0
        };
        let fall = if end < length && i + half >= end {
            1.0 - ramp(end)
        } else {
            1.0
        };
        (i, rise.min(1.0) * fall)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_all_tiles_add_up_to_one() {
        for fade in [0, 2, 6, 8] {
            let mut total = [0.0f32; 50];
            for (start, end) in [(0, 16), (16, 32), (32, 50)] {
                for (i, weight) in weights(start, end, 50, fade) {
                    assert!((0.0..=1.0).contains(&weight), "{weight}");
                    total[i] += weight;
                }
            }
            assert!(total.iter().all(|t| (t - 1.0).abs() < 1e-6), "{total:?}");
        }
    }

    #[test]
    fn a_fade_fits_the_narrowest_core() {
        for core in [1, 7, 64, 70, 94, 95, 512] {
            for length in (1..600).step_by(3).chain([65, 129, 189, 191]) {
                for align in [1, 16, 64] {
                    let spans = spans(length, length.div_ceil(core), 64, align);
                    let fade = fitting(&spans, 64);
                    let mut total = vec![0.0f32; length];
                    for span in &spans {
                        for (i, weight) in weights(span.start, span.end, length, fade) {
                            assert!((span.read_start..span.read_end).contains(&i));
                            total[i] += weight;
                        }
                    }
                    let off = total.iter().find(|t| (**t - 1.0).abs() > 1e-6);
                    assert_eq!(off, None, "length {length}, core {core}, align {align}");
                }
            }
        }
        // What was right before stays as it was.
        for (length, core) in [(96, 95), (191, 95), (2000, 512)] {
            assert_eq!(
                fitting(&spans(length, length.div_ceil(core), 32, 1), 64),
                64
            );
        }
    }

    /// A box of 5x5 pixels with the border repeated reads two pixels in each direction.
    fn smooth(picture: &Picture) -> Picture {
        let mut out = picture.clone();
        let (h, w) = (picture.height, picture.width);
        for (i, out) in out.data.iter_mut().enumerate() {
            let (c, y, x) = (i / (h * w), i / w % h, i % w);
            let mut sum = 0.0;
            for dy in 0..5 {
                for dx in 0..5 {
                    let (y, x) = ((y + dy).saturating_sub(2), (x + dx).saturating_sub(2));
                    sum += picture.data[(c * h + y.min(h - 1)) * w + x.min(w - 1)];
                }
            }
            *out = sum / 25.0;
        }
        out
    }

    fn scene() -> Picture {
        let bytes: Vec<u8> = (0..3 * 61 * 47u32).map(|i| (i * i % 251) as u8).collect();
        Picture::from_bytes(3, 61, 47, &bytes)
    }

    #[test]
    fn tiles_with_enough_overlap_equal_the_whole_picture() {
        let whole = smooth(&scene());
        let tiling = Tiling {
            core: 16,
            overlap: 2,
            align: 1,
            feather: 0,
        };
        let tiled = restore(&scene(), tiling, |tile| Ok(smooth(tile))).unwrap();
        assert_eq!(tiled, whole);
        let tiling = Tiling {
            core: 16,
            overlap: 6,
            align: 2,
            feather: 8,
        };
        let tiled = restore(&scene(), tiling, |tile| Ok(smooth(tile))).unwrap();
        let far = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-6;
        assert!(!tiled.data.iter().zip(&whole.data).any(far));
    }

    #[test]
    fn feathering_softens_the_seams_of_a_global_method() {
        // A method that shifts every tile to the same mean: seams appear without a fade.
        let level = |tile: &Picture| {
            let mean = tile.data.iter().sum::<f32>() / tile.data.len() as f32;
            let mut out = tile.clone();
            out.data.iter_mut().for_each(|v| *v -= mean);
            Ok(out)
        };
        let mut slope = Picture::new(1, 8, 64);
        slope
            .data
            .iter_mut()
            .enumerate()
            .for_each(|(i, v)| *v = (i % 64) as f32 / 64.0);
        let worst = |feather| {
            let tiling = Tiling {
                core: 16,
                overlap: 8,
                align: 1,
                feather,
            };
            let out = restore(&slope, tiling, level).unwrap();
            out.data[..64]
                .windows(2)
                .map(|p| (p[1] - p[0]).abs())
                .fold(0.0, f32::max)
        };
        assert!(worst(16) < 0.3 * worst(0), "{} {}", worst(16), worst(0));
    }
}

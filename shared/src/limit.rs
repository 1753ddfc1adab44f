//! The overshoot limit: how far a restored sample may leave the frame's own range.
//!
//! A small network that sharpens draws halos along edges that need nothing. What tells a halo from detail that blur took away
//! is the frame: beside a clean edge it is flat, where a thin line or texture was blurred a low peak is left. So each sample may lie
//! between the lowest and the highest of its 3x3 neighbours, and beyond them by [`ROOM`] times the height of such peaks, as the white and
//! black top-hat transforms measure it (Serra, "Image Analysis and Mathematical Morphology", 1982):
//!
//! ```text
//! opened = largest3x3(smallest3x3(frame))       high = largest3x3 (frame + 2 * (frame - opened))
//! closed = smallest3x3(largest3x3(frame))       low  = smallest3x3(frame - 2 * (closed - frame))
//! ```
//!
//! Each window leaves out what lies beyond the frame. A straight step edge of any slant rises along rows and along columns
//! alike, and opening and closing give such pictures back unchanged: there the limit is the edge's own two sides, and no network overshoots. (Windows are cut
//! within two pixels of the frame's border, where the limit may be wider.)
//! `low <= frame <= high` holds everywhere, so that strength 0 still leaves the frame as it is.

/// How many times the height of a peak a sample may rise above it.
pub const ROOM: u8 = 2;

/// How far the limit of a sample looks, in pixels: opening and closing two, the last window one more.
pub const REACH: usize = 3;

/// The lowest and highest bytes allowed for each of one plane's, `[height,width]`: the definition in plain loops.
pub fn bounds(plane: &[u8], height: usize, width: usize) -> (Vec<u8>, Vec<u8>) {
    let smallest = |of: &[u8]| window(of, height, width, u8::min);
    let largest = |of: &[u8]| window(of, height, width, u8::max);
    let (opened, closed) = (largest(&smallest(plane)), smallest(&largest(plane)));
    let raised = plane.iter().zip(opened);
    let raised: Vec<u8> = raised.map(|(&x, opened)| above(x, opened)).collect();
    let lowered = plane.iter().zip(closed);
    let lowered: Vec<u8> = lowered.map(|(&x, closed)| below(x, closed)).collect();
    (smallest(&lowered), largest(&raised))
}

/// A sample of a peak that stands on `opened`, raised by what it is allowed.
#[inline]
pub fn above(sample: u8, opened: u8) -> u8 {
    // As sums, which vectorise.
    (0..ROOM).fold(sample, |sum, _| sum.saturating_add(sample - opened))
}

/// A sample of a trough below `closed`, lowered by what it is allowed.
#[inline]
pub fn below(sample: u8, closed: u8) -> u8 {
    (0..ROOM).fold(sample, |rest, _| rest.saturating_sub(closed - sample))
}

fn window(plane: &[u8], height: usize, width: usize, pick: fn(u8, u8) -> u8) -> Vec<u8> {
    let around = |at: usize, end: usize| at.saturating_sub(1)..(at + 2).min(end);
    let mut out = Vec::with_capacity(plane.len());
    for y in 0..height {
        for x in 0..width {
            let rows = around(y, height);
            let samples = rows.flat_map(|y| around(x, width).map(move |x| plane[y * width + x]));
            out.push(samples.reduce(pick).unwrap_or_default());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_edges_of_any_slant_allow_nothing_beyond_their_sides() {
        for (dark, bright) in [(96.0, 160.0), (0.0, 255.0)] {
            for slant in [0.0, 0.2, 0.7, 1.0, 3.0] {
                for turned in [false, true] {
                    let cover = |at: usize| {
                        let (x, y) = (at % 24, at / 24);
                        let (across, along) = if turned { (y, x) } else { (x, y) };
                        let place = 12.0 + slant * (along as f64 - 12.0);
                        (across as f64 + 1.0 - place).clamp(0.0, 1.0)
                    };
                    let plane: Vec<u8> = (0..24 * 24)
                        .map(|at| (dark + cover(at) * (bright - dark)).round() as u8)
                        .collect();
                    let (low, high) = bounds(&plane, 24, 24);
                    for (y, x) in (2..22).flat_map(|y| (2..22).map(move |x| (y, x))) {
                        let (low, high) = (low[y * 24 + x].into(), high[y * 24 + x].into());
                        let inside: (f64, f64) = (low, high);
                        assert!(dark <= inside.0 && inside.1 <= bright, "{slant}, {x}, {y}");
                    }
                }
            }
        }
    }

    #[test]
    fn blurred_lines_may_rise_and_the_frame_itself_is_always_allowed() {
        let lines = [10_u8, 10, 10, 10, 30, 10, 10, 10, 8, 10, 10, 10, 10];
        let (low, high) = bounds(&lines.repeat(7), 7, 13);
        let raised = [10, 10, 10, 70, 70, 70, 10, 10, 10, 10, 10, 10, 10];
        assert_eq!(high[3 * 13..][..13], raised);
        let lowered = [10, 10, 10, 10, 10, 10, 10, 4, 4, 4, 10, 10, 10];
        assert_eq!(low[3 * 13..][..13], lowered);
        let noise: Vec<u8> = (0..7 * 9)
            .map(|i: usize| ((i * 2_654_435_761) >> 9) as u8)
            .collect();
        let (low, high) = bounds(&noise, 7, 9);
        let inside = noise.iter().zip(low.iter().zip(&high));
        assert!(inside.into_iter().all(|(x, (l, h))| l <= x && x <= h));
        assert_eq!(bounds(&[7], 1, 1), (vec![7], vec![7]));
    }
}

//! Between camera planes and the network: rows of the samples a student takes, rows of its residual
//! added to the frame.

use std::marker::PhantomData;

use hone_shared::student::Colour;

use super::frame::{FrameError, FrameView, FrameViewMut, PixelFormat, Plane};
use super::limit::{Bounds, Extent, hold};

/// The samples of a frame that a student restores, row by row, interleaved.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    format: PixelFormat,
    width: usize,
    height: usize,
    first: Plane<'a>,
    colour: Colour,
}

impl<'a> Source<'a> {
    /// # Errors
    /// [`FrameError::Colour`] when the format does not hold what the student takes.
    pub fn new(frame: &FrameView<'a>, colour: Colour) -> Result<Self, FrameError> {
        let fits = match colour {
            Colour::Luma => frame.planes[0],
            Colour::Rgb => frame.planes[0].filter(|_| frame.format == PixelFormat::Rgb8),
        };
        let first = fits.ok_or(FrameError::Colour {
            format: frame.format.name(),
            student: colour.name(),
        })?;
        Ok(Self {
            format: frame.format,
            width: frame.width,
            height: frame.height,
            first,
            colour,
        })
    }

    /// The frame as a network of this SpaceToDepth factor sees it.
    pub fn extent(&self, scale: usize) -> Extent {
        Extent {
            width: self.width.next_multiple_of(scale),
            height: self.height.next_multiple_of(scale),
            channels: self.colour.channels(),
        }
    }

    /// Samples of the pixels `x0..x1` of row `y`; pixels beyond the right or bottom edge repeat it.
    /// `scratch` holds at least `(x1 - x0) * C` bytes and is used when the plane cannot be lent.
    pub fn row<'s>(&self, y: usize, x0: usize, x1: usize, scratch: &'s mut [u8]) -> &'s [u8]
    where
        'a: 's,
    {
        let channels = self.colour.channels();
        let lent = match (self.format, self.colour) {
            (PixelFormat::Rgb8, Colour::Luma) | (PixelFormat::Yuyv, _) => false,
            _ => x1 <= self.width,
        };
        if lent {
            return &self.plane_row(y)[x0 * channels..x1 * channels];
        }
        let out = &mut scratch[..(x1 - x0) * channels];
        self.copy(y, x0, out);
        out
    }

    fn plane_row(&self, y: usize) -> &'a [u8] {
        &self.first.data[y.min(self.height - 1) * self.first.stride..]
    }

    /// Fills `out` with the samples of row `y` from pixel `x0` on, as [`Source::row`] gives them.
    pub fn copy(&self, y: usize, x0: usize, out: &mut [u8]) {
        let row = self.plane_row(y);
        let channels = self.colour.channels();
        let inside = (x0 + out.len() / channels).min(self.width);
        let (own, beyond) = out.split_at_mut((inside - x0) * channels);
        match (self.format, self.colour) {
            (PixelFormat::Rgb8, Colour::Luma) => {
                let pixels = row[3 * x0..3 * inside].chunks_exact(3);
                for (out, p) in own.iter_mut().zip(pixels) {
                    *out = luma(p[0], p[1], p[2]);
                }
            }
            (PixelFormat::Yuyv, _) => {
                let pixels = row[2 * x0..2 * inside].chunks_exact(2);
                for (out, p) in own.iter_mut().zip(pixels) {
                    *out = p[0];
                }
            }
            _ => own.copy_from_slice(&row[x0 * channels..inside * channels]),
        }
        if let Some(last) = own.len().checked_sub(channels) {
            let last = &own[last..];
            for pixel in beyond.chunks_exact_mut(channels) {
                pixel.copy_from_slice(last);
            }
        }
    }
}

/// BT.601 full-range luma of an RGB pixel, rounded to the nearest byte.
fn luma(r: u8, g: u8, b: u8) -> u8 {
    let sum = 19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b);
    ((sum + (1 << 15)) >> 16) as u8
}

/// `clamp(frame + strength * residual)`, rounded half to even; `residual` in bytes.
#[inline(always)]
pub(super) fn restore(frame: u8, residual: f32, strength: f32) -> u8 {
    let value = f32::from(frame) + strength * residual;
    // Comparisons instead of `clamp`: they vectorise, and a residual that is no number gives 0.
    let value = if value > 0.0 { value } else { 0.0 };
    let value = if value < 255.0 { value } else { 255.0 };
    // 2^23 has an ulp of 1: the sum rounds half to even, its low byte is the result.
    (value + 8_388_608.0).to_bits() as u8
}

/// The output frame, written by several threads at once.
pub(super) struct Sink<'a> {
    source: Source<'a>,
    out: *mut u8,
    out_len: usize,
    out_stride: usize,
    strength: f32,
    borrow: PhantomData<&'a mut [u8]>,
}

// SAFETY: `out` comes from a unique borrow that lives as long as the sink, and the caller of `write`
// promises that no two threads write the same pixels.
unsafe impl Sync for Sink<'_> {}

impl<'a> Sink<'a> {
    /// Copies the planes that the student does not restore and prepares to write the others. `source` are
    /// the frame's samples, and `out` was checked against the frame: [`super::begin`] gives and does that.
    ///
    /// # Errors
    /// [`FrameError::Colour`] when `out` lacks the plane that the student restores.
    pub fn new(
        source: Source<'a>,
        frame: &FrameView<'_>,
        out: &'a mut FrameViewMut<'_>,
        strength: f32,
    ) -> Result<Self, FrameError> {
        copy_planes(frame, out, 1);
        let plane = out.planes[0].as_mut().ok_or(FrameError::Colour {
            format: source.format.name(),
            student: source.colour.name(),
        })?;
        Ok(Self {
            source,
            out: plane.data.as_mut_ptr(),
            out_len: plane.data.len(),
            out_stride: plane.stride,
            strength,
            borrow: PhantomData,
        })
    }

    /// Writes row `y` from pixel `x0` on: `residual` holds C samples a pixel, in bytes (not 0..1).
    /// `bounds` hold what is written, where there are any. What lies beyond the frame's edges is dropped.
    ///
    /// # Safety
    /// No other thread writes any of these pixels of this sink at the same time.
    pub unsafe fn write(&self, y: usize, x0: usize, residual: &[f32], bounds: Option<Bounds<'_>>) {
        let Source {
            format,
            width,
            height,
            first: frame,
            colour,
        } = self.source;
        let x1 = (x0 + residual.len() / colour.channels()).min(width);
        if y >= height || x0 >= x1 {
            return;
        }
        let bytes = match format {
            PixelFormat::Rgb8 => 3,
            PixelFormat::Yuyv => 2,
            _ => 1,
        };
        let (mut end, strength) = (x1 * bytes, self.strength);
        if format == PixelFormat::Yuyv && x1 == width {
            // The last group holds two pixels even when the width is odd.
            end = end.next_multiple_of(4);
        }
        let start = y * self.out_stride + x0 * bytes;
        let len = end - x0 * bytes;
        assert!(
            start + len <= self.out_len,
            "the output was checked to hold its rows"
        );
        // SAFETY: the range lies inside the plane (just asserted), which is borrowed uniquely for
        // 'a; the caller keeps other threads off these pixels.
        let out = unsafe { std::slice::from_raw_parts_mut(self.out.add(start), len) };
        let input = &frame.data[y * frame.stride + x0 * bytes..][..len];
        match (format, colour, bounds) {
            (PixelFormat::Rgb8, Colour::Luma, None) => {
                let pixels = out.chunks_exact_mut(3).zip(input.chunks_exact(3));
                for ((out, input), &residual) in pixels.zip(residual) {
                    for (out, &input) in out.iter_mut().zip(input) {
                        *out = restore(input, residual, strength);
                    }
                }
            }
            // The limit is luma's: it holds what luma changes by, and colours change by as much.
            (PixelFormat::Rgb8, Colour::Luma, Some((low, high))) => {
                let pixels = out.chunks_exact_mut(3).zip(input.chunks_exact(3));
                let bounds = low.iter().zip(high);
                for (((out, p), &residual), (&low, &high)) in pixels.zip(residual).zip(bounds) {
                    let luma = f32::from(luma(p[0], p[1], p[2]));
                    let (low, high) = (f32::from(low) - luma, f32::from(high) - luma);
                    let change = (strength * residual).min(high).max(low);
                    for (out, &input) in out.iter_mut().zip(p) {
                        *out = restore(input, change, 1.0);
                    }
                }
            }
            (PixelFormat::Yuyv, ..) => {
                out.copy_from_slice(input);
                for (out, &residual) in out.chunks_exact_mut(2).zip(&residual[..x1 - x0]) {
                    out[0] = restore(out[0], residual, strength);
                }
                if let Some((low, high)) = bounds {
                    let bounds = low.iter().zip(high);
                    for (out, (&low, &high)) in out.chunks_exact_mut(2).zip(bounds) {
                        out[0] = out[0].min(high).max(low);
                    }
                }
            }
            _ => {
                for ((out, &input), &residual) in out.iter_mut().zip(input).zip(residual) {
                    *out = restore(input, residual, strength);
                }
                if let Some(bounds) = bounds {
                    hold(out, bounds);
                }
            }
        }
    }
}

/// Copies the planes from index `first` on.
pub(super) fn copy_planes(frame: &FrameView<'_>, out: &mut FrameViewMut<'_>, first: usize) {
    let sizes = frame.format.plane_sizes(frame.width, frame.height);
    let planes = frame.planes.iter().zip(&mut out.planes).zip(sizes);
    for ((from, to), (row, rows)) in planes.skip(first) {
        if let (Some(from), Some(to)) = (from, to) {
            let from = from.data.chunks(from.stride).take(rows);
            for (to, from) in to.data.chunks_mut(to.stride).zip(from) {
                to[..row].copy_from_slice(&from[..row]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restoring_rounds_half_to_even_and_clamps() {
        assert_eq!(restore(10, 0.5, 1.0), 10);
        assert_eq!(restore(11, 0.5, 1.0), 12);
        assert_eq!(restore(250, 9.0, 1.0), 255);
        assert_eq!(restore(3, -9.0, 1.0), 0);
        assert_eq!(restore(3, -9.0, 0.0), 3);
        assert_eq!(restore(3, f32::NAN, 1.0), 0);
        for frame in 0..=255_u8 {
            for eighth in -80..80_i16 {
                let residual = f32::from(eighth) / 8.0;
                let want = (f32::from(frame) + residual)
                    .clamp(0.0, 255.0)
                    .round_ties_even();
                assert_eq!(f32::from(restore(frame, residual, 1.0)), want);
            }
        }
    }

    #[test]
    fn rows_repeat_the_edges() {
        let data = [1, 2, 3, 4, 5, 6];
        let frame = FrameView::packed(PixelFormat::Gray8, 3, 2, &data).unwrap();
        let source = Source::new(&frame, Colour::Luma).unwrap();
        let mut scratch = [0; 8];
        assert_eq!(source.row(0, 0, 4, &mut scratch), [1, 2, 3, 3]);
        assert_eq!(source.row(7, 0, 3, &mut scratch), [4, 5, 6]);
        let yuyv = [10, 0, 20, 0, 30, 9, 0, 9];
        let frame = FrameView::packed(PixelFormat::Yuyv, 3, 1, &yuyv).unwrap();
        let source = Source::new(&frame, Colour::Luma).unwrap();
        assert_eq!(source.row(0, 0, 4, &mut scratch), [10, 20, 30, 30]);
        assert!(Source::new(&frame, Colour::Rgb).is_err());
    }

    #[test]
    fn luma_of_grey_is_grey() {
        for v in 0..=255 {
            assert_eq!(luma(v, v, v), v);
        }
    }
}

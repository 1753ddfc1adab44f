//! What a temporal student gave for the frame before: bands read all of it while they write the next.

use std::marker::PhantomData;

use hone_shared::student::Colour;

use super::frame::{FrameError, FrameView, PixelFormat};
use super::limit::{Bounds, hold};
use super::rows::{Source, restore};

/// Two frames of restored samples, interleaved: the last one is read, the next one written.
pub(super) struct Memory {
    colour: Colour,
    last: Vec<u8>,
    next: Vec<u8>,
    /// Width and height of what `last` holds; `None` when the next frame is a first one.
    size: Option<(usize, usize)>,
}

impl Memory {
    /// Of a student that restores `colour`; knows nothing yet.
    pub fn new(colour: Colour) -> Self {
        Self {
            colour,
            last: Vec::new(),
            next: Vec::new(),
            size: None,
        }
    }

    /// The next frame is no continuation.
    pub fn forget(&mut self) {
        self.size = None;
    }

    /// What `frame`, whose samples are `source`, is restored with: before a first frame, and before
    /// one of another size, comes the frame itself. `step` is what a residual of 1 adds, in bytes.
    /// Nothing is allocated between frames of one size.
    ///
    /// # Errors
    /// When a side of the frame is zero.
    pub fn open<'a>(
        &'a mut self,
        frame: &FrameView<'_>,
        source: Source<'a>,
        step: f32,
    ) -> Result<Feedback<'a>, FrameError> {
        let (width, height) = (frame.width, frame.height);
        let row = width * self.colour.channels();
        if self.size != Some((width, height)) {
            self.size = None;
            for samples in [&mut self.last, &mut self.next] {
                samples.resize(row * height, 0);
            }
        }
        let format = match self.colour {
            Colour::Luma => PixelFormat::Gray8,
            Colour::Rgb => PixelFormat::Rgb8,
        };
        let previous = match self.size {
            Some(_) => {
                let last = FrameView::packed(format, width, height, &self.last)?;
                Source::new(&last, self.colour)?
            }
            None => source,
        };
        Ok(Feedback {
            previous,
            out: self.next.as_mut_ptr(),
            row,
            rows: height,
            channels: self.colour.channels(),
            step,
            borrow: PhantomData,
        })
    }

    /// The frame, of this width and height, is the one before the next if it is `complete`.
    pub fn close(&mut self, complete: bool, size: (usize, usize)) {
        std::mem::swap(&mut self.last, &mut self.next);
        self.size = complete.then_some(size);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.last.len() + self.next.len()
    }
}

/// One frame's way through a [`Memory`], shared by the threads that restore it.
pub(super) struct Feedback<'a> {
    /// What the student gave for the frame before.
    pub previous: Source<'a>,
    out: *mut u8,
    /// Samples of a row.
    row: usize,
    rows: usize,
    channels: usize,
    step: f32,
    borrow: PhantomData<&'a mut [u8]>,
}

// SAFETY: `out` comes from a unique borrow that lives as long as the feedback, and the caller of
// `write` promises that no two threads write the same pixels.
unsafe impl Sync for Feedback<'_> {}

impl Feedback<'_> {
    /// Keeps row `y` from pixel `x0` on as it is at strength 1: `samples` and `residual` hold C
    /// values a pixel, `bounds` hold the result. What lies beyond the frame's edges is dropped.
    ///
    /// # Safety
    /// No other thread writes any of these pixels at the same time.
    pub unsafe fn write(
        &self,
        (y, x0): (usize, usize),
        samples: &[u8],
        residual: &[f32],
        bounds: Option<Bounds<'_>>,
    ) {
        let start = x0 * self.channels;
        let len = residual.len().min(self.row.saturating_sub(start));
        if y >= self.rows || len == 0 {
            return;
        }
        // SAFETY: rows and columns lie inside `next`, which holds `rows * row` samples and is
        // borrowed uniquely; the caller keeps other threads off these pixels.
        let out = unsafe {
            let at = self.out.add(y * self.row + start);
            std::slice::from_raw_parts_mut(at, len)
        };
        for ((out, &sample), &residual) in out.iter_mut().zip(samples).zip(residual) {
            *out = restore(sample, residual, self.step);
        }
        if let Some(bounds) = bounds {
            hold(out, bounds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_follows_the_complete_one_before_of_its_size() {
        let mut memory = Memory::new(Colour::Luma);
        let mut turn = |bytes: &[u8], width: usize, keep: bool| {
            let size = (width, bytes.len() / width);
            let frame = FrameView::packed(PixelFormat::Gray8, size.0, size.1, bytes).unwrap();
            let source = Source::new(&frame, Colour::Luma).unwrap();
            let feedback = memory.open(&frame, source, 1.0).unwrap();
            let mut scratch = vec![0; width];
            let seen = feedback.previous.row(0, 0, width, &mut scratch).to_vec();
            // SAFETY: one thread.
            unsafe { feedback.write((0, 0), bytes, &vec![1.0; width], None) };
            memory.close(keep, size);
            seen
        };
        assert_eq!(turn(&[1, 2, 3], 3, true), [1, 2, 3]);
        assert_eq!(turn(&[9, 9, 9], 3, true), [2, 3, 4]);
        assert_eq!(turn(&[5, 5], 2, true), [5, 5]);
        assert_eq!(turn(&[7, 7], 2, false), [6, 6]);
        assert_eq!(turn(&[8, 8], 2, true), [8, 8]);
    }
}

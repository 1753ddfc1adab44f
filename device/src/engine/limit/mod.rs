//! The overshoot limit on frames: the bytes between which each restored sample must lie, for whole frames before the network runs.
//! [`hone_shared::limit`] defines them; here rows of them are computed from rings of three, in bands that threads take in turn.

mod graph;
#[cfg(test)]
mod tests;
mod window;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use hone_shared::limit::{above, below};

pub(super) use self::graph::take;
use self::window::{Line, Ring, around, largest, smallest};
use super::EngineError;
use super::frame::FrameError;
use super::pool::Pool;
use super::rows::Source;

/// Bands of a frame for each thread, so that a busy core takes fewer.
const SHARES: usize = 4;
/// Fewest rows of a band; six around it are looked at twice.
const LEAST_ROWS: usize = 48;

/// The bounds of one frame size, and what computing them takes.
#[derive(Default)]
pub(super) struct Limit {
    low: Vec<u8>,
    high: Vec<u8>,
    scratch: Vec<Mutex<Scratch>>,
}

/// Lowest and highest bytes of one frame, interleaved rows of `row` samples.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    low: &'a [u8],
    high: &'a [u8],
    row: usize,
    channels: usize,
}

impl Limit {
    /// Computes the bounds of a frame of `width` x `height` pixels whose samples are `source`; its sides are rounded up to
    /// multiples of `scale`, as the network sees them. Nothing large is allocated between frames of one size.
    ///
    /// # Errors
    /// When a side is zero or a worker thread fails.
    pub fn of<'a>(
        &'a mut self,
        source: &Source<'_>,
        (width, height): (usize, usize),
        (channels, scale): (usize, usize),
        pool: &mut Pool,
    ) -> Result<Bounds<'a>, EngineError> {
        if width == 0 || height == 0 {
            return Err(FrameError::Empty { width, height }.into());
        }
        let size = (
            width.next_multiple_of(scale),
            height.next_multiple_of(scale),
        );
        let row = size.0 * channels;
        if self.low.len() != row * size.1 || self.scratch.len() != pool.threads() {
            self.low = vec![0; row * size.1];
            self.high = vec![0; row * size.1];
            let scratch = || Mutex::new(Scratch::default());
            self.scratch = (0..pool.threads()).map(|_| scratch()).collect();
        }
        let rows = size.1.div_ceil(pool.threads() * SHARES).max(LEAST_ROWS);
        let bands = self.low.chunks_mut(rows * row);
        let bands = bands.zip(self.high.chunks_mut(rows * row));
        let bands: Vec<_> = bands.map(Mutex::new).collect();
        let next = AtomicUsize::new(0);
        let done = pool.run(&|thread| {
            let Some(scratch) = self.scratch.get(thread) else {
                return;
            };
            let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(band) = bands.get(number) else {
                    return;
                };
                let mut band = band.lock().unwrap_or_else(PoisonError::into_inner);
                let (low, high) = &mut *band;
                scratch.band(source, size, channels, number * rows, (low, high));
            }
        });
        drop(bands);
        done.map_err(|_| EngineError::Run("a worker thread failed".into()))?;
        Ok(Bounds {
            low: &self.low,
            high: &self.high,
            row,
            channels,
        })
    }

    /// Bytes held, the few rows of each thread left out.
    pub fn bytes(&self) -> usize {
        self.low.len() + self.high.len()
    }
}

impl<'a> Bounds<'a> {
    /// The bounds of `pixels` pixels of row `y` from pixel `x0` on.
    pub fn row(self, y: usize, x0: usize, pixels: usize) -> (&'a [u8], &'a [u8]) {
        let start = y * self.row + x0 * self.channels;
        let end = start + pixels * self.channels;
        (&self.low[start..end], &self.high[start..end])
    }
}

/// Holds bytes between their bounds.
pub(super) fn hold(bytes: &mut [u8], (low, high): (&[u8], &[u8])) {
    for ((byte, &low), &high) in bytes.iter_mut().zip(low).zip(high) {
        *byte = (*byte).min(high).max(low);
    }
}

/// Rows that one thread keeps.
#[derive(Default)]
struct Scratch {
    /// Where the frame's rows go that cannot be lent.
    samples: [Vec<u8>; 3],
    line: Line,
    opened: Vec<u8>,
    /// Smallest and largest of 3x3, then peaks raised and troughs lowered.
    smallest: Ring,
    largest: Ring,
    raised: Ring,
    lowered: Ring,
}

impl Scratch {
    /// Fills one band, whose first row is `start`, of a frame of `size`.
    fn band(
        &mut self,
        source: &Source<'_>,
        size: (usize, usize),
        channels: usize,
        start: usize,
        (low, high): (&mut [u8], &mut [u8]),
    ) {
        let (width, height) = size;
        let row = width * channels;
        self.resize(row, channels);
        let (mut windowed, mut moved) = (start.saturating_sub(2), start.saturating_sub(1));
        let rows = low.chunks_exact_mut(row).zip(high.chunks_exact_mut(row));
        for (y, (low, high)) in (start..).zip(rows) {
            while moved < (y + 2).min(height) {
                while windowed < (moved + 2).min(height) {
                    self.window(source, windowed, size);
                    windowed += 1;
                }
                self.shift(source, moved, size);
                moved += 1;
            }
            let near = around(y, height);
            smallest(self.lowered.rows(near), &mut self.line, low);
            largest(self.raised.rows(near), &mut self.line, high);
        }
    }

    fn resize(&mut self, row: usize, channels: usize) {
        for samples in &mut self.samples {
            samples.resize(row, 0);
        }
        self.opened.resize(row, 0);
        self.line.resize(row, channels);
        let rings = [
            &mut self.smallest,
            &mut self.largest,
            &mut self.raised,
            &mut self.lowered,
        ];
        rings.into_iter().for_each(|ring| ring.resize(row));
    }

    /// Smallest and largest around the samples of row `y`.
    fn window(&mut self, source: &Source<'_>, y: usize, (width, height): (usize, usize)) {
        let [a, b, c] = &mut self.samples;
        let [above, here, under] = around(y, height);
        let rows = [
            source.row(above, 0, width, a),
            source.row(here, 0, width, b),
            source.row(under, 0, width, c),
        ];
        smallest(rows, &mut self.line, self.smallest.row_mut(y));
        largest(rows, &mut self.line, self.largest.row_mut(y));
    }

    /// Raises the peaks of row `y` and lowers its troughs.
    fn shift(&mut self, source: &Source<'_>, y: usize, (width, height): (usize, usize)) {
        let samples = source.row(y, 0, width, &mut self.samples[0]);
        let near = around(y, height);
        largest(self.smallest.rows(near), &mut self.line, &mut self.opened);
        let pairs = samples.iter().zip(&self.opened);
        for (out, (&x, &opened)) in self.raised.row_mut(y).iter_mut().zip(pairs) {
            *out = above(x, opened);
        }
        smallest(self.largest.rows(near), &mut self.line, &mut self.opened);
        let pairs = samples.iter().zip(&self.opened);
        for (out, (&x, &closed)) in self.lowered.row_mut(y).iter_mut().zip(pairs) {
            *out = below(x, closed);
        }
    }
}

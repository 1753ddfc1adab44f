//! The overshoot limit on frames: the bytes between which each restored sample must lie.
//!
//! [`hone_shared::limit`] defines them; here they are computed row by row from rings of three, by the thread that restores the row.

mod graph;
#[cfg(test)]
mod tests;
mod window;

use std::ops::Range;

use hone_shared::limit::REACH;

pub(super) use self::graph::take;
use self::window::{Lines, Ring, around, extend, extremes};
use super::rows::Source;

/// A frame as the network sees it: its sides are rounded up to multiples of the student's scale.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub width: usize,
    pub height: usize,
    /// Samples of a pixel.
    pub channels: usize,
}

/// Lowest and highest byte of each sample of a row.
pub(super) type Bounds<'a> = (&'a [u8], &'a [u8]);

/// Holds bytes between their bounds.
pub(super) fn hold(bytes: &mut [u8], (low, high): Bounds<'_>) {
    for ((byte, &low), &high) in bytes.iter_mut().zip(low).zip(high) {
        *byte = (*byte).min(high).max(low);
    }
}

/// One thread's rows on the way to bounds: each is looked at once while rows are asked for from top to bottom.
#[derive(Default)]
pub(super) struct Limit {
    /// The pixels that were asked for, and the row that comes next.
    columns: Range<usize>,
    next: Option<usize>,
    /// Rows read, rows whose extremes are known, and rows whose peaks and troughs are extended.
    read: usize,
    seen: usize,
    extended: usize,
    samples: Ring,
    smallest: Ring,
    largest: Ring,
    raised: Ring,
    lowered: Ring,
    lines: Lines,
    opened: Vec<u8>,
    closed: Vec<u8>,
    low: Vec<u8>,
    high: Vec<u8>,
}

impl Limit {
    /// What is known is of another frame.
    pub fn forget(&mut self) {
        self.next = None;
    }

    /// The bounds of the pixels `columns` of row `y` of `source`. Nothing is allocated once the widest rows were asked for.
    pub fn row(
        &mut self,
        source: &Source<'_>,
        extent: Extent,
        y: usize,
        columns: Range<usize>,
    ) -> Bounds<'_> {
        let (channels, height) = (extent.channels, extent.height);
        let start = columns.start.saturating_sub(REACH);
        let wide = start..(columns.end + REACH).min(extent.width);
        let own = (columns.start - start) * channels..(columns.end - start) * channels;
        if self.next != Some(y) || self.columns != columns {
            let before = |rows| y.saturating_sub(rows);
            (self.read, self.seen, self.extended) = (before(3), before(2), before(1));
            self.columns = columns;
            self.resize(wide.len() * channels, channels);
        }
        self.next = Some(y + 1);
        while self.extended < (y + 2).min(height) {
            while self.seen < (self.extended + 2).min(height) {
                while self.read < (self.seen + 2).min(height) {
                    let row = self.samples.row_mut(self.read);
                    source.copy(self.read, wide.start, row);
                    self.read += 1;
                }
                self.look(self.seen, height);
                self.seen += 1;
            }
            self.extend(self.extended, height);
            self.extended += 1;
        }
        let near = around(y, height);
        let from = (self.lowered.rows(near), self.raised.rows(near));
        extremes(from, &mut self.lines, (&mut self.low, &mut self.high));
        (&self.low[own.clone()], &self.high[own])
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let rings = [&self.samples, &self.smallest, &self.largest];
        let rings = rings.into_iter().chain([&self.raised, &self.lowered]);
        let rows = [&self.opened, &self.closed, &self.low, &self.high];
        let rows = rows.map(|row| row.len()).iter().sum::<usize>();
        rings.map(Ring::bytes).sum::<usize>() + self.lines.bytes() + rows
    }

    fn resize(&mut self, row: usize, channels: usize) {
        let rings = [&mut self.samples, &mut self.smallest, &mut self.largest];
        let rings = rings
            .into_iter()
            .chain([&mut self.raised, &mut self.lowered]);
        rings.for_each(|ring| ring.resize(row));
        for kept in [
            &mut self.opened,
            &mut self.closed,
            &mut self.low,
            &mut self.high,
        ] {
            kept.resize(row, 0);
        }
        self.lines.resize(row, channels);
    }

    /// Finds smallest and largest around the samples of row `y`.
    fn look(&mut self, y: usize, height: usize) {
        let rows = self.samples.rows(around(y, height));
        let to = (self.smallest.row_mut(y), self.largest.row_mut(y));
        extremes((rows, rows), &mut self.lines, to);
    }

    /// Raises the peaks of row `y` and lowers its troughs.
    fn extend(&mut self, y: usize, height: usize) {
        let near = around(y, height);
        let from = (self.largest.rows(near), self.smallest.rows(near));
        let to = (&mut self.closed[..], &mut self.opened[..]);
        extremes(from, &mut self.lines, to);
        let to = (self.raised.row_mut(y), self.lowered.row_mut(y));
        extend(self.samples.row(y), (&self.opened, &self.closed), to);
    }
}

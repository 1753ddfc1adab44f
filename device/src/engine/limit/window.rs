//! Smallest and largest of 3x3 samples and what becomes of them, a row at a time.

use hone_shared::limit::{above, below};

/// Three rows that follow each other.
#[derive(Default)]
pub(super) struct Ring {
    rows: [Vec<u8>; 3],
}

impl Ring {
    pub fn resize(&mut self, row: usize) {
        for kept in &mut self.rows {
            kept.resize(row, 0);
        }
    }

    /// Rows of these numbers, none more than two before the last one written.
    pub fn rows(&self, numbers: [usize; 3]) -> [&[u8]; 3] {
        numbers.map(|y| self.row(y))
    }

    pub fn row(&self, y: usize) -> &[u8] {
        &self.rows[y % 3]
    }

    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        &mut self.rows[y % 3]
    }

    pub fn bytes(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }
}

/// The rows whose samples lie around row `y`; those beyond the frame are left out, which repeating an inner one comes to.
pub(super) fn around(y: usize, height: usize) -> [usize; 3] {
    [y.saturating_sub(1), y, (y + 1).min(height - 1)]
}

/// Smallest and largest of each column, with one pixel more on each side.
#[derive(Default)]
pub(super) struct Lines {
    least: Vec<u8>,
    most: Vec<u8>,
    channels: usize,
}

impl Lines {
    pub fn resize(&mut self, row: usize, channels: usize) {
        self.least.resize(row + 2 * channels, 0);
        self.most.resize(row + 2 * channels, 0);
        self.channels = channels;
    }

    pub fn bytes(&self) -> usize {
        self.least.len() + self.most.len()
    }
}

/// Rows that the smallest are of, and rows that the largest are of.
type From<'a> = ([&'a [u8]; 3], [&'a [u8]; 3]);

/// The smallest of 3x3 around each sample of the middle row of `from.0`, and the largest of 3x3 of `from.1`.
pub(super) fn extremes(from: From<'_>, lines: &mut Lines, to: (&mut [u8], &mut [u8])) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the machine has what the function is compiled for, as just asked.
        return unsafe { extremes_avx2(from, lines, to) };
    }
    find(from, lines, to);
}

/// Raises the peaks of `samples` above `opened` and lowers the troughs below `closed`.
pub(super) fn extend(samples: &[u8], (opened, closed): (&[u8], &[u8]), to: (&mut [u8], &mut [u8])) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: as above.
        return unsafe { extend_avx2(samples, (opened, closed), to) };
    }
    stretch(samples, (opened, closed), to);
}

/// The same loops, compiled for vectors of twice the usual length.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn extremes_avx2(from: From<'_>, lines: &mut Lines, to: (&mut [u8], &mut [u8])) {
    find(from, lines, to);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn extend_avx2(samples: &[u8], near: (&[u8], &[u8]), to: (&mut [u8], &mut [u8])) {
    stretch(samples, near, to);
}

/// One loop down the columns and one along the row; both vectorise for bytes.
#[inline(always)]
fn find((a, b): From<'_>, lines: &mut Lines, (least, most): (&mut [u8], &mut [u8])) {
    let (row, near) = (least.len(), lines.channels);
    down(a, &mut lines.least[near..near + row], |a, b| a.min(b));
    down(b, &mut lines.most[near..near + row], |a, b| a.max(b));
    for line in [&mut lines.least, &mut lines.most] {
        line.copy_within(near..2 * near, 0);
        line.copy_within(row..row + near, row + near);
    }
    along(&lines.least, near, least, |a, b| a.min(b));
    along(&lines.most, near, most, |a, b| a.max(b));
}

#[inline(always)]
fn down([a, b, c]: [&[u8]; 3], to: &mut [u8], pick: impl Fn(u8, u8) -> u8) {
    for (((to, &a), &b), &c) in to.iter_mut().zip(a).zip(b).zip(c) {
        *to = pick(pick(a, b), c);
    }
}

#[inline(always)]
fn along(line: &[u8], near: usize, to: &mut [u8], pick: impl Fn(u8, u8) -> u8) {
    let shifted = |by: usize| &line[by * near..by * near + to.len()];
    let (left, middle, right) = (shifted(0), shifted(1), shifted(2));
    let sides = left.iter().zip(right);
    for ((to, &middle), (&left, &right)) in to.iter_mut().zip(middle).zip(sides) {
        *to = pick(pick(left, middle), right);
    }
}

#[inline(always)]
fn stretch(
    samples: &[u8],
    (opened, closed): (&[u8], &[u8]),
    (raised, lowered): (&mut [u8], &mut [u8]),
) {
    let near = samples.iter().zip(opened.iter().zip(closed));
    let to = raised.iter_mut().zip(lowered);
    for ((raised, lowered), (&sample, (&opened, &closed))) in to.zip(near) {
        *raised = above(sample, opened);
        *lowered = below(sample, closed);
    }
}

//! Smallest and largest of 3x3 samples, a row at a time.

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
        numbers.map(|y| self.rows[y % 3].as_slice())
    }

    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        &mut self.rows[y % 3]
    }
}

/// The rows whose samples lie around row `y`; those beyond the frame are left out, which repeating an inner one comes to.
pub(super) fn around(y: usize, height: usize) -> [usize; 3] {
    [y.saturating_sub(1), y, (y + 1).min(height - 1)]
}

/// A row with one pixel more on each side.
#[derive(Default)]
pub(super) struct Line {
    bytes: Vec<u8>,
    channels: usize,
}

impl Line {
    pub fn resize(&mut self, row: usize, channels: usize) {
        self.bytes.resize(row + 2 * channels, 0);
        self.channels = channels;
    }
}

/// The smallest of 3x3 around each sample of the middle row.
pub(super) fn smallest(rows: [&[u8]; 3], line: &mut Line, out: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the machine has what the function is compiled for, as just asked.
        return unsafe { smallest_avx2(rows, line, out) };
    }
    window(rows, line, out, u8::min);
}

/// The largest of 3x3 around each sample of the middle row.
pub(super) fn largest(rows: [&[u8]; 3], line: &mut Line, out: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: as above.
        return unsafe { largest_avx2(rows, line, out) };
    }
    window(rows, line, out, u8::max);
}

/// The same loops, compiled for vectors of twice the usual length.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn smallest_avx2(rows: [&[u8]; 3], line: &mut Line, out: &mut [u8]) {
    window(rows, line, out, |a, b| a.min(b));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn largest_avx2(rows: [&[u8]; 3], line: &mut Line, out: &mut [u8]) {
    window(rows, line, out, |a, b| a.max(b));
}

/// One loop down the columns and one along the row; both vectorise for bytes.
#[inline(always)]
fn window([a, b, c]: [&[u8]; 3], line: &mut Line, out: &mut [u8], pick: impl Fn(u8, u8) -> u8) {
    let (row, near) = (out.len(), line.channels);
    let inner = &mut line.bytes[near..near + row];
    for (((to, &a), &b), &c) in inner.iter_mut().zip(a).zip(b).zip(c) {
        *to = pick(pick(a, b), c);
    }
    line.bytes.copy_within(near..2 * near, 0);
    line.bytes.copy_within(row..row + near, row + near);
    let shifted = |by: usize| &line.bytes[by * near..by * near + row];
    let sides = shifted(0).iter().zip(shifted(2));
    for ((to, &middle), (&left, &right)) in out.iter_mut().zip(shifted(1)).zip(sides) {
        *to = pick(pick(left, middle), right);
    }
}

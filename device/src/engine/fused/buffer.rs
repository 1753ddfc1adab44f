//! Memory of the fused executor: aligned buffers, and rings of rows that slide over a feature map.

use std::marker::PhantomData;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Numbers for which every bit pattern, all zeros included, is a value.
///
/// # Safety
/// Implemented for plain numbers only.
pub(in crate::engine) unsafe trait Plain:
    Copy + Send + Sync + 'static
{
}
// SAFETY: plain numbers.
unsafe impl Plain for f32 {}
// SAFETY: plain numbers.
unsafe impl Plain for i32 {}
// SAFETY: plain numbers.
unsafe impl Plain for u8 {}
// SAFETY: plain numbers.
unsafe impl Plain for i8 {}
// SAFETY: plain numbers.
unsafe impl Plain for i16 {}

/// A zeroed slice that starts at a cache line.
pub(in crate::engine) struct Buffer<T> {
    lines: Vec<Line>,
    len: usize,
    number: PhantomData<T>,
}

impl<T: Plain> Buffer<T> {
    /// `len` zeros.
    pub fn new(len: usize) -> Self {
        let lines = (len * size_of::<T>()).div_ceil(size_of::<Line>());
        Self {
            lines: vec![Line([0; 64]); lines],
            len,
            number: PhantomData,
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.lines.len() * size_of::<Line>()
    }
}

impl<T: Plain> From<&[T]> for Buffer<T> {
    fn from(numbers: &[T]) -> Self {
        let mut buffer = Self::new(numbers.len());
        buffer.copy_from_slice(numbers);
        buffer
    }
}

impl<T: Plain> std::ops::Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the lines hold at least `len` numbers, aligned to 64, and any bits are a number.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Plain> std::ops::DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// The last `rows` rows of a feature map, `[column][channel]`; row y lies in slot y mod `rows`.
pub(in crate::engine) struct Ring<T> {
    buffer: Buffer<T>,
    rows: usize,
    /// Channels of a column.
    pub channels: usize,
    /// Columns kept left of column 0, for the halo.
    left: usize,
    columns: usize,
}

impl<T: Plain> Ring<T> {
    /// Columns `-left .. columns - left`.
    pub fn new(rows: usize, channels: usize, left: usize, columns: usize) -> Self {
        Self {
            buffer: Buffer::new(rows * channels * columns),
            rows,
            channels,
            left,
            columns,
        }
    }

    fn start(&self, y: isize, x: isize) -> usize {
        let slot = y.rem_euclid(self.rows as isize) as usize;
        let column = x + self.left as isize;
        debug_assert!((0..=self.columns as isize).contains(&column), "column {x}");
        (slot * self.columns + column.max(0) as usize) * self.channels
    }

    /// From column `x` of row `y` to the row's end.
    pub fn row_mut(&mut self, y: isize, x: isize) -> &mut [T] {
        let end = self.start(y, (self.columns - self.left) as isize);
        let start = self.start(y, x);
        &mut self.buffer[start..end]
    }

    /// Column `x` of row `y`, to read.
    pub fn pointer(&self, y: isize, x: isize) -> *const T {
        self.buffer
            .lines
            .as_ptr()
            .cast::<T>()
            .wrapping_add(self.start(y, x))
    }

    /// Column `x` of row `y`, to write; pointers to several rows may be held at once.
    pub fn pointer_mut(&mut self, y: isize, x: isize) -> *mut T {
        let start = self.start(y, x);
        self.buffer
            .lines
            .as_mut_ptr()
            .cast::<T>()
            .wrapping_add(start)
    }

    /// Sets the columns `x..x + count` of row `y`.
    pub fn fill(&mut self, y: isize, x: isize, count: usize, value: T) {
        let len = count * self.channels;
        self.row_mut(y, x)[..len].fill(value);
    }

    /// Sets column `x` of every row.
    pub fn fill_column(&mut self, x: isize, value: T) {
        for y in 0..self.rows as isize {
            self.fill(y, x, 1, value);
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.buffer.bytes()
    }
}

//! The input transform in two halves: neighbouring tiles share columns, and sixteen registers do not
//! hold a whole tile's numbers.

use std::arch::x86_64::*;

use super::super::transforms::{each, input_column};
use super::super::{MORE, POSITIONS, SIDE, TILE, TILES, Winograd, Words, pitch};
use super::words::{Fours, Numbers, Twos};

/// Columns that [`TILES`] tiles read.
const COLUMNS: usize = TILES * TILE + 2;

/// Numbers of [`Winograd::v`]: of the whole transform, and after them of its first half,
/// `[6][COLUMNS * stride + MORE]`.
pub(super) fn numbers(stride: usize) -> usize {
    POSITIONS * pitch(stride) + SIDE * (COLUMNS * stride + MORE)
}

/// B^T d B of `tiles` tiles from tile `first` on.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn transform(w: &Winograd, first: usize, tiles: usize) {
    // SAFETY: the caller's promises, passed on.
    unsafe {
        columns(w, first, tiles);
        match w.stride {
            4 => rows::<Fours>(w, tiles),
            8 => rows::<Twos>(w, tiles),
            _ => rows::<__m256i>(w, tiles),
        }
    }
}

/// Sixteen bytes as they lie.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn widen(from: *const u8) -> __m256i {
    // SAFETY: the caller points at 16 bytes.
    unsafe { _mm256_cvtepu8_epi16(_mm_loadu_si128(from.cast())) }
}

/// B^T d, the first half of B^T d B, of the columns of `tiles` tiles from tile `first` on, whatever
/// their channels: neighbouring tiles share columns.
#[target_feature(enable = "avx2")]
unsafe fn columns(w: &Winograd, first: usize, tiles: usize) {
    let row = COLUMNS * w.stride + MORE;
    // SAFETY: the caller's rows hold the tiles' columns and SLACK more, v what is written here.
    unsafe {
        let to = w.v.add(POSITIONS * pitch(w.stride));
        for at in (0..(TILE * tiles + 2) * w.stride).step_by(<__m256i as Words>::N) {
            let from = TILE * first * w.stride + at;
            let column = input_column(each!([0 1 2 3 4 5] I => widen(w.rows[I].add(from))));
            each!([0 1 2 3 4 5] I => column[I].store(to.add(I * row + at)));
        }
    }
}

/// The second half for `tiles` tiles.
#[target_feature(enable = "avx2")]
unsafe fn rows<W: Numbers>(w: &Winograd, tiles: usize) {
    let row = COLUMNS * w.stride + MORE;
    // SAFETY: v holds all that the first half wrote, and room for whole vectors of tiles.
    unsafe {
        let columns = w.v.add(POSITIONS * pitch(w.stride));
        for i in 0..SIDE {
            for tile in (0..tiles).step_by(W::TOGETHER) {
                for c in (0..w.stride).step_by(W::N) {
                    let from = columns.add(i * row + TILE * tile * w.stride + c);
                    let numbers = input_column(
                        each!([0 1 2 3 4 5] J => W::load(from.add(J * w.stride), TILE * w.stride)),
                    );
                    let to = w.v.add(SIDE * i * pitch(w.stride) + tile * w.stride + c);
                    each!([0 1 2 3 4 5] J => numbers[J].store(to.add(J * pitch(w.stride))));
                }
            }
        }
    }
}

//! Vectors of a tile's 16 input channels, of two tiles' 8 and of four tiles' 4.

use std::arch::x86_64::*;

use super::super::{Words, lane_by_lane};

/// Vectors that come from memory.
///
/// # Safety
/// As [`Words`].
pub(super) unsafe trait Numbers: Words {
    /// `N / TOGETHER` numbers of each tile, `step` numbers apart.
    unsafe fn load(from: *const i16, step: usize) -> Self;
}

// SAFETY: stores are 16 numbers.
unsafe impl Words for __m256i {
    const N: usize = 16;
    const TOGETHER: usize = 1;

    #[inline(always)]
    unsafe fn store(self, to: *mut i16) {
        // SAFETY: the caller points at 16 numbers.
        unsafe { _mm256_storeu_si256(to.cast(), self) }
    }

    lane_by_lane!(_mm256_add_epi16, _mm256_sub_epi16, _mm256_slli_epi16::<2>);
}

// SAFETY: loads are 16 numbers.
unsafe impl Numbers for __m256i {
    #[inline(always)]
    unsafe fn load(from: *const i16, _: usize) -> Self {
        // SAFETY: the caller points at 16 numbers.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }
}

/// Two tiles of eight channels.
#[derive(Clone, Copy)]
pub(super) struct Twos(__m256i);

// SAFETY: stores are 16 numbers.
unsafe impl Words for Twos {
    const N: usize = 16;
    const TOGETHER: usize = 2;

    #[inline(always)]
    unsafe fn store(self, to: *mut i16) {
        // SAFETY: the caller points at 16 numbers.
        unsafe { _mm256_storeu_si256(to.cast(), self.0) }
    }

    lane_by_lane!(
        _mm256_add_epi16,
        _mm256_sub_epi16,
        _mm256_slli_epi16::<2>,
        inside
    );
}

// SAFETY: loads are 8 numbers of both tiles.
unsafe impl Numbers for Twos {
    #[inline(always)]
    unsafe fn load(from: *const i16, step: usize) -> Self {
        // SAFETY: the caller points at 8 numbers, and 8 more `step` numbers on.
        unsafe { Self(_mm256_loadu2_m128i(from.add(step).cast(), from.cast())) }
    }
}

/// Four tiles of four channels.
#[derive(Clone, Copy)]
pub(super) struct Fours(__m256i);

// SAFETY: stores are 16 numbers.
unsafe impl Words for Fours {
    const N: usize = 16;
    const TOGETHER: usize = 4;

    #[inline(always)]
    unsafe fn store(self, to: *mut i16) {
        // SAFETY: the caller points at 16 numbers.
        unsafe { _mm256_storeu_si256(to.cast(), self.0) }
    }

    lane_by_lane!(
        _mm256_add_epi16,
        _mm256_sub_epi16,
        _mm256_slli_epi16::<2>,
        inside
    );
}

// SAFETY: loads are 4 numbers of each tile.
unsafe impl Numbers for Fours {
    #[inline(always)]
    unsafe fn load(from: *const i16, step: usize) -> Self {
        // SAFETY: the caller points at 4 numbers, and 4 more three times, `step` numbers on.
        unsafe {
            let at = |tile: usize| from.add(tile * step).cast::<i64>();
            Self(_mm256_setr_epi64x(
                at(0).read_unaligned(),
                at(1).read_unaligned(),
                at(2).read_unaligned(),
                at(3).read_unaligned(),
            ))
        }
    }
}

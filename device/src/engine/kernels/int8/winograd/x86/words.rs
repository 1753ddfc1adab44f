//! Vectors of 16, 8 and 4 input channels.

use std::arch::x86_64::*;

use super::super::{Words, lane_by_lane};

// SAFETY: loads are 16 bytes, stores 16 numbers.
unsafe impl Words for __m256i {
    const N: usize = 16;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: the caller points at 16 bytes.
        unsafe { _mm256_cvtepu8_epi16(_mm_loadu_si128(from.cast())) }
    }

    lane_by_lane!(
        i16,
        _mm256_storeu_si256,
        _mm256_add_epi16,
        _mm256_sub_epi16,
        _mm256_slli_epi16::<2>
    );
}

// SAFETY: loads are 8 bytes, stores 8 numbers.
unsafe impl Words for __m128i {
    const N: usize = 8;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: the caller points at 8 bytes.
        unsafe { _mm_cvtepu8_epi16(_mm_loadl_epi64(from.cast())) }
    }

    lane_by_lane!(
        i16,
        _mm_storeu_si128,
        _mm_add_epi16,
        _mm_sub_epi16,
        _mm_slli_epi16::<2>
    );
}

/// Four channels in the lower half.
#[derive(Clone, Copy)]
pub(super) struct Few(__m128i);

// SAFETY: loads are 4 bytes, stores 4 numbers.
unsafe impl Words for Few {
    const N: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: the caller points at 4 bytes.
        unsafe {
            let bytes = from.cast::<i32>().read_unaligned();
            Self(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(bytes)))
        }
    }

    lane_by_lane!(
        i16,
        _mm_storel_epi64,
        _mm_add_epi16,
        _mm_sub_epi16,
        _mm_slli_epi16::<2>,
        inside
    );
}

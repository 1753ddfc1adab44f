//! AVX2: VPMADDWD multiplies pairs of 16 bits.

mod few;
mod inputs;
mod narrow;
mod products;
mod words;

use std::arch::x86_64::*;
use std::ops::Range;

pub(in crate::engine::kernels::int8) use narrow::AVX2_NARROW;

use super::kernel::{kernel, multiply, until};
use super::{
    Block, Finish, NINTH, Out, Sums, TILE, TILES, Winograd, WinogradKernel, fraction, lane_by_lane,
    pack, transforms,
};
use crate::engine::kernels::blocks;

kernel!(
    #[target_feature(enable = "avx2,fma")]
    static AVX2, __m256i, inputs inputs::numbers, inputs::transform, gives Bytes | Floats, most 2,
    [1: 12 4, 2: 6 2]
);

// SAFETY: see the methods.
unsafe impl Sums for __m256i {
    const N: usize = 8;
    const PARTS: usize = 1;
    const TOGETHER: usize = 2;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller points at 8 numbers.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn spread(from: *const i32) -> Self {
        // SAFETY: the caller points at 8 numbers.
        unsafe { <Self as Sums>::load(from) }
    }

    lane_by_lane!(_mm256_add_epi32, _mm256_sub_epi32, _mm256_slli_epi32::<2>);

    #[inline(always)]
    unsafe fn products<const P: usize, const Q: usize>(block: &Block) {
        // SAFETY: the caller's promises, passed on.
        unsafe {
            match (P, Q) {
                (12, 1) => products::twelve(block),
                (6, 2) => products::six_by_two(block),
                _ => few::products::<P, Q>(block),
            }
        }
    }
}

/// The floats of a pixel's eight channels.
#[inline(always)]
unsafe fn multiplied(sums: __m256i, scale: __m256) -> __m256 {
    // SAFETY: arithmetic on values only.
    unsafe {
        let sums = _mm256_mullo_epi32(sums, _mm256_set1_epi32(NINTH));
        _mm256_mul_ps(_mm256_cvtepi32_ps(sums), scale)
    }
}

// SAFETY: see the methods.
unsafe impl Finish<f32> for __m256i {
    type Scale = __m256;

    #[inline(always)]
    unsafe fn scale(multiplier: *const f32, shift: usize) -> __m256 {
        // SAFETY: the caller points at 8 numbers.
        unsafe { _mm256_mul_ps(_mm256_loadu_ps(multiplier), _mm256_set1_ps(fraction(shift))) }
    }

    #[inline(always)]
    unsafe fn finish(
        pixels: [Self; TILE],
        scales: [__m256; TILE],
        _: i32,
        to: *mut f32,
        stride: usize,
    ) {
        for (j, sums) in pixels.into_iter().enumerate() {
            // SAFETY: the caller points at 8 numbers for each pixel.
            unsafe { _mm256_storeu_ps(to.add(j * stride), multiplied(sums, scales[j])) };
        }
    }
}

// SAFETY: see the methods.
unsafe impl Finish<u8> for __m256i {
    type Scale = __m256;

    #[inline(always)]
    unsafe fn scale(multiplier: *const f32, shift: usize) -> __m256 {
        // SAFETY: the caller's promises, passed on.
        unsafe { <Self as Finish<f32>>::scale(multiplier, shift) }
    }

    #[inline(always)]
    unsafe fn finish(
        pixels: [Self; TILE],
        scales: [__m256; TILE],
        zero: i32,
        to: *mut u8,
        stride: usize,
    ) {
        // SAFETY: the caller points at 8 bytes for each pixel.
        unsafe {
            let mut words = [_mm256_setzero_si256(); TILE];
            for (j, sums) in pixels.into_iter().enumerate() {
                words[j] = _mm256_cvtps_epi32(multiplied(sums, scales[j]));
            }
            let [a, b, c, d] = words;
            let zero = _mm256_set1_epi16(zero as i16);
            let ab = _mm256_adds_epi16(_mm256_packs_epi32(a, b), zero);
            let cd = _mm256_adds_epi16(_mm256_packs_epi32(c, d), zero);
            // Channels 0 to 3 of the four pixels, then 4 to 7: brought together by pixel.
            let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
            let bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(ab, cd), order);
            let (low, high) = (
                _mm256_castsi256_si128(bytes),
                _mm256_extracti128_si256::<1>(bytes),
            );
            _mm_storel_epi64(to.cast(), low);
            _mm_storeh_pd(to.add(stride).cast(), _mm_castsi128_pd(low));
            _mm_storel_epi64(to.add(2 * stride).cast(), high);
            _mm_storeh_pd(to.add(3 * stride).cast(), _mm_castsi128_pd(high));
        }
    }
}

//! A last layer of at most four channels: every sum in two parts, so that no lane is idle.

use std::arch::x86_64::*;
use std::ops::Range;

use super::super::kernel::{kernel, multiply, until};
use super::super::{
    Block, Finish, NINTH, Out, Sums, TILE, TILES, Winograd, WinogradKernel, fraction, lane_by_lane,
    pack, transforms,
};
use super::few;
use super::inputs;
use super::products::twelve_halves;
use crate::engine::kernels::blocks;

kernel!(
    #[target_feature(enable = "avx2,fma")]
    static AVX2_NARROW, Halves, inputs inputs::numbers, inputs::transform, gives Floats, most 1,
    [1: 12 4]
);

/// Four output channels, the sum of each in two parts.
#[derive(Clone, Copy)]
struct Halves(__m256i);

// SAFETY: see the methods.
unsafe impl Sums for Halves {
    const N: usize = 4;
    const PARTS: usize = 2;
    const TOGETHER: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller points at 8 numbers.
        unsafe { Self(_mm256_loadu_si256(from.cast())) }
    }

    #[inline(always)]
    unsafe fn spread(from: *const i32) -> Self {
        // SAFETY: the caller points at 4 numbers.
        unsafe { Self(_mm256_cvtepu32_epi64(_mm_loadu_si128(from.cast()))) }
    }

    lane_by_lane!(
        _mm256_add_epi32,
        _mm256_sub_epi32,
        _mm256_slli_epi32::<2>,
        inside
    );

    #[inline(always)]
    unsafe fn products<const P: usize, const Q: usize>(block: &Block) {
        // SAFETY: the caller's promises, passed on.
        unsafe {
            match P {
                12 => twelve_halves(block),
                _ => few::halves::<P>(block),
            }
        }
    }
}

// SAFETY: see the methods.
unsafe impl Finish<f32> for Halves {
    type Scale = __m128;

    #[inline(always)]
    unsafe fn scale(multiplier: *const f32, shift: usize) -> __m128 {
        // SAFETY: the caller points at 4 numbers.
        unsafe { _mm_mul_ps(_mm_loadu_ps(multiplier), _mm_set1_ps(fraction(shift))) }
    }

    #[inline(always)]
    unsafe fn finish(
        pixels: [Self; TILE],
        scales: [__m128; TILE],
        _: i32,
        to: *mut f32,
        stride: usize,
    ) {
        for j in [0, 2] {
            // SAFETY: the caller points at 4 numbers for each pixel.
            unsafe {
                let sums = _mm256_hadd_epi32(pixels[j].0, pixels[j + 1].0);
                let sums = _mm256_permute4x64_epi64::<0b11_01_10_00>(sums);
                let sums = _mm256_mullo_epi32(sums, _mm256_set1_epi32(NINTH));
                let scale = _mm256_set_m128(scales[j + 1], scales[j]);
                let product = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), scale);
                _mm_storeu_ps(to.add(j * stride), _mm256_castps256_ps128(product));
                let second = _mm256_extractf128_ps::<1>(product);
                _mm_storeu_ps(to.add((j + 1) * stride), second);
            }
        }
    }
}

//! A last layer of at most four channels: every sum in two parts, so that no lane is idle.

use std::arch::asm;
use std::arch::x86_64::*;

use super::super::kernel::{block, kernel};
use super::super::{
    Channels, Finish, MORE, Out, POSITIONS, Sums, TILE, TILES, Winograd, WinogradKernel, Words,
    lane_by_lane, pack, transforms,
};
use super::ninth;
use super::words::Few;
use crate::engine::kernels::{blocks, cover};

kernel!(
    #[target_feature(enable = "avx2,fma")]
    static AVX2_NARROW, Halves, words [__m256i, __m128i, Few], gives Floats, least 8, most 1,
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

    lane_by_lane!(
        i32,
        _mm256_storeu_si256,
        _mm256_add_epi32,
        _mm256_sub_epi32,
        _mm256_slli_epi32::<2>,
        inside
    );

    #[inline(always)]
    unsafe fn products<const P: usize, const Q: usize>(
        v: *const i16,
        tile: usize,
        inputs: usize,
        w: *const i16,
    ) -> [[Self; Q]; P] {
        // SAFETY: the caller's buffers hold `inputs` numbers, a multiple of 4, for each tile and
        // their weights.
        unsafe {
            let mut acc = [[Self(_mm256_setzero_si256()); Q]; P];
            for k in (0..inputs).step_by(4) {
                let w = _mm256_loadu_si256(w.add(k * 4).cast());
                for (p, acc) in acc.iter_mut().enumerate() {
                    quad(&mut acc[0].0, v.add(p * tile + k), w);
                }
            }
            acc
        }
    }
}

// SAFETY: see the method.
unsafe impl Finish<f32> for Halves {
    #[inline(always)]
    unsafe fn finish(
        pixels: [Self; TILE],
        shifts: [i32; TILE],
        channels: &Channels,
        to: *mut f32,
        stride: usize,
    ) {
        // SAFETY: the caller points at 4 biases and multipliers, and 4 numbers for each pixel.
        unsafe {
            let bias = _mm256_broadcastsi128_si256(_mm_loadu_si128(channels.bias.cast()));
            let multiplier = _mm256_broadcast_ps(&*channels.multiplier.cast());
            for j in [0, 2] {
                let sums = _mm256_hadd_epi32(pixels[j].0, pixels[j + 1].0);
                let sums = _mm256_permute4x64_epi64::<0b11_01_10_00>(sums);
                let (one, two) = (_mm_set1_epi32(shifts[j]), _mm_set1_epi32(shifts[j + 1]));
                let sums = ninth(sums, _mm256_set_m128i(two, one));
                let sums = _mm256_cvtepi32_ps(_mm256_add_epi32(sums, bias));
                let product = _mm256_mul_ps(sums, multiplier);
                _mm_storeu_ps(to.add(j * stride), _mm256_castps256_ps128(product));
                let second = _mm256_extractf128_ps::<1>(product);
                _mm_storeu_ps(to.add((j + 1) * stride), second);
            }
        }
    }
}

/// `a + x . w`: in each lane two of four products. Written out as in the kernel for more channels.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn quad(a: &mut __m256i, x: *const i16, w: __m256i) {
    // SAFETY: the caller points at four numbers.
    unsafe {
        asm!(
            "vpbroadcastq {x}, qword ptr [{from}]",
            "vpmaddwd {x}, {x}, {w}",
            "vpaddd {a}, {a}, {x}",
            a = inout(ymm_reg) *a,
            x = out(ymm_reg) _,
            w = in(ymm_reg) w,
            from = in(reg) x,
            options(readonly, nostack, preserves_flags)
        );
    }
}

//! AVX2: VPMADDWD multiplies pairs of 16 bits.

mod narrow;
mod words;

use std::arch::asm;
use std::arch::x86_64::*;

pub(in crate::engine::kernels::int8) use narrow::AVX2_NARROW;
use words::Few;

use super::kernel::{block, kernel};
use super::{
    Channels, Finish, MORE, NINTH, Out, POSITIONS, Sums, TILE, TILES, Winograd, WinogradKernel,
    Words, lane_by_lane, pack, transforms,
};
use crate::engine::kernels::{blocks, cover};

/// Most vectors of output channels in a block.
const MOST: usize = 2;

kernel!(
    #[target_feature(enable = "avx2,fma")]
    static AVX2, __m256i, words [__m256i, __m128i, Few], gives Bytes | Floats, least 8, most MOST,
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

    lane_by_lane!(
        i32,
        _mm256_storeu_si256,
        _mm256_add_epi32,
        _mm256_sub_epi32,
        _mm256_slli_epi32::<2>
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
            let mut acc = [[_mm256_setzero_si256(); Q]; P];
            let eights = inputs / 8 * 8;
            for k in (0..eights).step_by(8) {
                pairs::<4, P, Q>(&mut acc, v.add(k), tile, w.add(k * Q * 8));
            }
            if eights < inputs {
                pairs::<2, P, Q>(&mut acc, v.add(eights), tile, w.add(eights * Q * 8));
            }
            acc
        }
    }
}

/// The floats of a pixel's eight channels.
#[inline(always)]
unsafe fn multiplied(sums: __m256i, shift: i32, channels: &Channels) -> __m256 {
    // SAFETY: the caller points at 8 biases and multipliers.
    unsafe {
        let sums = ninth(sums, _mm256_set1_epi32(shift));
        let sums = _mm256_add_epi32(sums, _mm256_loadu_si256(channels.bias.cast()));
        _mm256_mul_ps(
            _mm256_cvtepi32_ps(sums),
            _mm256_loadu_ps(channels.multiplier),
        )
    }
}

// SAFETY: see the methods.
unsafe impl Finish<f32> for __m256i {
    #[inline(always)]
    unsafe fn finish(
        pixels: [Self; TILE],
        shifts: [i32; TILE],
        channels: &Channels,
        to: *mut f32,
        stride: usize,
    ) {
        for (j, sums) in pixels.into_iter().enumerate() {
            // SAFETY: the caller points at 8 numbers for each pixel.
            unsafe {
                _mm256_storeu_ps(to.add(j * stride), multiplied(sums, shifts[j], channels));
            }
        }
    }
}

// SAFETY: see the methods.
unsafe impl Finish<u8> for __m256i {
    #[inline(always)]
    unsafe fn finish(
        pixels: [Self; TILE],
        shifts: [i32; TILE],
        channels: &Channels,
        to: *mut u8,
        stride: usize,
    ) {
        // SAFETY: the caller points at 8 bytes for each pixel.
        unsafe {
            let mut words = [_mm256_setzero_si256(); TILE];
            for (j, sums) in pixels.into_iter().enumerate() {
                words[j] = _mm256_cvtps_epi32(multiplied(sums, shifts[j], channels));
            }
            let [a, b, c, d] = words;
            let zero = _mm256_set1_epi16(channels.zero as i16);
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

/// True sums from ones that lie 9 times 2^`shifts` above them, modulo 2^32.
#[inline(always)]
unsafe fn ninth(sums: __m256i, shifts: __m256i) -> __m256i {
    // SAFETY: arithmetic on values only.
    unsafe { _mm256_srav_epi32(_mm256_mullo_epi32(sums, _mm256_set1_epi32(NINTH)), shifts) }
}

/// Products of `PAIRS` pairs of inputs without a loop, or addresses cost as much as products.
#[inline(always)]
unsafe fn pairs<const PAIRS: usize, const P: usize, const Q: usize>(
    acc: &mut [[__m256i; Q]; P],
    v: *const i16,
    tile: usize,
    w: *const i16,
) {
    for pair in 0..PAIRS {
        // SAFETY: the caller's buffers hold the numbers for each tile and their weights.
        unsafe {
            let mut weights = [_mm256_setzero_si256(); Q];
            for (q, weights) in weights.iter_mut().enumerate() {
                *weights = _mm256_loadu_si256(w.add((pair * Q + q) * 16).cast());
            }
            for (p, acc) in acc.iter_mut().enumerate() {
                let x = v.add(p * tile + 2 * pair);
                match (&mut acc[..], &weights[..]) {
                    ([a], [w]) => one(a, x, *w),
                    ([a, b], [v, w]) => two(a, b, x, *v, *w),
                    _ => unreachable!("blocks are at most {MOST} vectors"),
                }
            }
        }
    }
}

/// `a + x . w`, two products a lane. Written out, as is [`two`], because the compiler takes sums of
/// whole numbers apart, and then has more of them than registers.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn one(a: &mut __m256i, x: *const i16, w: __m256i) {
    // SAFETY: the caller points at two numbers.
    unsafe {
        asm!(
            "vpbroadcastd {x}, dword ptr [{from}]",
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

/// `a + x . v` and `b + x . w`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn two(a: &mut __m256i, b: &mut __m256i, x: *const i16, v: __m256i, w: __m256i) {
    // SAFETY: the caller points at two numbers.
    unsafe {
        asm!(
            "vpbroadcastd {x}, dword ptr [{from}]",
            "vpmaddwd {y}, {x}, {v}",
            "vpaddd {a}, {a}, {y}",
            "vpmaddwd {x}, {x}, {w}",
            "vpaddd {b}, {b}, {x}",
            a = inout(ymm_reg) *a,
            b = inout(ymm_reg) *b,
            x = out(ymm_reg) _,
            y = out(ymm_reg) _,
            v = in(ymm_reg) v,
            w = in(ymm_reg) w,
            from = in(reg) x,
            options(readonly, nostack, preserves_flags)
        );
    }
}

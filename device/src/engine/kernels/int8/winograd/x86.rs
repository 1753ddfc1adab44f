//! AVX2: VPMADDWD multiplies pairs of 16 bits.

use std::arch::asm;
use std::arch::x86_64::*;

use super::{
    Ints, MORE, NINTH, POSITIONS, Sums, TILE, TILES, Winograd, WinogradKernel, Words, block,
    kernel, pack, transforms,
};
use crate::engine::kernels::{blocks, cover};

/// Most vectors of output channels in a block.
const MOST: usize = 2;

// SAFETY: loads are 16 bytes, stores 16 numbers.
unsafe impl Words for __m256i {
    const N: usize = 16;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: the caller points at 16 bytes.
        unsafe { _mm256_cvtepu8_epi16(_mm_loadu_si128(from.cast())) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut i16) {
        // SAFETY: the caller points at 16 numbers.
        unsafe { _mm256_storeu_si256(to.cast(), self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm256_add_epi16(self, other) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm256_sub_epi16(self, other) }
    }

    #[inline(always)]
    unsafe fn quadruple(self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm256_slli_epi16::<2>(self) }
    }
}

// SAFETY: loads are 8 bytes, stores 8 numbers.
unsafe impl Words for __m128i {
    const N: usize = 8;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: the caller points at 8 bytes.
        unsafe { _mm_cvtepu8_epi16(_mm_loadl_epi64(from.cast())) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut i16) {
        // SAFETY: the caller points at 8 numbers.
        unsafe { _mm_storeu_si128(to.cast(), self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm_add_epi16(self, other) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm_sub_epi16(self, other) }
    }

    #[inline(always)]
    unsafe fn quadruple(self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm_slli_epi16::<2>(self) }
    }
}

/// Four pixels' eight multiplied sums.
#[inline(always)]
unsafe fn rounded(sums: __m256i, multiplier: __m256) -> __m256i {
    // SAFETY: arithmetic on values only.
    unsafe { _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), multiplier)) }
}

/// Products of eight inputs: four pairs without a loop, or addresses cost as much as products.
#[inline(always)]
unsafe fn eight<const P: usize, const Q: usize>(
    acc: &mut [[__m256i; Q]; P],
    v: *const i16,
    tile: usize,
    w: *const i16,
) {
    for pair in 0..4 {
        // SAFETY: the caller's buffers hold eight numbers for each tile and their weights.
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

// SAFETY: see the methods.
unsafe impl Sums for __m256i {
    const TOGETHER: usize = 2;

    #[inline(always)]
    unsafe fn store(self, to: *mut i32) {
        // SAFETY: the caller points at 8 numbers.
        unsafe { _mm256_storeu_si256(to.cast(), self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm256_add_epi32(self, other) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm256_sub_epi32(self, other) }
    }

    #[inline(always)]
    unsafe fn quadruple(self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm256_slli_epi32::<2>(self) }
    }

    #[inline(always)]
    unsafe fn ninth(self, shift: i32) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe {
            let product = _mm256_mullo_epi32(self, _mm256_set1_epi32(NINTH));
            _mm256_srav_epi32(product, _mm256_set1_epi32(shift))
        }
    }

    #[inline(always)]
    unsafe fn products<const P: usize, const Q: usize>(
        v: *const i16,
        tile: usize,
        inputs: usize,
        w: *const i16,
    ) -> [[Self; Q]; P] {
        // SAFETY: the caller's buffers hold `inputs` numbers, a multiple of 8, for each tile and
        // their weights.
        unsafe {
            let mut acc = [[_mm256_setzero_si256(); Q]; P];
            for k in (0..inputs).step_by(8) {
                eight(&mut acc, v.add(k), tile, w.add(k * Q * 8));
            }
            acc
        }
    }

    #[inline(always)]
    unsafe fn store_four(
        pixels: [Self; TILE],
        multiplier: *const f32,
        zero: i32,
        to: *mut u8,
        stride: usize,
    ) {
        // SAFETY: the caller points at 8 multipliers, and 8 bytes for each pixel.
        unsafe {
            let multiplier = _mm256_loadu_ps(multiplier);
            let zero = _mm256_set1_epi16(zero as i16);
            let [a, b, c, d] = pixels;
            let ab = _mm256_packs_epi32(rounded(a, multiplier), rounded(b, multiplier));
            let cd = _mm256_packs_epi32(rounded(c, multiplier), rounded(d, multiplier));
            let (ab, cd) = (_mm256_adds_epi16(ab, zero), _mm256_adds_epi16(cd, zero));
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

kernel!(
    #[target_feature(enable = "avx2,fma")]
    static AVX2, __m256i, words __m256i, __m128i, most MOST,
    [1: 12 4, 2: 6 2]
);

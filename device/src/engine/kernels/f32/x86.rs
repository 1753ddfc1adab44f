//! AVX-512 and AVX2 with FMA.

use std::arch::x86_64::*;

use super::generic::Lanes;
use super::table::table;

// SAFETY: loads and stores are 16 floats.
unsafe impl Lanes for __m512 {
    const N: usize = 16;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the caller's machine has AVX-512 F.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller points at 16 floats.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller points at 16 floats.
        unsafe { _mm512_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn load_quads(from: *const f32) -> Self {
        // SAFETY: the caller points at four floats.
        unsafe { _mm512_broadcast_f32x4(_mm_loadu_ps(from)) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm512_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm512_sub_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm512_max_ps(self, _mm512_setzero_ps()) }
    }

    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm512_min_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm512_fmadd_ps(self, factor, addend) }
    }

    #[inline(always)]
    unsafe fn fold<const Q: usize>(pixels: [[Self; Q]; 4], bias: *const f32, out: *mut f32) {
        // SAFETY: Q is 1; `bias` and `out` hold 16 floats.
        unsafe {
            let [a, b, c, d] = pixels.map(|p| p[0]);
            let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
            let sum = _mm512_add_ps(
                _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)),
                _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)),
            );
            // Lane 4 * output + pixel to 4 * pixel + output.
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let sum = _mm512_permutexvar_ps(order, sum);
            _mm512_storeu_ps(out, _mm512_add_ps(sum, _mm512_loadu_ps(bias)));
        }
    }
}

// SAFETY: loads and stores are 8 floats.
unsafe impl Lanes for __m256 {
    const N: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the caller's machine has AVX.
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller points at 8 floats.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller points at 8 floats.
        unsafe { _mm256_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn load_quads(from: *const f32) -> Self {
        // SAFETY: the caller points at four floats.
        unsafe { _mm256_broadcast_ps(&*from.cast::<__m128>()) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm256_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm256_sub_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm256_max_ps(self, _mm256_setzero_ps()) }
    }

    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm256_min_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { _mm256_fmadd_ps(self, factor, addend) }
    }
}

table!(
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    mod avx512, std::arch::x86_64::__m512, most 4,
    [1: 24 8, 2: 12 4, 3: 8 4, 4: 6 2],
    narrow 1: 24 8
);

table!(
    #[target_feature(enable = "avx2,fma")]
    mod avx2, std::arch::x86_64::__m256, most 2,
    [1: 12 4, 2: 6 2],
    narrow 2: 6 2
);

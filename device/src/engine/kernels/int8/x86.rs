//! AVX-512 VNNI, and AVX2 without saturating products.

use std::arch::x86_64::*;

use super::{Int8Kernel, Int8Kernels, Ints, Out, Row, blocks, cover, pixels, row};

pub(super) static AVX512: Int8Kernels = Int8Kernels {
    flip: 0,
    wide: Int8Kernel {
        lanes: 16,
        pack: |layer| {
            layer.in_vectors(16, 4, 4, |lanes| {
                lanes.as_flattened().iter().map(|&w| w as u8).collect()
            })
        },
        row: avx512,
    },
    narrow: Some(Int8Kernel {
        lanes: 4,
        pack: |layer| layer.in_quads(),
        row: avx512_narrow,
    }),
    winograd: None,
    winograd_narrow: None,
};

pub(super) static AVX2: Int8Kernels = Int8Kernels {
    flip: 0,
    wide: Int8Kernel {
        lanes: 8,
        pack: |layer| layer.in_vectors(8, 2, 4, pairs),
        row: avx2,
    },
    narrow: None,
    winograd: Some(&super::winograd::AVX2),
    winograd_narrow: Some(&super::winograd::AVX2_NARROW),
};

/// Bytes 0 and 2 of every lane as i16, then bytes 1 and 3.
fn pairs(lanes: &[[i8; 4]]) -> Vec<u8> {
    let half = |a: usize, b: usize| {
        lanes
            .iter()
            .flat_map(move |w| [i16::from(w[a]), i16::from(w[b])])
            .flat_map(i16::to_le_bytes)
    };
    half(0, 2).chain(half(1, 3)).collect()
}

// SAFETY: see the methods.
unsafe impl Ints for __m512i {
    const N: usize = 16;
    const GROUP: usize = 64;
    const ALIGN: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller points at 16 numbers.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn accumulate<const P: usize, const Q: usize>(
        acc: &mut [[Self; Q]; P],
        a: *const u8,
        stride: usize,
        run: usize,
        w: *const u8,
    ) {
        for i in 0..run / 4 {
            // SAFETY: the caller's buffers hold `run` bytes for each pixel and their weights.
            unsafe {
                let mut weights = [_mm512_setzero_si512(); Q];
                for (q, weights) in weights.iter_mut().enumerate() {
                    *weights = _mm512_loadu_si512(w.add((i * Q + q) * 64).cast());
                }
                for (p, acc) in acc.iter_mut().enumerate() {
                    let x = a.add(p * stride + 4 * i).cast::<i32>().read_unaligned();
                    let x = _mm512_set1_epi32(x);
                    for (acc, w) in acc.iter_mut().zip(&weights) {
                        *acc = _mm512_dpbusd_epi32(*acc, x, *w);
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, multiplier: *const f32, zero: i32, to: *mut u8) {
        // SAFETY: the caller points at 16 multipliers and 16 bytes.
        unsafe {
            let product = _mm512_mul_ps(_mm512_cvtepi32_ps(self), _mm512_loadu_ps(multiplier));
            let value = _mm512_add_epi32(_mm512_cvtps_epi32(product), _mm512_set1_epi32(zero));
            let value = _mm512_max_epi32(value, _mm512_setzero_si512());
            _mm_storeu_si128(to.cast(), _mm512_cvtusepi32_epi8(value));
        }
    }

    #[inline(always)]
    unsafe fn store_floats(self, multiplier: *const f32, to: *mut f32) {
        // SAFETY: the caller points at 16 multipliers and 16 floats.
        unsafe {
            let product = _mm512_mul_ps(_mm512_cvtepi32_ps(self), _mm512_loadu_ps(multiplier));
            _mm512_storeu_ps(to, product);
        }
    }
}

row!(
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
    fn avx512, avx512_block, __m512i, most 4,
    [1: 16 8, 2: 12 4, 3: 8 4, 4: 6 2]
);

/// `P` pixels (a multiple of 4) of 4 outputs: lane 4 * output + part sums 4 of 16 inputs.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn avx512_quads<const P: usize>(row: &Row, first: usize, out: *mut f32) {
    // SAFETY: rows hold the block's pixels and SLACK more, weights, bias, multiplier 4 outputs, out
    // the block's pixels.
    unsafe {
        let mut acc = [_mm512_setzero_si512(); P];
        let chunks = (row.taps * row.stride).div_ceil(16);
        for (tap, from) in row.rows.iter().take(row.taps).enumerate() {
            let from = from.add(first * row.stride);
            let weights = row.weights.add(tap * chunks * 64);
            for i in 0..chunks {
                let w = _mm512_loadu_si512(weights.add(64 * i).cast());
                for (p, acc) in acc.iter_mut().enumerate() {
                    let x = _mm_loadu_si128(from.add(p * row.stride + 16 * i).cast());
                    *acc = _mm512_dpbusd_epi32(*acc, _mm512_broadcast_i32x4(x), w);
                }
            }
        }
        let bias = _mm512_broadcast_i32x4(_mm_loadu_si128(row.bias.cast()));
        let multiplier = _mm512_broadcast_f32x4(_mm_loadu_ps(row.multiplier));
        // Lane 4 * output + pixel to 4 * pixel + output.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        for (i, four) in acc.as_chunks::<4>().0.iter().enumerate() {
            let [a, b, c, d] = *four;
            let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
            let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
            let sum =
                _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
            let sum = _mm512_add_epi32(_mm512_permutexvar_epi32(order, sum), bias);
            let product = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), multiplier);
            _mm512_storeu_ps(out.add(4 * first + 16 * i), product);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn avx512_narrow(row: &Row) {
    let Out::Floats(out) = row.out else {
        return;
    };
    cover(row.pixels, 24, 8, |fits, first| {
        // SAFETY: the caller's promises, passed on.
        unsafe {
            if fits {
                avx512_quads::<24>(row, first, out);
            } else {
                avx512_quads::<8>(row, first, out);
            }
        }
    });
}

// SAFETY: see the methods.
unsafe impl Ints for __m256i {
    const N: usize = 8;
    const GROUP: usize = 64;
    const ALIGN: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller points at 8 numbers.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn accumulate<const P: usize, const Q: usize>(
        acc: &mut [[Self; Q]; P],
        a: *const u8,
        stride: usize,
        run: usize,
        w: *const u8,
    ) {
        for i in 0..run / 4 {
            // SAFETY: the caller's buffers hold `run` bytes for each pixel and their weights.
            unsafe {
                for (p, acc) in acc.iter_mut().enumerate() {
                    let x = a.add(p * stride + 4 * i).cast::<i32>().read_unaligned();
                    let x = _mm256_set1_epi32(x);
                    let even = _mm256_and_si256(x, _mm256_set1_epi16(0xff));
                    let odd = _mm256_srli_epi16::<8>(x);
                    for (q, acc) in acc.iter_mut().enumerate() {
                        let w = w.add((i * Q + q) * 64).cast();
                        let even = _mm256_madd_epi16(even, _mm256_loadu_si256(w));
                        let odd = _mm256_madd_epi16(odd, _mm256_loadu_si256(w.add(1)));
                        *acc = _mm256_add_epi32(*acc, _mm256_add_epi32(even, odd));
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, multiplier: *const f32, zero: i32, to: *mut u8) {
        // SAFETY: the caller points at 8 multipliers and 8 bytes.
        unsafe {
            let product = _mm256_mul_ps(_mm256_cvtepi32_ps(self), _mm256_loadu_ps(multiplier));
            let value = _mm256_add_epi32(_mm256_cvtps_epi32(product), _mm256_set1_epi32(zero));
            let (a, b) = (
                _mm256_castsi256_si128(value),
                _mm256_extracti128_si256::<1>(value),
            );
            let words = _mm_packs_epi32(a, b);
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(words, words));
        }
    }

    #[inline(always)]
    unsafe fn store_floats(self, multiplier: *const f32, to: *mut f32) {
        // SAFETY: the caller points at 8 multipliers and 8 floats.
        unsafe {
            let product = _mm256_mul_ps(_mm256_cvtepi32_ps(self), _mm256_loadu_ps(multiplier));
            _mm256_storeu_ps(to, product);
        }
    }
}

row!(
    #[target_feature(enable = "avx2,fma")]
    fn avx2, avx2_block, __m256i, most 2,
    [1: 8 4, 2: 4 2]
);

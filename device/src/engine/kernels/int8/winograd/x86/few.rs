//! Products of the tiles that are left of a row, few enough for a compiler to keep in registers.

use std::arch::x86_64::*;

use super::Block;

/// `P` tiles and `Q` vectors of outputs.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn products<const P: usize, const Q: usize>(block: &Block) {
    // SAFETY: the block's buffers hold the inputs of `P` tiles, their weights and sums.
    unsafe {
        let mut acc = [[_mm256_setzero_si256(); Q]; P];
        for k in (0..block.inputs).step_by(2) {
            for (p, acc) in acc.iter_mut().enumerate() {
                let x = block.v.add(p * block.inputs + k).cast::<i32>();
                let x = _mm256_set1_epi32(x.read_unaligned());
                for (q, acc) in acc.iter_mut().enumerate() {
                    let w = _mm256_loadu_si256(block.w.add((k * Q + 2 * q) * 8).cast());
                    *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(x, w));
                }
            }
        }
        for (p, acc) in acc.iter().enumerate() {
            for (q, sums) in acc.iter().enumerate() {
                _mm256_storeu_si256(block.m.add(p * block.step + q * 8).cast(), *sums);
            }
        }
    }
}

/// `P` tiles and four outputs, the sums of each in two parts.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn halves<const P: usize>(block: &Block) {
    // SAFETY: the block's buffers hold the inputs of `P` tiles, their weights and sums.
    unsafe {
        for p in 0..P {
            let mut sums = _mm256_setzero_si256();
            for k in (0..block.inputs).step_by(4) {
                let x = block.v.add(p * block.inputs + k).cast::<i64>();
                let x = _mm256_set1_epi64x(x.read_unaligned());
                let w = _mm256_loadu_si256(block.w.add(k * 4).cast());
                sums = _mm256_add_epi32(sums, _mm256_madd_epi16(x, w));
            }
            _mm256_storeu_si256(block.m.add(p * block.step).cast(), sums);
        }
    }
}

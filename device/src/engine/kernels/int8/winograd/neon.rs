//! NEON: SMLAL multiplies 16 bits.

use std::arch::aarch64::*;
use std::ops::Range;

use super::kernel::{kernel, multiply, until};
use super::{
    Block, Bytes, Finish, NINTH, Out, Sums, TILE, TILES, Winograd, WinogradKernel, Words, fraction,
    lane_by_lane, pack, transforms,
};
use crate::engine::kernels::blocks;

// SAFETY: loads and stores are 8 numbers.
unsafe impl Words for int16x8_t {
    const N: usize = 8;
    const TOGETHER: usize = 1;

    #[inline(always)]
    unsafe fn load(from: *const i16, _: usize) -> Self {
        // SAFETY: the caller points at 8 numbers.
        unsafe { vld1q_s16(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut i16) {
        // SAFETY: the caller points at 8 numbers.
        unsafe { vst1q_s16(to, self) }
    }

    lane_by_lane!(vaddq_s16, vsubq_s16, vshlq_n_s16::<2>);
}

// SAFETY: loads are 8 bytes.
unsafe impl Bytes for int16x8_t {
    #[inline(always)]
    unsafe fn widen(from: *const u8) -> Self {
        // SAFETY: the caller points at 8 bytes.
        unsafe { vmovl_s8(vld1_s8(from.cast())) }
    }
}

/// Two tiles of four channels.
#[derive(Clone, Copy)]
struct Twos(int16x8_t);

// SAFETY: loads are 4 numbers of both tiles, stores 8.
unsafe impl Words for Twos {
    const N: usize = 8;
    const TOGETHER: usize = 2;

    #[inline(always)]
    unsafe fn load(from: *const i16, step: usize) -> Self {
        // SAFETY: the caller points at 4 numbers, and 4 more `step` numbers on.
        unsafe { Self(vcombine_s16(vld1_s16(from), vld1_s16(from.add(step)))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut i16) {
        // SAFETY: the caller points at 8 numbers.
        unsafe { vst1q_s16(to, self.0) }
    }

    lane_by_lane!(vaddq_s16, vsubq_s16, vshlq_n_s16::<2>, inside);
}

// SAFETY: see the methods.
unsafe impl Sums for int32x4_t {
    const N: usize = 4;
    const PARTS: usize = 1;
    const TOGETHER: usize = 1;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller points at 4 numbers.
        unsafe { vld1q_s32(from) }
    }

    #[inline(always)]
    unsafe fn spread(from: *const i32) -> Self {
        // SAFETY: the caller points at 4 numbers.
        unsafe { vld1q_s32(from) }
    }

    lane_by_lane!(vaddq_s32, vsubq_s32, vshlq_n_s32::<2>);

    #[inline(always)]
    unsafe fn products<const P: usize, const Q: usize>(block: &Block) {
        let (v, w) = (block.v, block.w);
        // SAFETY: the block's buffers hold the inputs of `P` tiles, a multiple of 4 for each, their
        // weights and sums.
        unsafe {
            let mut acc = [[vdupq_n_s32(0); Q]; P];
            for k in (0..block.inputs).step_by(4) {
                let mut x = [vdup_n_s16(0); P];
                for (p, x) in x.iter_mut().enumerate() {
                    *x = vld1_s16(v.add(p * block.inputs + k));
                }
                macro_rules! lane {
                    ($lane:literal) => {
                        for q in 0..Q {
                            let w = vld1_s16(w.add(((k + $lane) * Q + q) * 4));
                            for p in 0..P {
                                acc[p][q] = vmlal_lane_s16::<$lane>(acc[p][q], w, x[p]);
                            }
                        }
                    };
                }
                lane!(0);
                lane!(1);
                lane!(2);
                lane!(3);
            }
            for (p, tile) in acc.iter().enumerate() {
                for (q, sums) in tile.iter().enumerate() {
                    vst1q_s32(block.m.add(p * block.step + q * 4), *sums);
                }
            }
        }
    }
}

/// The floats of a pixel's four channels.
#[inline(always)]
unsafe fn multiplied(sums: int32x4_t, scale: float32x4_t) -> float32x4_t {
    // SAFETY: arithmetic on values only.
    unsafe { vmulq_f32(vcvtq_f32_s32(vmulq_n_s32(sums, NINTH)), scale) }
}

// SAFETY: see the methods.
unsafe impl Finish<f32> for int32x4_t {
    type Scale = float32x4_t;

    #[inline(always)]
    unsafe fn scale(multiplier: *const f32, shift: usize) -> float32x4_t {
        // SAFETY: the caller points at 4 numbers.
        unsafe { vmulq_n_f32(vld1q_f32(multiplier), fraction(shift)) }
    }

    #[inline(always)]
    unsafe fn finish(
        pixels: [Self; TILE],
        scales: [float32x4_t; TILE],
        _: i32,
        to: *mut f32,
        stride: usize,
    ) {
        for (j, sums) in pixels.into_iter().enumerate() {
            // SAFETY: the caller points at 4 numbers for each pixel.
            unsafe { vst1q_f32(to.add(j * stride), multiplied(sums, scales[j])) };
        }
    }
}

// SAFETY: see the methods.
unsafe impl Finish<u8> for int32x4_t {
    type Scale = float32x4_t;

    #[inline(always)]
    unsafe fn scale(multiplier: *const f32, shift: usize) -> float32x4_t {
        // SAFETY: the caller's promises, passed on.
        unsafe { <Self as Finish<f32>>::scale(multiplier, shift) }
    }

    #[inline(always)]
    unsafe fn finish(
        pixels: [Self; TILE],
        scales: [float32x4_t; TILE],
        zero: i32,
        to: *mut u8,
        stride: usize,
    ) {
        // All four pixels side by side: cores that run in order wait for no single one.
        // SAFETY: the caller points at 4 bytes for each pixel.
        unsafe {
            let mut floats = scales;
            for (float, sums) in floats.iter_mut().zip(pixels) {
                *float = multiplied(sums, *float);
            }
            let mut values = pixels;
            for (value, float) in values.iter_mut().zip(floats) {
                *value = vcvtnq_s32_f32(float);
            }
            let zero = vdupq_n_s16(zero as i16);
            for (pair, values) in values.as_chunks::<2>().0.iter().enumerate() {
                let words = vqmovn_high_s32(vqmovn_s32(values[0]), values[1]);
                let bytes = vqmovun_s16(vqaddq_s16(words, zero));
                let bytes = vreinterpret_u32_u8(veor_u8(bytes, vdup_n_u8(0x80)));
                let to = to.add(2 * pair * stride);
                to.cast::<u32>().write_unaligned(vget_lane_u32::<0>(bytes));
                let to = to.add(stride).cast::<u32>();
                to.write_unaligned(vget_lane_u32::<1>(bytes));
            }
        }
    }
}

kernel!(
    #[target_feature(enable = "neon")]
    static NEON, int32x4_t, words [Twos] int16x8_t, gives Bytes | Floats, most 4,
    [1: 6 2, 2: 6 2, 3: 6 2, 4: 4 2]
);

//! NEON: SMLAL multiplies 16 bits.

use std::arch::aarch64::*;

use super::super::neon::store_floats;
use super::kernel::{block, kernel};
use super::{
    Channels, Finish, MORE, NINTH, Out, POSITIONS, Sums, TILE, TILES, Winograd, WinogradKernel,
    Words, lane_by_lane, pack, transforms,
};
use crate::engine::kernels::{blocks, cover};

// SAFETY: loads are 8 bytes, stores 8 numbers.
unsafe impl Words for int16x8_t {
    const N: usize = 8;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: the caller points at 8 bytes.
        unsafe { vmovl_s8(vld1_s8(from.cast())) }
    }

    lane_by_lane!(i16, vst1q_s16, vaddq_s16, vsubq_s16, vshlq_n_s16::<2>);
}

// SAFETY: loads are 4 bytes, stores 4 numbers.
unsafe impl Words for int16x4_t {
    const N: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: the caller points at 4 bytes.
        unsafe {
            let bytes = vdup_n_u32(from.cast::<u32>().read_unaligned());
            vget_low_s16(vmovl_s8(vreinterpret_s8_u32(bytes)))
        }
    }

    lane_by_lane!(i16, vst1_s16, vadd_s16, vsub_s16, vshl_n_s16::<2>);
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

    lane_by_lane!(i32, vst1q_s32, vaddq_s32, vsubq_s32, vshlq_n_s32::<2>);

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
            let mut acc = [[vdupq_n_s32(0); Q]; P];
            for k in (0..inputs).step_by(4) {
                let mut x = [vdup_n_s16(0); P];
                for (p, x) in x.iter_mut().enumerate() {
                    *x = vld1_s16(v.add(p * tile + k));
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
            acc
        }
    }
}

/// A pixel's true sums and the bias.
#[inline(always)]
unsafe fn whole(sums: int32x4_t, shift: i32, channels: &Channels) -> int32x4_t {
    // SAFETY: the caller points at 4 biases.
    unsafe {
        let sums = vshlq_s32(vmulq_n_s32(sums, NINTH), vdupq_n_s32(-shift));
        vaddq_s32(sums, vld1q_s32(channels.bias))
    }
}

// SAFETY: see the method.
unsafe impl Finish<f32> for int32x4_t {
    #[inline(always)]
    unsafe fn finish(
        pixels: [Self; TILE],
        shifts: [i32; TILE],
        channels: &Channels,
        to: *mut f32,
        stride: usize,
    ) {
        for (j, sums) in pixels.into_iter().enumerate() {
            // SAFETY: the caller points at 4 multipliers, and 4 numbers for each pixel.
            unsafe {
                let sums = whole(sums, shifts[j], channels);
                store_floats(sums, channels.multiplier, to.add(j * stride));
            }
        }
    }
}

// SAFETY: see the method.
unsafe impl Finish<u8> for int32x4_t {
    #[inline(always)]
    unsafe fn finish(
        pixels: [Self; TILE],
        shifts: [i32; TILE],
        channels: &Channels,
        to: *mut u8,
        stride: usize,
    ) {
        // All four pixels side by side: cores that run in order wait for no single one.
        // SAFETY: the caller points at 4 multipliers, and 4 bytes for each pixel.
        unsafe {
            let multiplier = vld1q_f32(channels.multiplier);
            let mut values = pixels;
            for (value, shift) in values.iter_mut().zip(shifts) {
                *value = whole(*value, shift, channels);
            }
            let mut floats = [multiplier; TILE];
            for (float, value) in floats.iter_mut().zip(values) {
                *float = vmulq_f32(vcvtq_f32_s32(value), multiplier);
            }
            for (value, float) in values.iter_mut().zip(floats) {
                *value = vcvtnq_s32_f32(float);
            }
            let zero = vdupq_n_s16(channels.zero as i16);
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
    static NEON, int32x4_t, words [int16x8_t, int16x4_t], gives Bytes | Floats, least 4, most 4,
    [1: 6 2, 2: 6 2, 3: 6 2, 4: 4 2]
);

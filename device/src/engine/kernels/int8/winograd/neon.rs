//! NEON: SMLAL multiplies 16 bits.

use std::arch::aarch64::*;

use super::super::neon::{Wide, store_bytes};
use super::{
    Ints, MORE, NINTH, POSITIONS, Sums, TILE, TILES, Winograd, WinogradKernel, Words, block,
    kernel, pack, transforms,
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

    #[inline(always)]
    unsafe fn store(self, to: *mut i16) {
        // SAFETY: the caller points at 8 numbers.
        unsafe { vst1q_s16(to, self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { vaddq_s16(self, other) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { vsubq_s16(self, other) }
    }

    #[inline(always)]
    unsafe fn quadruple(self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { vshlq_n_s16::<2>(self) }
    }
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

    #[inline(always)]
    unsafe fn store(self, to: *mut i16) {
        // SAFETY: the caller points at 4 numbers.
        unsafe { vst1_s16(to, self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { vadd_s16(self, other) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { vsub_s16(self, other) }
    }

    #[inline(always)]
    unsafe fn quadruple(self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { vshl_n_s16::<2>(self) }
    }
}

// SAFETY: see the methods.
unsafe impl Sums for Wide {
    const TOGETHER: usize = 1;

    #[inline(always)]
    unsafe fn store(self, to: *mut i32) {
        // SAFETY: the caller points at 4 numbers.
        unsafe { vst1q_s32(to, self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        Self(unsafe { vaddq_s32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        Self(unsafe { vsubq_s32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn quadruple(self) -> Self {
        // SAFETY: arithmetic on values only.
        Self(unsafe { vshlq_n_s32::<2>(self.0) })
    }

    #[inline(always)]
    unsafe fn ninth(self, shift: i32) -> Self {
        // SAFETY: arithmetic on values only.
        Self(unsafe { vshlq_s32(vmulq_n_s32(self.0, NINTH), vdupq_n_s32(-shift)) })
    }

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
            let mut acc = [[Self(vdupq_n_s32(0)); Q]; P];
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
                                acc[p][q].0 = vmlal_lane_s16::<$lane>(acc[p][q].0, w, x[p]);
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

    #[inline(always)]
    unsafe fn store_four(
        pixels: [Self; TILE],
        multiplier: *const f32,
        zero: i32,
        to: *mut u8,
        stride: usize,
    ) {
        for (p, sums) in pixels.into_iter().enumerate() {
            // SAFETY: the caller points at 4 multipliers, and 4 bytes for each pixel.
            unsafe { store_bytes(sums.0, multiplier, zero, to.add(p * stride)) };
        }
    }
}

kernel!(
    #[target_feature(enable = "neon")]
    static NEON, Wide, words int16x8_t, int16x4_t, most 4,
    [1: 6 2, 2: 6 2, 3: 6 2, 4: 4 2]
);

//! aarch64 NEON.

use std::arch::aarch64::*;

use super::generic::Lanes;
use super::table::table;

// SAFETY: loads and stores are 4 floats.
unsafe impl Lanes for float32x4_t {
    const N: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the caller's machine has NEON.
        unsafe { vdupq_n_f32(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller points at four floats.
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller points at four floats.
        unsafe { vst1q_f32(to, self) }
    }

    #[inline(always)]
    unsafe fn load_quads(from: *const f32) -> Self {
        // SAFETY: the caller points at four floats.
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { vaddq_f32(self, other) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { vsubq_f32(self, other) }
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { vmaxnmq_f32(self, vdupq_n_f32(0.0)) }
    }

    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { vminq_f32(self, other) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: arithmetic on values only.
        unsafe { vfmaq_f32(addend, self, factor) }
    }

    /// Four columns of `a` in one load, multiplied by lane.
    #[inline(always)]
    unsafe fn accumulate<const P: usize, const Q: usize>(
        acc: &mut [[Self; Q]; P],
        a: *const f32,
        stride: usize,
        k: usize,
        b: *const f32,
    ) {
        for i in (0..k).step_by(4) {
            // SAFETY: k is a multiple of 4; the caller's buffers hold k columns of a and k * Q
            // vectors of b.
            unsafe {
                let mut x = [vdupq_n_f32(0.0); P];
                for (p, x) in x.iter_mut().enumerate() {
                    *x = vld1q_f32(a.add(p * stride + i));
                }
                macro_rules! lane {
                    ($lane:literal) => {
                        for q in 0..Q {
                            let w = vld1q_f32(b.add(((i + $lane) * Q + q) * 4));
                            for p in 0..P {
                                acc[p][q] = vfmaq_laneq_f32::<$lane>(acc[p][q], w, x[p]);
                            }
                        }
                    };
                }
                lane!(0);
                lane!(1);
                lane!(2);
                lane!(3);
            }
        }
    }

    #[inline(always)]
    unsafe fn fold<const Q: usize>(pixels: [[Self; Q]; 4], bias: *const f32, out: *mut f32) {
        for (p, pixel) in pixels.iter().enumerate() {
            // SAFETY: Q is 4; `bias` and `out` hold 16 floats.
            unsafe {
                let ab = vpaddq_f32(pixel[0], pixel[1]);
                let cd = vpaddq_f32(pixel[2], pixel[3]);
                let sum = vaddq_f32(vpaddq_f32(ab, cd), vld1q_f32(bias.add(4 * p)));
                vst1q_f32(out.add(4 * p), sum);
            }
        }
    }
}

table!(
    #[target_feature(enable = "neon")]
    mod table, std::arch::aarch64::float32x4_t, most 2,
    [1: 12 4, 2: 8 4],
    narrow 4: 4 2
);

//! aarch64 NEON: SMULL and SADALP everywhere, SDOT where the machine has it.
//!
//! Both multiply s8 by s8, so activations lie in memory XOR 0x80 (less 128); the bias makes up for
//! it.

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Int8Kernel, Int8Kernels, Ints, Row, blocks, cover, pixels, row};

pub(super) static NEON: Int8Kernels = Int8Kernels {
    flip: 0x80,
    wide: Int8Kernel {
        lanes: 4,
        pack: |layer| layer.in_quads(),
        row: smull,
    },
    narrow: None,
    winograd: Some(&super::winograd::NEON),
    winograd_narrow: None,
};

pub(super) static NEON_DOT: Int8Kernels = Int8Kernels {
    flip: 0x80,
    wide: Int8Kernel {
        lanes: 4,
        pack: |layer| {
            layer.in_vectors(4, 2, 16, |lanes| {
                lanes.as_flattened().iter().map(|&w| w as u8).collect()
            })
        },
        row: sdot,
    },
    narrow: None,
    winograd: None,
    winograd_narrow: None,
};

#[inline(always)]
unsafe fn store_bytes(sum: int32x4_t, multiplier: *const f32, zero: i32, to: *mut u8) {
    // SAFETY: the caller points at 4 multipliers and 4 bytes.
    unsafe {
        let product = vmulq_f32(vcvtq_f32_s32(sum), vld1q_f32(multiplier));
        let value = vaddq_s32(vcvtnq_s32_f32(product), vdupq_n_s32(zero));
        let words = vqmovn_s32(value);
        let bytes = veor_u8(vqmovun_s16(vcombine_s16(words, words)), vdup_n_u8(0x80));
        to.cast::<u32>()
            .write_unaligned(vget_lane_u32::<0>(vreinterpret_u32_u8(bytes)));
    }
}

#[inline(always)]
pub(super) unsafe fn store_floats(sum: int32x4_t, multiplier: *const f32, to: *mut f32) {
    // SAFETY: the caller points at 4 multipliers and 4 floats.
    unsafe { vst1q_f32(to, vmulq_f32(vcvtq_f32_s32(sum), vld1q_f32(multiplier))) }
}

/// Four outputs, summed by SDOT.
#[derive(Clone, Copy)]
struct Dot(int32x4_t);

/// `acc + w . a[LANE]`, four products a lane. `vdotq_laneq_s32` is not stable yet.
#[inline(always)]
unsafe fn dot<const LANE: usize>(mut acc: int32x4_t, w: int8x16_t, a: int8x16_t) -> int32x4_t {
    macro_rules! lane {
        ($lane:literal) => {
            // SAFETY: the caller's machine has the dot-product instructions.
            unsafe {
                asm!(
                    ".arch_extension dotprod",
                    concat!("sdot {acc:v}.4s, {w:v}.16b, {a:v}.4b[", $lane, "]"),
                    acc = inout(vreg) acc, w = in(vreg) w, a = in(vreg) a,
                    options(pure, nomem, nostack, preserves_flags)
                )
            }
        };
    }
    match LANE {
        0 => lane!("0"),
        1 => lane!("1"),
        2 => lane!("2"),
        _ => lane!("3"),
    }
    acc
}

// SAFETY: see the methods.
unsafe impl Ints for Dot {
    const N: usize = 4;
    const GROUP: usize = 16;
    const ALIGN: usize = 16;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller points at 4 numbers.
        Self(unsafe { vld1q_s32(from) })
    }

    #[inline(always)]
    unsafe fn accumulate<const P: usize, const Q: usize>(
        acc: &mut [[Self; Q]; P],
        a: *const u8,
        stride: usize,
        run: usize,
        w: *const u8,
    ) {
        for i in (0..run).step_by(16) {
            // SAFETY: the caller's buffers hold `run` bytes, rounded up to 16, for each pixel and
            // their weights, which are 0 beyond the run.
            unsafe {
                let mut x = [vdupq_n_s8(0); P];
                for (p, x) in x.iter_mut().enumerate() {
                    *x = vld1q_s8(a.add(p * stride + i).cast());
                }
                macro_rules! lane {
                    ($lane:literal) => {
                        for q in 0..Q {
                            let w = vld1q_s8(w.add(4 * (i + 4 * $lane) * Q + 16 * q).cast());
                            for p in 0..P {
                                acc[p][q].0 = dot::<$lane>(acc[p][q].0, w, x[p]);
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
    unsafe fn store_bytes(self, multiplier: *const f32, zero: i32, to: *mut u8) {
        // SAFETY: the caller's promises, passed on.
        unsafe { store_bytes(self.0, multiplier, zero, to) }
    }

    #[inline(always)]
    unsafe fn store_floats(self, multiplier: *const f32, to: *mut f32) {
        // SAFETY: the caller's promises, passed on.
        unsafe { store_floats(self.0, multiplier, to) }
    }
}

row!(
    #[target_feature(enable = "neon,dotprod")]
    fn sdot, sdot_block, Dot, most 2,
    [1: 8 4, 2: 8 4]
);

/// Four outputs, each product summed over 16 inputs by SMULL, SMLAL2 and SADALP.
#[derive(Clone, Copy)]
struct Wide(int32x4_t);

// SAFETY: see the methods.
unsafe impl Ints for Wide {
    const N: usize = 4;
    const GROUP: usize = 16;
    const ALIGN: usize = 16;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller points at 4 numbers.
        Self(unsafe { vld1q_s32(from) })
    }

    #[inline(always)]
    unsafe fn accumulate<const P: usize, const Q: usize>(
        acc: &mut [[Self; Q]; P],
        a: *const u8,
        stride: usize,
        run: usize,
        w: *const u8,
    ) {
        // SAFETY: the caller's buffers hold `run` bytes, rounded up to 16, for each pixel and their
        // weights, which are 0 beyond the run. Two products of s8 by weights above -128 fit in i16.
        unsafe {
            let mut parts = [[vdupq_n_s32(0); 4]; P];
            for i in (0..run).step_by(16) {
                let mut x = [vdupq_n_s8(0); P];
                for (p, x) in x.iter_mut().enumerate() {
                    *x = vld1q_s8(a.add(p * stride + i).cast());
                }
                for o in 0..4 {
                    let w = vld1q_s8(w.add(4 * i + 16 * o).cast());
                    for p in 0..P {
                        let low = vmull_s8(vget_low_s8(x[p]), vget_low_s8(w));
                        let both = vmlal_high_s8(low, x[p], w);
                        parts[p][o] = vpadalq_s16(parts[p][o], both);
                    }
                }
            }
            for (acc, [a, b, c, d]) in acc.iter_mut().zip(parts) {
                let sum = vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
                acc[0].0 = vaddq_s32(acc[0].0, sum);
            }
        }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, multiplier: *const f32, zero: i32, to: *mut u8) {
        // SAFETY: the caller's promises, passed on.
        unsafe { store_bytes(self.0, multiplier, zero, to) }
    }

    #[inline(always)]
    unsafe fn store_floats(self, multiplier: *const f32, to: *mut f32) {
        // SAFETY: the caller's promises, passed on.
        unsafe { store_floats(self.0, multiplier, to) }
    }
}

row!(
    #[target_feature(enable = "neon")]
    fn smull, smull_block, Wide, most 1,
    [1: 4 2]
);

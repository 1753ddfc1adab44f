//! NEON: SMLAL multiplies 16 bits.

use std::arch::aarch64::*;
use std::ops::Range;

use super::kernel::{kernel, multiply, until};
use super::transforms::{each, input_column};
use super::{
    Block, Finish, NINTH, Out, POSITIONS, SIDE, Sums, TILE, TILES, Winograd, WinogradKernel, Words,
    fraction, lane_by_lane, pack, pitch, transforms,
};
use crate::engine::kernels::blocks;

// SAFETY: stores are 8 numbers.
unsafe impl Words for int16x8_t {
    const N: usize = 8;
    const TOGETHER: usize = 1;

    #[inline(always)]
    unsafe fn store(self, to: *mut i16) {
        // SAFETY: the caller points at 8 numbers.
        unsafe { vst1q_s16(to, self) }
    }

    lane_by_lane!(vaddq_s16, vsubq_s16, vshlq_n_s16::<2>);
}

/// Two tiles of four channels.
#[derive(Clone, Copy)]
struct Twos(int16x8_t);

// SAFETY: stores are 8 numbers.
unsafe impl Words for Twos {
    const N: usize = 8;
    const TOGETHER: usize = 2;

    #[inline(always)]
    unsafe fn store(self, to: *mut i16) {
        // SAFETY: the caller points at 8 numbers.
        unsafe { vst1q_s16(to, self.0) }
    }

    lane_by_lane!(vaddq_s16, vsubq_s16, vshlq_n_s16::<2>, inside);
}

/// Vectors that come from bytes.
///
/// # Safety
/// As [`Words`].
unsafe trait Bytes: Words {
    /// `N / TOGETHER` bytes of each tile as they lie, signed; tiles are `step` bytes apart.
    unsafe fn widen(from: *const u8, step: usize) -> Self;
}

// SAFETY: loads are 8 bytes.
unsafe impl Bytes for int16x8_t {
    #[inline(always)]
    unsafe fn widen(from: *const u8, _: usize) -> Self {
        // SAFETY: the caller points at 8 bytes.
        unsafe { vmovl_s8(vld1_s8(from.cast())) }
    }
}

// SAFETY: loads are 4 bytes of both tiles.
unsafe impl Bytes for Twos {
    #[inline(always)]
    unsafe fn widen(from: *const u8, step: usize) -> Self {
        // SAFETY: the caller points at 4 bytes, and 4 more `step` bytes on.
        unsafe {
            let bytes = vdup_n_u32(from.cast::<u32>().read_unaligned());
            let bytes = vld1_lane_u32::<1>(from.add(step).cast(), bytes);
            Self(vmovl_s8(vreinterpret_s8_u32(bytes)))
        }
    }
}

/// B^T d B of `tiles` tiles from tile `first` on.
#[target_feature(enable = "neon")]
unsafe fn transform_input(w: &Winograd, first: usize, tiles: usize) {
    // SAFETY: the caller's promises, passed on.
    unsafe {
        match w.stride {
            4 => input::<Twos>(w, first, tiles),
            _ => input::<int16x8_t>(w, first, tiles),
        }
    }
}

/// The same for one kind of vectors: 32 registers hold nearly a whole tile's numbers.
#[inline(never)]
#[target_feature(enable = "neon")]
unsafe fn input<W: Bytes>(w: &Winograd, first: usize, tiles: usize) {
    let step = TILE * w.stride;
    for tile in (0..tiles).step_by(W::TOGETHER) {
        for c in (0..w.stride).step_by(W::N) {
            let at = (first + tile) * step + c;
            // SAFETY: the caller's rows hold the tiles' columns and SLACK more, v the tiles.
            unsafe {
                let columns = each!([0 1 2 3 4 5] J => input_column(
                    each!([0 1 2 3 4 5] I => W::widen(w.rows[I].add(at + J * w.stride), step))
                ));
                let to = w.v.add(tile * w.stride + c);
                each!([0 1 2 3 4 5] I => {
                    let row = input_column(each!([0 1 2 3 4 5] J => columns[J][I]));
                    each!([0 1 2 3 4 5] J => row[J].store(to.add((SIDE * I + J) * pitch(w.stride))));
                });
            }
        }
    }
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
        // SAFETY: the caller's promises, passed on.
        unsafe { sums::<P, Q>(block) }
    }
}

/// See [`Sums::products`].
#[inline(always)]
unsafe fn sums<const P: usize, const Q: usize>(block: &Block) {
    let (v, w, inputs) = (block.v, block.w, block.inputs);
    // SAFETY: the block's buffers hold the inputs of `P` tiles, a multiple of 4 for each, their
    // weights and sums.
    unsafe {
        let mut acc = [[vdupq_n_s32(0); Q]; P];
        for k in (0..inputs).step_by(4) {
            let mut x = [vdup_n_s16(0); P];
            for (p, x) in x.iter_mut().enumerate() {
                *x = vld1_s16(v.add(p * inputs + k));
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
    static NEON, int32x4_t, inputs |stride| POSITIONS * pitch(stride), transform_input, gives Bytes | Floats, most 4,
    [1: 6 2, 2: 6 2, 3: 6 2, 4: 4 2]
);

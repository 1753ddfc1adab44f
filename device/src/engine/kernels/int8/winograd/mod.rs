//! INT8 by Winograd F(4x4,3x3) in whole numbers: 36 products where a convolution has 144, and to the
//! last bit the same sums. For machines whose fastest exact products are of 16 bits.
//!
//! The filter transform of Lavin and Gray ("Fast Algorithms for Convolutional Neural Networks",
//! 2016) divides by 4, 6 and 24. Here its rows are multiplied until they are whole, by 24, 6, 6, 24,
//! 24 and 6, and its results come out as 24, 12, 6 and 6 times the true ones in each direction: 9
//! times a power of two. Input transforms of bytes stay within 68 * 255 and filter transforms within
//! 49 * 128, which 16 bits hold. Sums and output transforms wrap at 32 bits; multiplying by the
//! inverse of 9 modulo 2^32 and shifting right gives the true sum of a convolution whenever that is
//! below 2^25, as it is for [`MOST_INPUTS`] channels.

mod kernel;
#[cfg(target_arch = "aarch64")]
mod neon;
mod transforms;
#[cfg(target_arch = "x86_64")]
mod x86;

/// What [`Words`] and [`Sums`] do lane by lane, of vectors or of structs that hold one.
macro_rules! lane_by_lane {
    ($number:ty, $store:path, $add:path, $sub:path, $quadruple:path) => {
        lane_by_lane!(@ $number, $store, $add, $sub, $quadruple, v => v, r => r);
    };
    ($number:ty, $store:path, $add:path, $sub:path, $quadruple:path, inside) => {
        lane_by_lane!(@ $number, $store, $add, $sub, $quadruple, v => v.0, r => Self(r));
    };
    (
        @ $number:ty, $store:path, $add:path, $sub:path, $quadruple:path,
        $v:ident => $inner:expr, $r:ident => $outer:expr
    ) => {
        #[inline(always)]
        unsafe fn store(self, to: *mut $number) {
            let $v = self;
            // SAFETY: the caller points at as many numbers as the vector holds.
            unsafe { $store(to.cast(), $inner) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            let $v = self;
            let one = $inner;
            let $v = other;
            // SAFETY: arithmetic on values only.
            let $r = unsafe { $add(one, $inner) };
            $outer
        }

        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            let $v = self;
            let one = $inner;
            let $v = other;
            // SAFETY: arithmetic on values only.
            let $r = unsafe { $sub(one, $inner) };
            $outer
        }

        #[inline(always)]
        unsafe fn quadruple(self) -> Self {
            let $v = self;
            // SAFETY: arithmetic on values only.
            let $r = unsafe { $quadruple($inner) };
            $outer
        }
    };
}

use lane_by_lane;

#[cfg(target_arch = "aarch64")]
pub(super) use neon::NEON;
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{AVX2, AVX2_NARROW};

use super::{Out, Unpacked};
use crate::engine::kernels::blocks;

/// Pixels of a tile's side.
pub(in crate::engine) const TILE: usize = 4;
/// Products of a tile for each pair of channels.
pub(in crate::engine) const POSITIONS: usize = 36;
/// Input channels come in multiples of this.
const INPUTS: usize = 4;
/// Most input channels: 9 * 112 * 255 * 128 is below 2^25.
const MOST_INPUTS: usize = 112;
/// Tiles transformed at a time: the largest block, which fewer would not fill.
const TILES: usize = 12;
/// Tiles past the last one that a block may touch, and one.
const MORE: usize = 12;
/// The inverse of 9 modulo 2^32.
const NINTH: i32 = 0x38E3_8E39;

/// Four rows of a 3x3 convolution.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Winograd {
    /// Tiles of four by four pixels.
    pub tiles: usize,
    /// The column before the first pixel, in the row before the first and the five after it.
    pub rows: [*const u8; 6],
    /// Channels of an input column, a multiple of [`INPUTS`].
    pub stride: usize,
    /// Vectors of output channels.
    pub vectors: usize,
    /// As packed.
    pub weights: *const i16,
    /// One for each output channel, zero points included.
    pub bias: *const i32,
    /// One for each output channel.
    pub multiplier: *const f32,
    /// Zero point of the results.
    pub zero: i32,
    /// `[pixel][outputs]` of each row.
    pub out: [Out; TILE],
    /// Transformed inputs: `[WinogradKernel::tiles][36][stride]`.
    pub v: *mut i16,
    /// Products: `[WinogradKernel::tiles][36][outputs][WinogradKernel::parts]`.
    pub m: *mut i32,
}

/// A kernel that computes four rows of a 3x3 convolution at once.
pub(in crate::engine) struct WinogradKernel {
    /// Output channels are computed in multiples of this.
    pub lanes: usize,
    /// Numbers that a product is kept in until the end.
    pub parts: usize,
    /// Fewest input channels for which it is the faster way.
    least: usize,
    /// Tiles that scratch memory holds.
    pub tiles: usize,
    /// Lays weights out.
    pub pack: fn(&Unpacked<'_>) -> Vec<i16>,
    /// Convolves four rows. `rows` hold `4 * tiles + 2` columns, `out` `4 * tiles` pixels of each.
    pub run: unsafe fn(&Winograd),
}

impl WinogradKernel {
    /// Whether to compute a layer of `taps` a side and `stride` channels in an input column this way.
    pub fn takes(&self, taps: usize, stride: usize) -> bool {
        let inputs = self.least..=MOST_INPUTS;
        taps == 3 && stride.is_multiple_of(INPUTS) && inputs.contains(&stride)
    }
}

/// Vectors of i16, one input channel a lane, always inlined into functions that enable their
/// instructions.
///
/// # Safety
/// Callers run on a machine with the type's instructions.
unsafe trait Words: Copy {
    /// Channels in a vector.
    const N: usize;
    /// `N` bytes as they lie, signed where they are flipped.
    unsafe fn load(from: *const u8) -> Self;
    /// `N` numbers, unaligned.
    unsafe fn store(self, to: *mut i16);
    /// Lane by lane.
    unsafe fn add(self, other: Self) -> Self;
    /// Lane by lane.
    unsafe fn sub(self, other: Self) -> Self;
    /// Times four.
    unsafe fn quadruple(self) -> Self;
}

/// Vectors of i32, always inlined into functions that enable their instructions. Arithmetic wraps.
///
/// # Safety
/// Callers run on a machine with the type's instructions.
unsafe trait Sums: Copy {
    /// Output channels in a vector.
    const N: usize;
    /// Numbers that a channel's sum is kept in: some of the inputs in each.
    const PARTS: usize;
    /// Inputs whose products one instruction makes.
    const TOGETHER: usize;
    /// `N * PARTS` numbers, unaligned.
    unsafe fn load(from: *const i32) -> Self;
    /// `N * PARTS` numbers, unaligned.
    unsafe fn store(self, to: *mut i32);
    /// Lane by lane.
    unsafe fn add(self, other: Self) -> Self;
    /// Lane by lane.
    unsafe fn sub(self, other: Self) -> Self;
    /// Times four.
    unsafe fn quadruple(self) -> Self;
    /// Sums of the products of `inputs` channels of `P` tiles, `tile` numbers apart, with `Q`
    /// vectors of weights for each group of [`Self::TOGETHER`] inputs.
    unsafe fn products<const P: usize, const Q: usize>(
        v: *const i16,
        tile: usize,
        inputs: usize,
        w: *const i16,
    ) -> [[Self; Q]; P];
}

/// What becomes of [`Sums`]: requantised bytes, or floats.
///
/// # Safety
/// As [`Sums`].
unsafe trait Finish<T>: Sums {
    /// Makes true sums of four pixels' (times [`NINTH`], shifted right by `shifts`), adds the bias
    /// and stores what `T` stands for from `to` on, pixels `stride` numbers apart.
    unsafe fn finish(
        pixels: [Self; TILE],
        shifts: [i32; TILE],
        channels: &Channels,
        to: *mut T,
        stride: usize,
    );
}

/// What the sums of a vector's channels are multiplied by.
struct Channels {
    bias: *const i32,
    multiplier: *const f32,
    zero: i32,
}

/// `[position][block][group of inputs][vector][lane][input of the group]`, blocks of at most `most`
/// vectors.
fn pack<V: Sums>(layer: &Unpacked<'_>, most: usize) -> Vec<i16> {
    let vectors = layer.outputs.div_ceil(V::N);
    let mut packed = Vec::with_capacity(POSITIONS * vectors * V::N * layer.stride);
    for position in 0..POSITIONS {
        blocks(vectors, most, |q, first| {
            for group in (0..layer.stride).step_by(V::TOGETHER) {
                for o in first * V::N..(first + q) * V::N {
                    let inputs = group..group + V::TOGETHER;
                    packed.extend(inputs.map(|i| transformed(layer, o, i, position)));
                }
            }
        });
    }
    packed
}

/// Element `position` (row * 6 + column) of the whole filter transform.
fn transformed(layer: &Unpacked<'_>, o: usize, i: usize, position: usize) -> i16 {
    const FILTER: [[i16; 3]; 6] = [
        [6, 0, 0],
        [-1, -1, -1],
        [-1, 1, -1],
        [1, 2, 4],
        [1, -2, 4],
        [0, 0, 6],
    ];
    let (rows, columns) = (FILTER[position / 6], FILTER[position % 6]);
    let mut sum = 0;
    for (ky, a) in rows.into_iter().enumerate() {
        for (kx, b) in columns.into_iter().enumerate() {
            sum += a * b * i16::from(layer.weight(o, ky, kx * layer.stride + i));
        }
    }
    sum
}

#[cfg(test)]
mod tests;

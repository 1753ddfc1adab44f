//! INT8 by Winograd F(4x4,3x3) in whole numbers: 36 products where a convolution has 144, and to the
//! last bit the same sums. For machines whose fastest exact products are of 16 bits.
//!
//! The filter transform of Lavin and Gray ("Fast Algorithms for Convolutional Neural Networks",
//! 2016) divides by 4, 6 and 24. Here its rows are multiplied until they are whole, by 24, 6, 6, 24,
//! 24 and 6, and its results come out as 24, 12, 6 and 6 times the true ones in each direction: 9
//! times a power of two. Input transforms of bytes stay within 68 * 255 and filter transforms within
//! 49 * 128, which 16 bits hold. Sums and output transforms wrap at 32 bits; multiplying by the
//! inverse of 9 modulo 2^32 gives a convolution's true sum times 4 to 64, whenever that sum is below
//! [`MOST_SUM`]. The power of two goes into the multiplier: floats of sums times 2^s and multipliers
//! by 2^s have the products of floats of sums and multipliers, to the last bit.
//!
//! The bias takes part in one product only: the transforms' point 1 has a share of 36 in every pixel
//! of a tile, times what the pixel's sum lies above the true one.

mod kernel;
#[cfg(target_arch = "aarch64")]
mod neon;
mod transforms;
#[cfg(target_arch = "x86_64")]
mod x86;

/// What [`Words`] and [`Sums`] do lane by lane, of vectors or of structs that hold one.
macro_rules! lane_by_lane {
    ($add:path, $sub:path, $quadruple:path) => {
        lane_by_lane!(@ $add, $sub, $quadruple, v => v, r => r);
    };
    ($add:path, $sub:path, $quadruple:path, inside) => {
        lane_by_lane!(@ $add, $sub, $quadruple, v => v.0, r => Self(r));
    };
    (
        @ $add:path, $sub:path, $quadruple:path,
        $v:ident => $inner:expr, $r:ident => $outer:expr
    ) => {
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
/// Rows and columns that a tile's convolution reads.
const SIDE: usize = TILE + 2;
/// Products of a tile for each pair of channels.
const POSITIONS: usize = SIDE * SIDE;
/// Input channels come in multiples of this.
const INPUTS: usize = 4;
/// Most input channels: of so many even the largest weights' sums stay below [`MOST_SUM`], without a
/// bias.
const MOST_INPUTS: usize = 112;
/// Sums of a convolution and its bias lie below: 64 times as much must fit 32 bits.
const MOST_SUM: i64 = 1 << 25;
/// Tiles transformed at a time: a multiple of every block, so that none touches more.
const TILES: usize = 12;
/// Numbers past a row's last one that its vectors may touch.
const MORE: usize = 16;
/// The inverse of 9 modulo 2^32.
const NINTH: i32 = 0x38E3_8E39;

/// Four rows of a 3x3 convolution.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Winograd {
    /// Tiles of four by four pixels.
    pub tiles: usize,
    /// The column before the first pixel, in the row before the first and the five after it.
    pub rows: [*const u8; SIDE],
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
    /// [`WinogradKernel::inputs`] numbers: transformed inputs, `[36][TILES * stride + MORE]`, and
    /// what the transform keeps behind them.
    pub v: *mut i16,
    /// [`WinogradKernel::products`] numbers: `[36][TILES][outputs][parts]`.
    pub m: *mut i32,
}

/// A kernel that computes four rows of a 3x3 convolution at once.
pub(in crate::engine) struct WinogradKernel {
    /// Output channels are computed in multiples of this.
    pub lanes: usize,
    /// Numbers that a product is kept in until the end.
    parts: usize,
    /// Numbers of [`Winograd::v`] for so many channels.
    pub inputs: fn(usize) -> usize,
    /// Lays weights out.
    pub pack: fn(&Unpacked<'_>) -> Vec<i16>,
    /// Convolves four rows. `rows` hold `4 * tiles + 2` columns and SLACK more, `out` `4 * tiles`
    /// pixels of each.
    pub run: unsafe fn(&Winograd),
}

impl WinogradKernel {
    /// Whether to compute a layer of `taps` a side and `stride` channels in an input column this
    /// way, whose sums with their bias stay within `bound`.
    pub fn takes(&self, taps: usize, stride: usize, bound: i64) -> bool {
        let inputs = stride.is_multiple_of(INPUTS) && stride <= MOST_INPUTS;
        taps == 3 && inputs && bound < MOST_SUM
    }

    /// Numbers of [`Winograd::m`] for `outputs` channels.
    pub fn products(&self, outputs: usize) -> usize {
        POSITIONS * TILES * outputs * self.parts
    }
}

/// Numbers from a position's transformed inputs to the next one's.
fn pitch(stride: usize) -> usize {
    TILES * stride + MORE
}

/// 2^-`shift`.
fn fraction(shift: usize) -> f32 {
    1.0 / (1 << shift) as f32
}

/// Vectors of i16, always inlined into functions that enable their instructions.
///
/// # Safety
/// Callers run on a machine with the type's instructions.
unsafe trait Words: Copy {
    /// Lanes.
    const N: usize;
    /// Tiles in a vector: few channels leave room for more than one. Vectors of one tile take any
    /// number of channels; what they have too many the next tile's overwrites.
    const TOGETHER: usize;
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
    /// Sums of `N` numbers.
    unsafe fn spread(from: *const i32) -> Self;
    /// Lane by lane.
    unsafe fn add(self, other: Self) -> Self;
    /// Lane by lane.
    unsafe fn sub(self, other: Self) -> Self;
    /// Times four.
    unsafe fn quadruple(self) -> Self;
    /// Sums of the products of `P` tiles with `Q` vectors of weights for each group of
    /// [`Self::TOGETHER`] inputs.
    unsafe fn products<const P: usize, const Q: usize>(block: &Block);
}

/// Some tiles and output channels of one of the 36 products.
struct Block {
    /// `[tile][inputs]`.
    v: *const i16,
    inputs: usize,
    /// As packed.
    w: *const i16,
    /// Where the sums go.
    m: *mut i32,
    /// Numbers from a tile's sums to the next one's.
    step: usize,
}

/// What becomes of [`Sums`]: requantised bytes, or floats.
///
/// # Safety
/// As [`Sums`].
unsafe trait Finish<T>: Sums {
    /// What the sums of a vector's channels are multiplied by.
    type Scale: Copy;
    /// Multipliers of sums that lie 2^`shift` above the true ones.
    unsafe fn scale(multiplier: *const f32, shift: usize) -> Self::Scale;
    /// Divides four pixels' sums by 9, multiplies them by their scales and stores what `T` stands
    /// for from `to` on, pixels `stride` numbers apart; bytes get `zero` added.
    unsafe fn finish(
        pixels: [Self; TILE],
        scales: [Self::Scale; TILE],
        zero: i32,
        to: *mut T,
        stride: usize,
    );
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

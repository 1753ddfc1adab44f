//! INT8 by Winograd F(2x2,3x3) in whole numbers, for AVX2, whose products are of 16 bits: 16 of them
//! where a convolution has 36, and still exact.
//!
//! The input transform of bytes stays within 4 * 255, the filter transform, taken twice in each
//! direction to be whole, within 9 * 128; sums over 512 channels and their output transform are four
//! times the true sum, which fits in 32 bits.

use std::arch::x86_64::*;
use std::array::from_fn;

use super::{Ints, Out, Pair, PairKernel, Unpacked};
use crate::engine::kernels::{blocks, cover};

/// Tiles transformed at a time.
const TILES: usize = 12;
/// Tiles past the last one that a block may touch.
const MORE: usize = 6;
/// Input channels come in multiples of this.
const INPUTS: usize = 16;
/// Output channels come in multiples of this.
const LANES: usize = 8;
/// Most vectors of output channels in a block.
const MOST: usize = 2;

pub(super) static AVX2: PairKernel = PairKernel {
    inputs: INPUTS,
    tiles: TILES + MORE,
    pack,
    run: pair,
};

/// `[position][block][pair of inputs][vector][lane][2]`.
fn pack(layer: &Unpacked<'_>) -> Vec<i16> {
    let vectors = layer.outputs.div_ceil(LANES);
    let mut packed = Vec::with_capacity(16 * vectors * LANES * layer.stride);
    for position in 0..16 {
        blocks(vectors, MOST, |q, first| {
            for pair in 0..layer.stride / 2 {
                for o in first * LANES..(first + q) * LANES {
                    packed.extend([0, 1].map(|i| transformed(layer, o, 2 * pair + i, position)));
                }
            }
        });
    }
    packed
}

/// Element `position` (row * 4 + column) of `2 G g (2 G)^T`.
fn transformed(layer: &Unpacked<'_>, o: usize, i: usize, position: usize) -> i16 {
    const FILTER: [[i16; 3]; 4] = [[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]];
    let (rows, columns) = (FILTER[position / 4], FILTER[position % 4]);
    let mut sum = 0;
    for (ky, a) in rows.into_iter().enumerate() {
        for (kx, b) in columns.into_iter().enumerate() {
            sum += a * b * i16::from(layer.weight(o, ky, kx * layer.stride + i));
        }
    }
    sum
}

/// Computes two rows.
///
/// # Safety
/// As [`PairKernel::run`]; the machine has AVX2.
#[target_feature(enable = "avx2,fma")]
unsafe fn pair(pair: &Pair) {
    let outputs = pair.vectors * LANES;
    let mut first = 0;
    while first < pair.tiles {
        let tiles = TILES.min(pair.tiles - first);
        // SAFETY: the caller's promises; v and m hold TILES + MORE tiles.
        unsafe {
            transform_input(pair, first, tiles);
            for position in 0..16 {
                blocks(pair.vectors, MOST, |q, vector| {
                    let before = position * pair.vectors + vector;
                    let w = pair.weights.add(before * LANES * pair.stride);
                    let v = pair.v.add(position * pair.stride);
                    let m = pair.m.add(before * LANES);
                    match q {
                        1 => cover(tiles, 6, 2, |fits, t| match fits {
                            true => products::<6, 1>(pair, v, w, m, t),
                            false => products::<2, 1>(pair, v, w, m, t),
                        }),
                        _ => cover(tiles, 6, 2, |fits, t| match fits {
                            true => products::<6, 2>(pair, v, w, m, t),
                            false => products::<2, 2>(pair, v, w, m, t),
                        }),
                    }
                });
            }
            for tile in 0..tiles {
                for c in (0..outputs).step_by(LANES) {
                    transform_output(pair, first + tile, tile, c, outputs);
                }
            }
        }
        first += tiles;
    }
}

/// B^T d B of `tiles` tiles, 16 channels at a time.
#[target_feature(enable = "avx2,fma")]
unsafe fn transform_input(pair: &Pair, first: usize, tiles: usize) {
    #[inline(always)]
    fn across(d: [__m256i; 4]) -> [__m256i; 4] {
        // SAFETY: arithmetic on values only.
        unsafe {
            [
                _mm256_sub_epi16(d[0], d[2]),
                _mm256_add_epi16(d[1], d[2]),
                _mm256_sub_epi16(d[2], d[1]),
                _mm256_sub_epi16(d[1], d[3]),
            ]
        }
    }
    for tile in 0..tiles {
        for c in (0..pair.stride).step_by(INPUTS) {
            // SAFETY: the caller's rows hold the tiles' columns, v the tiles.
            unsafe {
                let at = 2 * (first + tile) * pair.stride + c;
                let columns: [_; 4] = from_fn(|j| {
                    across(from_fn(|i| {
                        let from = pair.rows[i].add(at + j * pair.stride);
                        _mm256_cvtepu8_epi16(_mm_loadu_si128(from.cast()))
                    }))
                });
                let to = pair.v.add(16 * tile * pair.stride + c);
                #[expect(clippy::needless_range_loop, reason = "i counts within columns")]
                for i in 0..4 {
                    let row = across(from_fn(|j| columns[j][i]));
                    for (j, value) in row.into_iter().enumerate() {
                        let to = to.add((4 * i + j) * pair.stride);
                        _mm256_storeu_si256(to.cast(), value);
                    }
                }
            }
        }
    }
}

/// `P` tiles from tile `t` on, of one position, times `Q` vectors of outputs.
#[target_feature(enable = "avx2,fma")]
unsafe fn products<const P: usize, const Q: usize>(
    pair: &Pair,
    v: *const i16,
    w: *const i16,
    m: *mut i32,
    t: usize,
) {
    // SAFETY: v and m hold the block's tiles, w its weights.
    unsafe {
        let (v, m) = (
            v.add(16 * t * pair.stride),
            m.add(16 * t * pair.vectors * LANES),
        );
        let mut acc = [[_mm256_setzero_si256(); Q]; P];
        for k in 0..pair.stride / 2 {
            let mut weights = [_mm256_setzero_si256(); Q];
            for (q, weights) in weights.iter_mut().enumerate() {
                *weights = _mm256_loadu_si256(w.add((k * Q + q) * 2 * LANES).cast());
            }
            for (p, acc) in acc.iter_mut().enumerate() {
                let x = v.add(16 * p * pair.stride + 2 * k).cast::<i32>();
                let x = _mm256_set1_epi32(x.read_unaligned());
                for (acc, w) in acc.iter_mut().zip(&weights) {
                    *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(x, *w));
                }
            }
        }
        for (p, acc) in acc.iter().enumerate() {
            for (q, value) in acc.iter().enumerate() {
                let to = m.add(16 * p * pair.vectors * LANES + q * LANES);
                _mm256_storeu_si256(to.cast(), *value);
            }
        }
    }
}

/// A^T m A of one tile and eight channels, a quarter of it, bias and requantisation.
#[target_feature(enable = "avx2,fma")]
unsafe fn transform_output(pair: &Pair, at: usize, tile: usize, c: usize, outputs: usize) {
    #[inline(always)]
    fn across(m: [__m256i; 4]) -> [__m256i; 2] {
        // SAFETY: arithmetic on values only.
        unsafe {
            [
                _mm256_add_epi32(_mm256_add_epi32(m[0], m[1]), m[2]),
                _mm256_sub_epi32(_mm256_sub_epi32(m[1], m[2]), m[3]),
            ]
        }
    }
    // SAFETY: m holds the tile, bias and multiplier every channel, out the tile's pixels.
    unsafe {
        let m = pair.m.add(16 * tile * outputs + c);
        let columns: [_; 4] = from_fn(|j| {
            across(from_fn(|i| {
                _mm256_loadu_si256(m.add((4 * i + j) * outputs).cast())
            }))
        });
        let bias = <__m256i as Ints>::load(pair.bias.add(c));
        let multiplier = pair.multiplier.add(c);
        for (i, out) in pair.out.into_iter().enumerate() {
            let row = across(from_fn(|j| columns[j][i]));
            for (j, value) in row.into_iter().enumerate() {
                let value = _mm256_add_epi32(_mm256_srai_epi32::<2>(value), bias);
                let to = (2 * at + j) * outputs + c;
                match out {
                    Out::Bytes(out) => value.store_bytes(multiplier, pair.zero, out.add(to)),
                    Out::Floats(out) => value.store_floats(multiplier, out.add(to)),
                }
            }
        }
    }
}

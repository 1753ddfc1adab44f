//! INT8 kernels: u8 activations times s8 weights, summed exactly in i32, on `[column][channel]` rows.
//!
//! Every instruction set gives the same bytes: `clamp(round_half_even(sum * multiplier) + zero)`,
//! with one f32 product. The chain was checked so that neither the sum nor its product overflow.

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod winograd;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(in crate::engine) use winograd::{TILE, Winograd, WinogradKernel};

use super::{blocks, cover, split};
use crate::engine::isa::Isa;

/// One layer's weights before they are laid out for kernels.
pub(in crate::engine) struct Unpacked<'a> {
    /// `[output][input][row][column]`.
    pub weights: &'a [i8],
    /// Output channels.
    pub outputs: usize,
    /// Input channels.
    pub inputs: usize,
    /// Channels that a column of the input ring holds, a multiple of 4.
    pub stride: usize,
    /// Kernel side.
    pub taps: usize,
}

impl Unpacked<'_> {
    /// Weight of output `o` for byte `at` of the run of `taps * stride` bytes in kernel row `row`;
    /// 0 where there is none.
    fn weight(&self, o: usize, row: usize, at: usize) -> i8 {
        let (column, i) = (at / self.stride, at % self.stride);
        if o >= self.outputs || i >= self.inputs || column >= self.taps {
            return 0;
        }
        self.weights[((o * self.inputs + i) * self.taps + row) * self.taps + column]
    }

    /// Weights in blocks of vectors: for each block and kernel row, for each group of four bytes of
    /// the run (rounded up to a multiple of `align` bytes), for each vector of the block,
    /// `[lane][4]`, in the byte order that `vector(weights of the group by lane)` gives.
    fn in_vectors(
        &self,
        lanes: usize,
        most: usize,
        align: usize,
        vector: impl Fn(&[[i8; 4]]) -> Vec<u8>,
    ) -> Vec<u8> {
        let groups = (self.taps * self.stride).next_multiple_of(align) / 4;
        let mut packed = Vec::new();
        let mut first = 0;
        for q in split(self.outputs.div_ceil(lanes), most) {
            for row in 0..self.taps {
                for group in 0..groups {
                    for v in first..first + q {
                        let lanes: Vec<[i8; 4]> = (v * lanes..(v + 1) * lanes)
                            .map(|o| [0, 1, 2, 3].map(|b| self.weight(o, row, 4 * group + b)))
                            .collect();
                        packed.extend(vector(&lanes));
                    }
                }
            }
            first += q;
        }
        packed
    }

    /// `[block of 4 outputs][kernel row][16 bytes of the run][4 outputs][16]`.
    fn in_quads(&self) -> Vec<u8> {
        let run = (self.taps * self.stride).next_multiple_of(16);
        let mut packed = Vec::new();
        for block in (0..self.outputs).step_by(4) {
            for row in 0..self.taps {
                for at in (0..run).step_by(16) {
                    for o in block..block + 4 {
                        packed.extend((at..at + 16).map(|b| self.weight(o, row, b) as u8));
                    }
                }
            }
        }
        packed
    }
}

/// Where a row's results go.
#[derive(Clone, Copy)]
pub(in crate::engine) enum Out {
    /// Requantised: `clamp(round(sum * multiplier) + zero)`, XOR the kernels' flip.
    Bytes(*mut u8),
    /// `sum * multiplier`.
    Floats(*mut f32),
}

/// A row of convolution.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Row {
    /// Pixels; kernels round it up to their block.
    pub pixels: usize,
    /// First input column of the first pixel, in each of `taps` rows.
    pub rows: [*const u8; 3],
    /// Kernel side: 1 or 3.
    pub taps: usize,
    /// Channels of an input column, a multiple of 4.
    pub stride: usize,
    /// Vectors of output channels; narrow kernels have one of 4.
    pub vectors: usize,
    /// As packed.
    pub weights: *const u8,
    /// One for each output channel, zero points included.
    pub bias: *const i32,
    /// One for each output channel.
    pub multiplier: *const f32,
    /// Zero point of the results.
    pub zero: i32,
    /// `[pixel][outputs]`.
    pub out: Out,
}

/// Kernels for one kind of layer.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Int8Kernel {
    /// Output channels are computed in multiples of this.
    pub lanes: usize,
    /// Lays weights out.
    pub pack: fn(&Unpacked<'_>) -> Vec<u8>,
    /// Convolves a row.
    pub row: unsafe fn(&Row),
}

/// The INT8 kernels of one instruction set.
pub(in crate::engine) struct Int8Kernels {
    /// Activations lie in memory XOR this: 0x80 where the machine multiplies s8 by s8 only.
    pub flip: u8,
    /// For any layer.
    pub wide: Int8Kernel,
    /// For a last layer (floats out) of at most 4 channels, where that is faster.
    pub narrow: Option<Int8Kernel>,
    /// For 3x3 layers that it takes, where that is faster.
    pub winograd: Option<&'static WinogradKernel>,
    /// The same for a last layer (floats out) of at most 4 channels.
    pub winograd_narrow: Option<&'static WinogradKernel>,
}

/// The kernels of an instruction set that this machine has.
pub(in crate::engine) fn kernels(isa: Isa) -> &'static Int8Kernels {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => &x86::AVX2,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => &x86::AVX512,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => &neon::NEON,
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot => &neon::NEON_DOT,
        _ => &portable::PORTABLE,
    }
}

/// Turns `sum * multiplier` into a residual that went through quantisation: rounded half to even,
/// clamped to `low..=high`.
pub(in crate::engine) fn settle(values: &mut [f32], low: f32, high: f32) {
    // 1.5 * 2^23: adding it rounds half to even, for values this small.
    const ROUND: f32 = 12_582_912.0;
    for value in values {
        let v = if *value > low { *value } else { low };
        let v = if v < high { v } else { high };
        *value = (v + ROUND) - ROUND;
    }
}

/// Vectors of i32, one output channel a lane, always inlined into functions that enable their
/// instructions.
///
/// # Safety
/// Callers run on a machine with the type's instructions.
unsafe trait Ints: Copy {
    /// Channels in a vector.
    const N: usize;
    /// Bytes of packed weights for four inputs.
    const GROUP: usize;
    /// Runs are packed in multiples of this many bytes.
    const ALIGN: usize;
    /// `N` numbers, unaligned.
    unsafe fn load(from: *const i32) -> Self;
    /// Adds the products of `run` bytes for P pixels `stride` bytes apart.
    unsafe fn accumulate<const P: usize, const Q: usize>(
        acc: &mut [[Self; Q]; P],
        a: *const u8,
        stride: usize,
        run: usize,
        w: *const u8,
    );
    /// Stores `N` requantised bytes.
    unsafe fn store_bytes(self, multiplier: *const f32, zero: i32, to: *mut u8);
    /// Stores `N` products with the multiplier.
    unsafe fn store_floats(self, multiplier: *const f32, to: *mut f32);
}

/// `P` pixels times `Q` vectors of outputs, from output channel `c` on.
#[inline(always)]
unsafe fn pixels<V: Ints, const P: usize, const Q: usize>(
    row: &Row,
    first: usize,
    weights: *const u8,
    c: usize,
) {
    // SAFETY: rows hold the block's pixels and SLACK more, as do weights, bias and out.
    unsafe {
        let mut acc = [V::load(row.bias.add(c)); Q];
        for (q, value) in acc.iter_mut().enumerate() {
            *value = V::load(row.bias.add(c + q * V::N));
        }
        let mut acc = [acc; P];
        let run = row.taps * row.stride;
        let size = run.next_multiple_of(V::ALIGN) / 4 * V::GROUP * Q;
        for (tap, from) in row.rows.iter().take(row.taps).enumerate() {
            let from = from.add(first * row.stride);
            V::accumulate(&mut acc, from, row.stride, run, weights.add(tap * size));
        }
        let outputs = row.vectors * V::N;
        let multiplier = row.multiplier.add(c);
        // Two loops and not one with a branch inside: each must unroll, or the sums live in memory.
        match row.out {
            Out::Bytes(to) => {
                let to = to.add(first * outputs + c);
                for (p, acc) in acc.iter().enumerate() {
                    for (q, value) in acc.iter().enumerate() {
                        let to = to.add(p * outputs + q * V::N);
                        value.store_bytes(multiplier.add(q * V::N), row.zero, to);
                    }
                }
            }
            Out::Floats(to) => {
                let to = to.add(first * outputs + c);
                for (p, acc) in acc.iter().enumerate() {
                    for (q, value) in acc.iter().enumerate() {
                        let to = to.add(p * outputs + q * V::N);
                        value.store_floats(multiplier.add(q * V::N), to);
                    }
                }
            }
        }
    }
}

/// A row function for a vector type: block sizes are `vectors: big small` in pixels.
macro_rules! row {
    (
        $(#[$enable:meta])* fn $name:ident, $block:ident, $ints:ty, most $most:literal,
        [$($q:literal: $big:literal $small:literal),*]
    ) => {
        $(#[$enable])*
        unsafe fn $block<const P: usize, const Q: usize>(
            row: &Row, first: usize, weights: *const u8, c: usize,
        ) {
            // SAFETY: the caller's promises, passed on.
            unsafe { pixels::<$ints, P, Q>(row, first, weights, c) }
        }

        $(#[$enable])*
        unsafe fn $name(row: &Row) {
            let run = (row.taps * row.stride).next_multiple_of(<$ints>::ALIGN);
            blocks(row.vectors, $most, |q, vector| {
                // SAFETY: offsets stay inside the buffers that the caller describes.
                unsafe {
                    let size = row.taps * run / 4 * <$ints>::GROUP;
                    let weights = row.weights.add(vector * size);
                    let c = vector * <$ints>::N;
                    match q {
                        $($q => cover(row.pixels, $big, $small, |fits, first| {
                            if fits {
                                $block::<$big, $q>(row, first, weights, c);
                            } else {
                                $block::<$small, $q>(row, first, weights, c);
                            }
                        }),)*
                        _ => unreachable!("blocks are at most {} vectors", $most),
                    }
                }
            });
        }
    };
}

use row;

#[cfg(test)]
mod tests;

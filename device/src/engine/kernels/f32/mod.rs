//! f32 kernels: Winograd F(4x4,3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural
//! Networks", 2015) and direct convolution, on `[column][channel]` rows.

mod generic;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod table;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::engine::isa::Isa;

/// Products of 36 tile positions: `m[tile][position][output] = v[tile][position][input] * u`.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Multiply {
    /// Number of tiles; kernels round it up to their block.
    pub tiles: usize,
    /// Input channels, a multiple of 4.
    pub inputs: usize,
    /// Vectors of output channels (see [`super::split`] for how they are blocked).
    pub vectors: usize,
    /// `[tile][36][inputs]`, tiles `v_stride` floats apart.
    pub v: *const f32,
    /// Floats from one tile to the next.
    pub v_stride: usize,
    /// `[36][block][inputs][block's channels]`; narrow: `[36][inputs / 4][4 outputs][4 inputs]`.
    pub u: *const f32,
    /// `[tile][36][outputs]`; narrow: `[tile][36][4 outputs][4 partial sums]`.
    pub m: *mut f32,
    /// Floats from one tile to the next.
    pub m_stride: usize,
}

/// What follows a convolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::engine) enum Activation {
    /// Nothing.
    None,
    /// Negative sums become 0.
    Relu,
    /// As `Relu`, and no sum exceeds this.
    Clip(f32),
}

/// A row of direct convolution.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Direct {
    /// Pixels; kernels round it up to their block.
    pub pixels: usize,
    /// First input column of the first pixel, in each of `taps` rows.
    pub rows: [*const f32; 3],
    /// Kernel side: 1 or 3.
    pub taps: usize,
    /// Input channels, a multiple of 4.
    pub inputs: usize,
    /// Vectors of output channels.
    pub vectors: usize,
    /// `[block][taps][taps * inputs][block's channels]`.
    pub weights: *const f32,
    /// One for each output channel.
    pub bias: *const f32,
    /// What becomes of sums.
    pub activation: Activation,
    /// `[pixel][outputs]`.
    pub out: *mut f32,
}

/// Where transformed products go.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Output {
    /// Number of tiles, exactly.
    pub tiles: usize,
    /// As [`Multiply::m`].
    pub m: *const f32,
    /// Floats from one tile to the next.
    pub m_stride: usize,
    /// Vectors of output channels.
    pub vectors: usize,
    /// One for each output channel; narrow: 4, repeated 4 times.
    pub bias: *const f32,
    /// What becomes of sums.
    pub activation: Activation,
    /// First pixel of the first tile in each of 4 rows, `[pixel][outputs]`.
    pub rows: [*mut f32; 4],
}

/// The f32 kernels of one instruction set.
pub(in crate::engine) struct F32Kernels {
    /// Floats in a vector; feature maps have a multiple of this many channels.
    pub lanes: usize,
    /// Most vectors of output channels in a block.
    pub most_vectors: usize,
    /// Input transform: 6 rows from column `4 * tile - 1` on, `inputs` channels (a multiple of
    /// `lanes`), `tiles`, to `v[tile][36][inputs]` with a tile stride.
    pub transform_input: unsafe fn([*const f32; 6], usize, usize, *mut f32, usize),
    /// The 36 matrix products.
    pub multiply: unsafe fn(&Multiply),
    /// Output transform, bias and ReLU.
    pub transform_output: unsafe fn(&Output),
    /// The 36 products for at most 4 outputs.
    pub multiply_narrow: unsafe fn(&Multiply),
    /// Output transform, sum of partial sums and bias for at most 4 outputs.
    pub transform_output_narrow: unsafe fn(&Output),
    /// Direct convolution.
    pub direct: unsafe fn(&Direct),
    /// Bytes to floats.
    pub widen: unsafe fn(&[u8], &mut [f32]),
}

/// The kernels of an instruction set that this machine has.
pub(in crate::engine) fn kernels(isa: Isa) -> &'static F32Kernels {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => &x86::avx2::TABLE,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => &x86::avx512::TABLE,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon | Isa::NeonDot => &neon::table::TABLE,
        _ => &portable::table::TABLE,
    }
}

#[cfg(test)]
mod tests;

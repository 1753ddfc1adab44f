//! The ends of a chain: camera bytes to blocks of channels (SpaceToDepth), residual blocks to rows
//! (DepthToSpace). Both are copies of runs of `scale * C` samples, because ONNX numbers a block's
//! channels `(by * scale + bx) * C + c` and camera rows interleave their C planes.

use std::ops::Range;

use crate::engine::rows::{Sink, Source};

/// A frame on its way through the executor.
pub(in crate::engine) struct Io<'a> {
    /// Where samples come from.
    pub source: Source<'a>,
    /// Where restored samples go.
    pub sink: Sink<'a>,
    /// How much of the residual is wanted, 0..=1.
    pub strength: f32,
    /// SpaceToDepth factor.
    pub scale: usize,
    /// Planes: 1 or 3.
    pub planes: usize,
}

impl Io<'_> {
    /// Writes block row `y`, block columns `columns`, to `out`: `stride` bytes a block, each byte
    /// XOR `flip`. `scratch` holds a row of samples.
    pub fn load(
        &self,
        y: usize,
        columns: Range<usize>,
        flip: u8,
        scratch: &mut [u8],
        (out, stride): (&mut [u8], usize),
    ) {
        let s = self.scale;
        for by in 0..s {
            let (x0, x1) = (columns.start * s, columns.end * s);
            let row = self.source.row(y * s + by, x0, x1, scratch);
            let run = s * self.planes;
            let to = &mut out[by * run..];
            match run {
                1 => spread::<1>(row, to, stride, flip),
                2 => spread::<2>(row, to, stride, flip),
                3 => spread::<3>(row, to, stride, flip),
                4 => spread::<4>(row, to, stride, flip),
                6 => spread::<6>(row, to, stride, flip),
                _ => spread::<12>(row, to, stride, flip),
            }
        }
    }

    /// Adds the residual of block row `y` from block column `x` on: `stride` floats a block, in
    /// bytes. `line` holds a row of samples.
    ///
    /// # Safety
    /// As [`Sink::write`]: no other thread writes these blocks.
    pub unsafe fn store(
        &self,
        y: usize,
        x: usize,
        (residual, stride): (&[f32], usize),
        line: &mut [f32],
    ) {
        let s = self.scale;
        let run = s * self.planes;
        let line = &mut line[..residual.len() / stride * run];
        for by in 0..s {
            let from = &residual[by * run..];
            match run {
                1 => gather::<1>(from, line, stride),
                2 => gather::<2>(from, line, stride),
                3 => gather::<3>(from, line, stride),
                4 => gather::<4>(from, line, stride),
                6 => gather::<6>(from, line, stride),
                _ => gather::<12>(from, line, stride),
            }
            // SAFETY: the caller's promise.
            unsafe { self.sink.write(y * s + by, x * s, line) };
        }
    }
}

fn spread<const RUN: usize>(from: &[u8], to: &mut [u8], stride: usize, flip: u8) {
    let (from, _) = from.as_chunks::<RUN>();
    for (to, from) in to.chunks_mut(stride).zip(from) {
        if let Some(to) = to.first_chunk_mut::<RUN>() {
            *to = from.map(|byte| byte ^ flip);
        }
    }
}

fn gather<const RUN: usize>(from: &[f32], to: &mut [f32], stride: usize) {
    let (to, _) = to.as_chunks_mut::<RUN>();
    for (to, from) in to.iter_mut().zip(from.chunks(stride)) {
        if let Some(from) = from.first_chunk::<RUN>() {
            *to = *from;
        }
    }
}

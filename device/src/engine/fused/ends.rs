//! The ends of a chain: camera bytes to blocks of channels (SpaceToDepth), residual blocks to rows
//! (DepthToSpace). Both are copies of runs of `scale * C` samples, because ONNX numbers a block's
//! channels `(by * scale + bx) * C + c` and camera rows interleave their C planes.

use std::ops::Range;

use crate::engine::limit::{Extent, Limit};
use crate::engine::memory::Feedback;
use crate::engine::rows::{Sink, Source};

use super::buffer::Buffer;

/// A frame on its way through the executor.
pub(in crate::engine) struct Io<'a> {
    /// Where samples come from.
    pub source: Source<'a>,
    /// Where restored samples go.
    pub sink: Sink<'a>,
    /// The frame before, for a temporal student; its channels follow the frame's.
    pub feedback: Option<Feedback<'a>>,
    /// The frame that a limited student's samples are held to.
    pub limited: Option<Extent>,
    /// SpaceToDepth factor.
    pub scale: usize,
    /// Planes: 1 or 3.
    pub planes: usize,
}

/// One thread's rows of samples.
pub(in crate::engine) struct Rows {
    /// Bytes, where the frame's cannot be lent.
    pub samples: Buffer<u8>,
    /// Residual.
    pub line: Buffer<f32>,
    /// Of a limited student.
    pub limit: Limit,
}

impl Rows {
    /// Of as many samples.
    pub fn new(samples: usize) -> Self {
        Self {
            samples: Buffer::new(samples),
            line: Buffer::new(samples),
            limit: Limit::default(),
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.samples.bytes() + self.line.bytes() + self.limit.bytes()
    }
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
        let run = s * self.planes;
        let previous = self.feedback.as_ref().map(|f| &f.previous);
        let sources = std::iter::once(&self.source).chain(previous);
        for (source, first) in sources.zip([0, s * run]) {
            for by in 0..s {
                let (x0, x1) = (columns.start * s, columns.end * s);
                let row = source.row(y * s + by, x0, x1, scratch);
                let to = (&mut *out, stride, first + by * run);
                match run {
                    1 => spread::<1>(row, to),
                    2 => spread::<2>(row, to),
                    3 => spread::<3>(row, to),
                    4 => spread::<4>(row, to),
                    6 => spread::<6>(row, to),
                    _ => spread::<12>(row, to),
                }
            }
        }
        // Afterwards and all together: flipped run by run, loading takes four times as long.
        if flip != 0 {
            out.iter_mut().for_each(|byte| *byte ^= flip);
        }
    }

    /// Adds the residual of block row `y` from block column `x` on: `stride` floats a block.
    /// `rows` are the thread's.
    ///
    /// # Safety
    /// As [`Sink::write`]: no other thread writes these blocks.
    pub unsafe fn store(
        &self,
        y: usize,
        x: usize,
        (residual, stride): (&[f32], usize),
        rows: &mut Rows,
    ) {
        let s = self.scale;
        let run = s * self.planes;
        let line = &mut rows.line[..residual.len() / stride * run];
        for by in 0..s {
            let from = (residual, stride, by * run);
            match run {
                1 => gather::<1>(from, line),
                2 => gather::<2>(from, line),
                3 => gather::<3>(from, line),
                4 => gather::<4>(from, line),
                6 => gather::<6>(from, line),
                _ => gather::<12>(from, line),
            }
            let row = y * s + by;
            let columns = x * s..x * s + line.len() / self.planes;
            let bounds = self.limited.map(|extent| {
                let columns = columns.clone();
                rows.limit.row(&self.source, extent, row, columns)
            });
            // SAFETY: the caller's promise.
            unsafe { self.sink.write(row, columns.start, line, bounds) };
            if let Some(feedback) = &self.feedback {
                let (start, end) = (columns.start, columns.end);
                let samples = self.source.row(row, start, end, &mut rows.samples);
                // SAFETY: the caller's promise.
                unsafe { feedback.write((row, start), samples, line, bounds) };
            }
        }
    }
}

/// Runs of samples to `at` in each block of `stride` bytes.
fn spread<const RUN: usize>(from: &[u8], (to, stride, at): (&mut [u8], usize, usize)) {
    let (from, _) = from.as_chunks::<RUN>();
    for (block, from) in to.chunks_exact_mut(stride).zip(from) {
        if let Some(to) = block[at..].first_chunk_mut::<RUN>() {
            *to = *from;
        }
    }
}

/// Runs of samples from `at` in each block of `stride` floats.
fn gather<const RUN: usize>((from, stride, at): (&[f32], usize, usize), to: &mut [f32]) {
    let (to, _) = to.as_chunks_mut::<RUN>();
    for (to, block) in to.iter_mut().zip(from.chunks_exact(stride)) {
        if let Some(from) = block[at..].first_chunk::<RUN>() {
            *to = *from;
        }
    }
}

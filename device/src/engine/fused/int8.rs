//! The INT8 path: row by row, exact, the arithmetic of [`hone_shared::quant`].

use hone_shared::quant::QuantChain;

use super::buffer::{Buffer, Ring};
use super::ends::Io;
use super::geometry::Job;
use super::{Layout, Path};
use crate::engine::kernels::SLACK;
use crate::engine::kernels::int8::{Int8Kernel, Int8Kernels, Out, Row, Unpacked, settle};

/// Rows in a ring: the three that a stage reads and one to spare.
const ROWS: usize = 4;

struct Layer {
    kernel: Int8Kernel,
    taps: usize,
    /// Channels of an input column.
    stride: usize,
    /// Channels of an output column.
    outputs: usize,
    /// What input columns outside the image hold, flipped.
    edge: u8,
    /// Zero point of the outputs.
    zero: u8,
    weights: Buffer<u8>,
    bias: Buffer<i32>,
    multiplier: Buffer<f32>,
}

/// A chain prepared for one instruction set.
pub(super) struct Int8Path {
    flip: u8,
    layers: Vec<Layer>,
    /// What one step of the residual is worth, in bytes.
    step: f32,
}

/// One thread's memory.
pub(super) struct Context {
    rings: Vec<Ring<u8>>,
    /// A row of residual blocks.
    last: Buffer<f32>,
    row: Buffer<u8>,
    line: Buffer<f32>,
}

impl Int8Path {
    /// Lays the weights out.
    pub fn new(chain: &QuantChain, kernels: &'static Int8Kernels) -> Self {
        let mut stride = chain
            .layers
            .first()
            .map_or(4, |l| l.inputs.next_multiple_of(4));
        let mut layers = Vec::with_capacity(chain.layers.len());
        for (i, layer) in chain.layers.iter().enumerate() {
            let last = i + 1 == chain.layers.len();
            let kernel = match kernels.narrow {
                Some(narrow) if last && layer.outputs <= narrow.lanes => narrow,
                _ => kernels.wide,
            };
            let packed = (kernel.pack)(&Unpacked {
                weights: &layer.weights,
                outputs: layer.outputs,
                inputs: layer.inputs,
                stride,
                taps: layer.kernel,
            });
            let mut weights = Buffer::new(packed.len());
            weights.copy_from_slice(&packed);
            let outputs = layer.outputs.next_multiple_of(kernel.lanes);
            let (mut bias, mut multiplier) = (Buffer::new(outputs), Buffer::new(outputs));
            let zero_in = chain.input_of(i).zero_point;
            let taps = layer.inputs * layer.kernel * layer.kernel;
            // Kernels sum bytes as they lie: bytes less 128 where they are flipped.
            let centre = i32::from(kernels.flip) - i32::from(zero_in);
            for (o, kernel) in layer.weights.chunks_exact(taps.max(1)).enumerate() {
                let sum: i32 = kernel.iter().map(|&w| i32::from(w)).sum();
                // The true sum fits; this start of it may wrap, and wraps back.
                bias[o] = layer.bias[o].wrapping_add(centre.wrapping_mul(sum));
            }
            multiplier[..layer.outputs].copy_from_slice(&chain.multipliers(i));
            layers.push(Layer {
                kernel,
                taps: layer.kernel,
                stride,
                outputs,
                edge: zero_in ^ kernels.flip,
                zero: layer.output.zero_point,
                weights,
                bias,
                multiplier,
            });
            stride = outputs;
        }
        Self {
            flip: kernels.flip,
            layers,
            step: chain.residual_affine().scale * 255.0,
        }
    }

    fn convolve(&self, context: &mut Context, job: &Job, k: usize, y: isize) {
        let layer = &self.layers[k - 1];
        let columns = &job.stages[k].columns;
        let x = columns.start as isize - job.x0 as isize;
        let reach = (layer.taps / 2) as isize;
        let (before, after) = context.rings.split_at_mut(k);
        let input = &before[k - 1];
        let row = Row {
            pixels: columns.len(),
            rows: [0, 1, 2].map(|r| input.pointer(y + (r - 1) * reach, x - reach)),
            taps: layer.taps,
            stride: layer.stride,
            vectors: layer.outputs / layer.kernel.lanes,
            weights: layer.weights.as_ptr(),
            bias: layer.bias.as_ptr(),
            multiplier: layer.multiplier.as_ptr(),
            zero: i32::from(layer.zero),
            out: match after.first_mut() {
                Some(ring) => Out::Bytes(ring.pointer_mut(y, x)),
                None => Out::Floats(context.last.as_mut_ptr()),
            },
        };
        // SAFETY: rings and `last` hold SLACK columns beyond the stage's; weights, bias and
        // multipliers were packed for this kernel.
        unsafe { (layer.kernel.row)(&row) };
    }

    /// Requantises the last row and adds it to the frame.
    fn finish(
        &self,
        context: &mut Context,
        io: &Io<'_>,
        y: usize,
        columns: std::ops::Range<usize>,
    ) {
        let Some(layer) = self.layers.last() else {
            return;
        };
        let zero = f32::from(layer.zero);
        let residual = &mut context.last[..columns.len() * layer.outputs];
        settle(residual, -zero, 255.0 - zero, io.strength * self.step);
        // SAFETY: jobs do not overlap and each is run by one thread.
        unsafe {
            io.store(
                y,
                columns.start,
                (residual, layer.outputs),
                &mut context.line,
            )
        };
    }
}

impl Path for Int8Path {
    const ALIGN: usize = 1;
    const APPLIES_STRENGTH: bool = true;
    type Context = Context;

    fn reaches(&self) -> Vec<usize> {
        self.layers.iter().map(|l| l.taps / 2).collect()
    }

    fn bytes_per_column(&self) -> usize {
        self.layers.iter().map(|l| ROWS * l.stride).sum()
    }

    fn context(&self, layout: Layout) -> Context {
        let ring = |l: &Layer| Ring::new(ROWS, l.stride, layout.left, layout.columns());
        let last = self.layers.last().map_or(4, |l| l.outputs);
        Context {
            rings: self.layers.iter().map(ring).collect(),
            last: Buffer::new((layout.right + SLACK) * last),
            row: Buffer::new(layout.samples()),
            line: Buffer::new(layout.samples()),
        }
    }

    fn context_bytes(context: &Context) -> usize {
        let rings: usize = context.rings.iter().map(Ring::bytes).sum();
        rings + context.last.bytes() + context.row.bytes() + context.line.bytes()
    }

    fn begin(&self, context: &mut Context, job: &Job) {
        if job.x0 == 0 {
            for (ring, layer) in context.rings.iter_mut().zip(&self.layers) {
                ring.fill_left(layer.edge);
            }
        }
    }

    fn stage(
        &self,
        context: &mut Context,
        io: &Io<'_>,
        (width, height): (usize, usize),
        job: &Job,
        k: usize,
        y: isize,
    ) {
        let columns = job.stages[k].columns.clone();
        let x = columns.start as isize - job.x0 as isize;
        let inside = (0..height as isize).contains(&y);
        if inside && k > 0 {
            self.convolve(context, job, k, y);
        }
        if k == self.layers.len() {
            self.finish(context, io, y as usize, columns);
            return;
        }
        let (ring, edge) = (&mut context.rings[k], self.layers[k].edge);
        if !inside {
            ring.fill(y, x, columns.len() + 1, edge);
            return;
        }
        if k == 0 {
            let stride = ring.channels;
            let to = &mut ring.row_mut(y, x)[..columns.len() * stride];
            io.load(
                y as usize,
                columns.clone(),
                self.flip,
                &mut context.row,
                (to, stride),
            );
        }
        if columns.end == width {
            ring.fill(y, columns.end as isize - job.x0 as isize, 1, edge);
        }
    }
}

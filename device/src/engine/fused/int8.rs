//! The INT8 path: row by row or four rows at a time, exact, the arithmetic of [`hone_shared::quant`].

use std::array::from_fn;
use std::ops::Range;

use hone_shared::quant::QuantChain;

use super::buffer::{Buffer, Ring};
use super::ends::{Io, Rows};
use super::geometry::Job;
use super::stages::{Layout, Path};
use crate::engine::kernels::SLACK;
use crate::engine::kernels::int8::{
    Int8Kernel, Int8Kernels, Out, Row, TILE, Unpacked, Winograd, WinogradKernel, settle,
};

/// Most channels of a last layer that narrow kernels compute.
const FEW: usize = 4;
/// Groups of rows in a ring: a stage reads one, and a row of each neighbour.
const GROUPS: usize = 3;

/// How a layer is computed, and its weights laid out for that.
enum Method {
    /// Row by row.
    Row(Int8Kernel, Buffer<u8>),
    /// Four rows at a time.
    Winograd(&'static WinogradKernel, Buffer<i16>),
}

struct Layer {
    method: Method,
    taps: usize,
    /// Channels of an input column.
    stride: usize,
    /// Channels of an output column.
    outputs: usize,
    /// What input columns outside the image hold, flipped.
    edge: u8,
    /// Zero point of the outputs.
    zero: u8,
    bias: Buffer<i32>,
    multiplier: Buffer<f32>,
}

impl Method {
    /// The fastest way for a layer whose sums with their bias stay within `bound`; `few` where it
    /// gives floats of at most 4 channels.
    fn new(kernels: &Int8Kernels, few: bool, unpacked: &Unpacked<'_>, bound: i64) -> Self {
        let narrow = kernels.winograd_narrow.filter(|_| few);
        let winograd = narrow.or(kernels.winograd);
        if let Some(kernel) = winograd.filter(|w| w.takes(unpacked.taps, unpacked.stride, bound)) {
            return Self::Winograd(kernel, Buffer::from(&(kernel.pack)(unpacked)[..]));
        }
        let kernel = kernels.narrow.filter(|_| few).unwrap_or(kernels.wide);
        Self::Row(kernel, Buffer::from(&(kernel.pack)(unpacked)[..]))
    }

    /// Output channels are computed in multiples of this.
    fn lanes(&self) -> usize {
        match self {
            Self::Row(kernel, _) => kernel.lanes,
            Self::Winograd(kernel, _) => kernel.lanes,
        }
    }
}

impl Layer {
    /// Numbers of scratch memory: for transformed inputs and for products.
    fn scratch(&self) -> Option<(usize, usize)> {
        match &self.method {
            Method::Row(..) => None,
            Method::Winograd(kernel, _) => {
                Some(((kernel.inputs)(self.stride), kernel.products(self.outputs)))
            }
        }
    }
}

/// A chain prepared for one instruction set.
pub(super) struct Int8Path {
    flip: u8,
    layers: Vec<Layer>,
    /// Rows computed at a time.
    group: usize,
    /// What one step of the residual is worth, in bytes.
    step: f32,
}

/// One thread's memory.
pub(super) struct Context {
    rings: Vec<Ring<u8>>,
    /// A group of rows of residual blocks.
    last: Buffer<f32>,
    /// Transformed inputs and products of four rows.
    v: Buffer<i16>,
    m: Buffer<i32>,
    rows: Rows,
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
            let unpacked = Unpacked {
                weights: &layer.weights,
                outputs: layer.outputs,
                inputs: layer.inputs,
                stride,
                taps: layer.kernel,
            };
            let few = i + 1 == chain.layers.len() && layer.outputs <= FEW;
            let zero_in = chain.input_of(i).zero_point;
            let taps = layer.inputs * layer.kernel * layer.kernel;
            let method = Method::new(kernels, few, &unpacked, layer.largest_sum());
            let outputs = layer.outputs.next_multiple_of(method.lanes());
            let (mut bias, mut multiplier) = (Buffer::new(outputs), Buffer::new(outputs));
            // Kernels sum bytes as they lie: bytes less 128 where they are flipped.
            let centre = i32::from(kernels.flip) - i32::from(zero_in);
            for (o, kernel) in layer.weights.chunks_exact(taps.max(1)).enumerate() {
                let sum: i32 = kernel.iter().map(|&w| i32::from(w)).sum();
                // The true sum fits; this start of it may wrap, and wraps back.
                bias[o] = layer.bias[o].wrapping_add(centre.wrapping_mul(sum));
            }
            multiplier[..layer.outputs].copy_from_slice(&chain.multipliers(i));
            layers.push(Layer {
                method,
                taps: layer.kernel,
                stride,
                outputs,
                edge: zero_in ^ kernels.flip,
                zero: layer.output.zero_point,
                bias,
                multiplier,
            });
            stride = outputs;
        }
        Self {
            flip: kernels.flip,
            group: if layers.iter().any(|l| l.scratch().is_some()) {
                TILE
            } else {
                1
            },
            layers,
            step: chain.residual_affine().scale * 255.0,
        }
    }
}

impl Path for Int8Path {
    type Number = u8;
    type Context = Context;

    fn step(&self) -> f32 {
        self.step
    }

    fn align(&self) -> usize {
        self.group
    }

    fn exact(&self) -> bool {
        true
    }

    fn reaches(&self) -> Vec<usize> {
        self.layers.iter().map(|l| l.taps / 2).collect()
    }

    fn bytes_per_column(&self) -> usize {
        let rows = GROUPS * self.group;
        self.layers.iter().map(|l| rows * l.stride).sum()
    }

    fn context(&self, layout: Layout) -> Context {
        let rows = GROUPS * self.group;
        let ring = |l: &Layer| Ring::new(rows, l.stride, layout.left, layout.columns());
        let last = self.layers.last().map_or(4, |l| l.outputs);
        let scratch = || self.layers.iter().filter_map(Layer::scratch);
        Context {
            rings: self.layers.iter().map(ring).collect(),
            last: Buffer::new(self.group * (layout.right + SLACK) * last),
            v: Buffer::new(scratch().map(|(v, _)| v).max().unwrap_or(0)),
            m: Buffer::new(scratch().map(|(_, m)| m).max().unwrap_or(0)),
            rows: Rows::new(layout.samples()),
        }
    }

    fn context_bytes(context: &Context) -> usize {
        let rings: usize = context.rings.iter().map(Ring::bytes).sum();
        let products = context.v.bytes() + context.m.bytes();
        rings + products + context.last.bytes() + context.rows.bytes()
    }

    fn rings(context: &mut Context) -> &mut [Ring<u8>] {
        &mut context.rings
    }

    fn rows(context: &mut Context) -> &mut Rows {
        &mut context.rows
    }

    fn edge(&self, k: usize) -> u8 {
        self.layers[k].edge
    }

    fn load(&self, context: &mut Context, io: &Io<'_>, y: usize, x: isize, columns: Range<usize>) {
        let ring = &mut context.rings[0];
        let stride = ring.channels;
        let to = &mut ring.row_mut(y as isize, x)[..columns.len() * stride];
        io.load(
            y,
            columns,
            self.flip,
            &mut context.rows.samples,
            (to, stride),
        );
    }

    fn convolve(&self, context: &mut Context, job: &Job, k: usize, group: isize) {
        let layer = &self.layers[k - 1];
        let columns = &job.stages[k].columns;
        let x = columns.start as isize - job.x0 as isize;
        let y = group * self.group as isize;
        let wide = context.last.len() / self.group;
        let out: [Out; TILE] = from_fn(|within| match context.rings.get_mut(k) {
            Some(ring) => Out::Bytes(ring.pointer_mut(y + within as isize, x)),
            None => Out::Floats(context.last.as_mut_ptr().wrapping_add(within * wide)),
        });
        let input = &context.rings[k - 1];
        let vectors = layer.outputs / layer.method.lanes();
        let (bias, multiplier) = (layer.bias.as_ptr(), layer.multiplier.as_ptr());
        let zero = i32::from(layer.zero);
        match &layer.method {
            Method::Row(kernel, weights) => {
                let reach = (layer.taps / 2) as isize;
                for (y, out) in (y..).zip(out).take(self.group) {
                    let row = Row {
                        pixels: columns.len(),
                        rows: [0, 1, 2].map(|r| input.pointer(y + (r - 1) * reach, x - reach)),
                        taps: layer.taps,
                        stride: layer.stride,
                        vectors,
                        weights: weights.as_ptr(),
                        bias,
                        multiplier,
                        zero,
                        out,
                    };
                    // SAFETY: rings and `last` hold SLACK columns beyond the stage's; weights, bias
                    // and multipliers were packed for this kernel.
                    unsafe { (kernel.row)(&row) };
                }
            }
            Method::Winograd(kernel, weights) => {
                let winograd = Winograd {
                    tiles: columns.len() / TILE,
                    rows: from_fn(|r| input.pointer(y + r as isize - 1, x - 1)),
                    stride: layer.stride,
                    vectors,
                    weights: weights.as_ptr(),
                    bias,
                    multiplier,
                    zero,
                    out,
                    v: context.v.as_mut_ptr(),
                    m: context.m.as_mut_ptr(),
                };
                // SAFETY: rings hold a column on each side of the stage's, which are a multiple of
                // TILE, and v and m what the widest layer needs.
                unsafe { (kernel.run)(&winograd) };
            }
        }
    }

    fn store(
        &self,
        context: &mut Context,
        io: &Io<'_>,
        y: usize,
        within: usize,
        columns: Range<usize>,
    ) {
        let Some(layer) = self.layers.last() else {
            return;
        };
        let zero = f32::from(layer.zero);
        let start = within * context.last.len() / self.group;
        let residual = &mut context.last[start..][..columns.len() * layer.outputs];
        settle(residual, -zero, 255.0 - zero);
        let residual = (&*residual, layer.outputs);
        let rows = &mut context.rows;
        // SAFETY: jobs do not overlap and each is run by one thread.
        unsafe { io.store(y, columns.start, residual, rows) };
    }
}

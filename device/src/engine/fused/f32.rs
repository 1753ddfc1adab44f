//! The f32 path: groups of four rows, Winograd where a layer's channels fill vectors.

use std::ops::Range;
use std::time::{Duration, Instant};

use hone_shared::student::ConvLayer;

use super::buffer::{Buffer, Ring};
use super::ends::{Io, Rows};
use super::geometry::{Cut, Job, jobs};
use super::layer::{Layer, Method, Shape};
use super::stages::{Layout, Path};
use crate::engine::chain::F32Chain;
use crate::engine::kernels::SLACK;
use crate::engine::kernels::f32::{Activation, Direct, F32Kernels, Multiply, Output};

/// Rows of a group and side of a Winograd tile's output.
const GROUP: usize = 4;
/// Rows in a ring: three groups, of which a stage reads one and a row of each neighbour.
const ROWS: usize = 3 * GROUP;
/// Tiles transformed at a time: their 36 products stay in the cache.
const TILES: usize = 24;
/// Floats between the tiles of a batch beyond their own, against cache lines that share a set.
const PAD: usize = 16;
/// Runs of which the fastest counts when a method is timed.
const TIMED: usize = 6;

/// A chain prepared for one instruction set.
pub(super) struct F32Path {
    kernels: &'static F32Kernels,
    layers: Vec<Layer>,
}

/// One thread's memory.
pub(super) struct Context {
    rings: Vec<Ring<f32>>,
    v: Buffer<f32>,
    m: Buffer<f32>,
    /// Four rows of residual blocks.
    last: Buffer<f32>,
    bytes: Buffer<u8>,
    rows: Rows,
}

impl F32Path {
    /// Lays the weights out, each layer's for the method that `choose` picks from its candidates.
    /// The first layer takes bytes instead of 0..1, the last one gives them.
    pub fn new(
        chain: &F32Chain,
        kernels: &'static F32Kernels,
        mut choose: impl FnMut(&Shape) -> Method,
    ) -> Self {
        let given = &chain.chain.layers;
        let mut inputs = given.first().map_or(4, |l| l.inputs.next_multiple_of(4));
        let mut layers = Vec::with_capacity(given.len());
        for (i, (layer, &ceiling)) in given.iter().zip(&chain.ceilings).enumerate() {
            let last = i + 1 == given.len();
            let gain_in = if i == 0 { 1.0 / 255.0 } else { 1.0 };
            let gain_out = if last { 255.0 } else { 1.0 };
            let activation = match layer.relu {
                true if ceiling < f32::INFINITY => Activation::Clip(gain_out as f32 * ceiling),
                true => Activation::Relu,
                false => Activation::None,
            };
            let shape = Shape {
                kernel: layer.kernel,
                inputs,
                outputs: layer.outputs,
                narrow: last && activation == Activation::None,
            };
            let packed = Layer::pack(
                layer,
                choose(&shape),
                &shape,
                kernels,
                (gain_in * gain_out, gain_out),
                activation,
            );
            inputs = packed.outputs;
            layers.push(packed);
        }
        Self { kernels, layers }
    }

    /// Time of one group of rows of a layer of this shape, computed by `method`.
    pub fn time(shape: &Shape, method: Method, kernels: &'static F32Kernels) -> Duration {
        let layer = ConvLayer {
            inputs: shape.inputs,
            outputs: shape.outputs,
            kernel: shape.kernel,
            weights: vec![0.5; shape.inputs * shape.outputs * shape.kernel * shape.kernel],
            bias: vec![0.0; shape.outputs],
            relu: false,
        };
        let layer = Layer::pack(&layer, method, shape, kernels, (1.0, 1.0), Activation::None);
        let path = Self {
            kernels,
            layers: vec![layer],
        };
        let cut = Cut {
            width: 4 * TILES,
            height: GROUP,
            align: GROUP,
            across: 1,
            exact: false,
        };
        let jobs = jobs(cut, &(0..1), &path.reaches());
        let mut context = path.context(Layout::of(&jobs, 1));
        let mut best = Duration::MAX;
        for job in jobs.iter().cycle().take(TIMED) {
            let start = Instant::now();
            path.convolve(&mut context, job, 1, 0);
            best = best.min(start.elapsed());
        }
        best
    }
}

impl Path for F32Path {
    type Number = f32;
    type Context = Context;

    fn step(&self) -> f32 {
        1.0
    }

    fn align(&self) -> usize {
        GROUP
    }

    fn exact(&self) -> bool {
        false
    }

    fn reaches(&self) -> Vec<usize> {
        self.layers.iter().map(|l| l.kernel / 2).collect()
    }

    fn bytes_per_column(&self) -> usize {
        self.layers
            .iter()
            .map(|l| ROWS * l.inputs * size_of::<f32>())
            .sum()
    }

    fn context(&self, layout: Layout) -> Context {
        let ring = |l: &Layer| Ring::new(ROWS, l.inputs, layout.left, layout.columns());
        let winograd = || self.layers.iter().filter(|l| l.method != Method::Direct);
        let inputs = winograd().map(|l| l.inputs).max().unwrap_or(0);
        let outputs = winograd().map(|l| l.outputs.max(16)).max().unwrap_or(0);
        let batch = TILES + SLACK;
        let first = self.layers.first().map_or(4, |l| l.inputs);
        let last = self.layers.last().map_or(4, |l| l.outputs);
        Context {
            rings: self.layers.iter().map(ring).collect(),
            v: Buffer::new(batch * (36 * inputs + PAD)),
            m: Buffer::new(batch * (36 * outputs + PAD)),
            last: Buffer::new(GROUP * (layout.right + SLACK) * last),
            bytes: Buffer::new(layout.columns() * first),
            rows: Rows::new(layout.samples()),
        }
    }

    fn context_bytes(context: &Context) -> usize {
        let rings: usize = context.rings.iter().map(Ring::bytes).sum();
        let floats = [&context.v, &context.m, &context.last];
        let floats: usize = floats.into_iter().map(Buffer::bytes).sum();
        rings + floats + context.bytes.bytes() + context.rows.bytes()
    }

    fn rings(context: &mut Context) -> &mut [Ring<f32>] {
        &mut context.rings
    }

    fn rows(context: &mut Context) -> &mut Rows {
        &mut context.rows
    }

    fn edge(&self, _: usize) -> f32 {
        0.0
    }

    fn load(&self, context: &mut Context, io: &Io<'_>, y: usize, x: isize, columns: Range<usize>) {
        let ring = &mut context.rings[0];
        let stride = ring.channels;
        let bytes = &mut context.bytes[..columns.len() * stride];
        io.load(y, columns, 0, &mut context.rows.samples, (bytes, stride));
        // SAFETY: these kernels run on this machine.
        unsafe { (self.kernels.widen)(bytes, ring.row_mut(y as isize, x)) };
    }

    fn convolve(&self, context: &mut Context, job: &Job, k: usize, group: isize) {
        let layer = &self.layers[k - 1];
        let stage = &job.stages[k];
        let x = stage.columns.start as isize - job.x0 as isize;
        let columns = stage.columns.len();
        let (before, after) = context.rings.split_at_mut(k);
        let input = &before[k - 1];
        let y = group * GROUP as isize;
        let wide = context.last.len() / GROUP;
        let mut to: [*mut f32; GROUP] = match after.first_mut() {
            Some(ring) => [0, 1, 2, 3].map(|r| ring.pointer_mut(y + r, x)),
            None => {
                let base = context.last.as_mut_ptr();
                [0, 1, 2, 3].map(|r| base.wrapping_add(r * wide))
            }
        };
        let vectors = layer.outputs / self.kernels.lanes;
        if layer.method == Method::Direct {
            let reach = (layer.kernel / 2) as isize;
            for (to, y) in to.into_iter().zip(y..) {
                let direct = Direct {
                    pixels: columns,
                    rows: [0, 1, 2].map(|r| input.pointer(y + (r - 1) * reach, x - reach)),
                    taps: layer.kernel,
                    inputs: layer.inputs,
                    vectors,
                    weights: layer.weights.as_ptr(),
                    bias: layer.bias.as_ptr(),
                    activation: layer.activation,
                    out: to,
                };
                // SAFETY: rings and `last` hold SLACK columns beyond the stage's, weights and bias
                // were packed for these kernels.
                unsafe { (self.kernels.direct)(&direct) };
            }
            return;
        }
        let mut from = [-1, 0, 1, 2, 3, 4].map(|r| input.pointer(y + r, x - 1));
        let products = if layer.method == Method::Narrow {
            16
        } else {
            layer.outputs
        };
        let mut multiply = Multiply {
            tiles: 0,
            inputs: layer.inputs,
            vectors,
            v: context.v.as_ptr(),
            v_stride: 36 * layer.inputs + PAD,
            u: layer.weights.as_ptr(),
            m: context.m.as_mut_ptr(),
            m_stride: 36 * products + PAD,
        };
        let (product, transform) = match layer.method {
            Method::Narrow => (
                self.kernels.multiply_narrow,
                self.kernels.transform_output_narrow,
            ),
            _ => (self.kernels.multiply, self.kernels.transform_output),
        };
        let mut left = columns / GROUP;
        while left > 0 {
            let tiles = left.min(TILES);
            multiply.tiles = tiles;
            // SAFETY: `from` holds the tiles' columns and one on each side, v and m hold TILES +
            // SLACK tiles, `to` holds the tiles' pixels.
            unsafe {
                let v = context.v.as_mut_ptr();
                (self.kernels.transform_input)(from, layer.inputs, tiles, v, multiply.v_stride);
                product(&multiply);
                transform(&Output {
                    tiles,
                    m: multiply.m,
                    m_stride: multiply.m_stride,
                    vectors,
                    bias: layer.bias.as_ptr(),
                    activation: layer.activation,
                    rows: to,
                });
            }
            from = from.map(|p| p.wrapping_add(GROUP * tiles * layer.inputs));
            to = to.map(|p| p.wrapping_add(GROUP * tiles * layer.outputs));
            left -= tiles;
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
        let outputs = self.layers.last().map_or(4, |l| l.outputs);
        let start = within * context.last.len() / GROUP;
        let residual = &context.last[start..][..columns.len() * outputs];
        let rows = &mut context.rows;
        // SAFETY: jobs do not overlap and each is run by one thread.
        unsafe { io.store(y, columns.start, (residual, outputs), rows) };
    }
}

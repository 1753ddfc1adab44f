//! The f32 path: groups of four rows, Winograd where a layer's channels fill vectors.

use hone_shared::student::{ConvChain, ConvLayer};

use super::buffer::{Buffer, Ring};
use super::ends::Io;
use super::geometry::Job;
use super::{Layout, Path};
use crate::engine::kernels::f32::{Direct, F32Kernels, Multiply, Output};
use crate::engine::kernels::{SLACK, split};

/// Rows of a group and side of a Winograd tile's output.
const GROUP: usize = 4;
/// Rows in a ring: three groups, of which a stage reads one and a row of each neighbour.
const ROWS: usize = 3 * GROUP;
/// Tiles transformed at a time: their 36 products stay in the cache.
const TILES: usize = 24;
/// Floats between the tiles of a batch beyond their own, against cache lines that share a set.
const PAD: usize = 16;

/// Winograd's filter transform G for F(4,3).
const FILTER: [[f64; 3]; 6] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Direct,
    Winograd,
    /// Winograd for the last layer when it gives at most 4 channels: the sum over inputs is spread
    /// over the lanes that outputs would leave idle.
    Narrow,
}

struct Layer {
    method: Method,
    kernel: usize,
    inputs: usize,
    outputs: usize,
    relu: bool,
    weights: Buffer<f32>,
    bias: Buffer<f32>,
}

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
    row: Buffer<u8>,
    line: Buffer<f32>,
}

impl F32Path {
    /// Lays the weights out. The first layer takes bytes instead of 0..1, the last one gives them.
    pub fn new(chain: &ConvChain, kernels: &'static F32Kernels) -> Self {
        let mut inputs = chain
            .layers
            .first()
            .map_or(4, |l| l.inputs.next_multiple_of(4));
        let count = chain.layers.len();
        let mut layers = Vec::with_capacity(count);
        for (i, layer) in chain.layers.iter().enumerate() {
            let last = i + 1 == count;
            let gain_in = if i == 0 { 1.0 / 255.0 } else { 1.0 };
            let gain_out = if last { 255.0 } else { 1.0 };
            let method = match layer.kernel == 3 && inputs.is_multiple_of(kernels.lanes) {
                true if last && layer.outputs <= 4 && !layer.relu => Method::Narrow,
                true => Method::Winograd,
                false => Method::Direct,
            };
            let packed = pack(layer, method, inputs, kernels, gain_in * gain_out, gain_out);
            inputs = packed.outputs;
            layers.push(packed);
        }
        Self { kernels, layers }
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
                    relu: layer.relu,
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
                    relu: layer.relu,
                    rows: to,
                });
            }
            from = from.map(|p| p.wrapping_add(GROUP * tiles * layer.inputs));
            to = to.map(|p| p.wrapping_add(GROUP * tiles * layer.outputs));
            left -= tiles;
        }
    }
}

/// Lays out one layer; `gain` scales its weights, `bias_gain` its bias.
fn pack(
    layer: &ConvLayer,
    method: Method,
    inputs: usize,
    kernels: &F32Kernels,
    gain: f64,
    bias_gain: f64,
) -> Layer {
    let (k, lanes) = (layer.kernel, kernels.lanes);
    let outputs = match method {
        Method::Narrow => 4,
        _ => layer.outputs.next_multiple_of(lanes),
    };
    let spatial = if method == Method::Direct { k * k } else { 36 };
    let mut weights = Buffer::new(spatial * inputs * outputs);
    // Where the block that holds an output channel starts, and how many channels it has.
    let mut starts = vec![(0, outputs); outputs];
    if method != Method::Narrow {
        let mut first = 0;
        for q in split(outputs / lanes, kernels.most_vectors) {
            starts[first..first + q * lanes].fill((first, q * lanes));
            first += q * lanes;
        }
    }
    for (o, &(start, width)) in starts.iter().enumerate().take(layer.outputs) {
        for i in 0..layer.inputs {
            let at = (o * layer.inputs + i) * k * k;
            let kernel = &layer.weights[at..at + k * k];
            for position in 0..spatial {
                let (value, at) = match method {
                    Method::Direct => (
                        f64::from(kernel[position]),
                        // `[block][tap row][tap column * inputs][channel]`
                        start * k * k * inputs + (position * inputs + i) * width + o - start,
                    ),
                    Method::Winograd => (
                        transform_filter(kernel, position),
                        (position * outputs + start) * inputs + i * width + o - start,
                    ),
                    Method::Narrow => (
                        transform_filter(kernel, position),
                        position * inputs * 4 + i / 4 * 16 + o * 4 + i % 4,
                    ),
                };
                weights[at] = (gain * value) as f32;
            }
        }
    }
    let mut bias = Buffer::new(outputs.max(16));
    let repeat = if method == Method::Narrow { 4 } else { 1 };
    for r in 0..repeat {
        for (to, from) in bias[r * 4..].iter_mut().zip(&layer.bias) {
            *to = (bias_gain * f64::from(*from)) as f32;
        }
    }
    Layer {
        method,
        kernel: k,
        inputs,
        outputs,
        relu: layer.relu,
        weights,
        bias,
    }
}

/// Element `position` (row * 6 + column) of G g G^T.
fn transform_filter(kernel: &[f32], position: usize) -> f64 {
    let (row, column) = (FILTER[position / 6], FILTER[position % 6]);
    let mut sum = 0.0;
    for (ky, a) in row.into_iter().enumerate() {
        for (kx, b) in column.into_iter().enumerate() {
            sum += a * b * f64::from(kernel[3 * ky + kx]);
        }
    }
    sum
}

impl Path for F32Path {
    const ALIGN: usize = GROUP;
    const APPLIES_STRENGTH: bool = false;
    type Context = Context;

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
            row: Buffer::new(layout.samples()),
            line: Buffer::new(layout.samples()),
        }
    }

    fn context_bytes(context: &Context) -> usize {
        let rings: usize = context.rings.iter().map(Ring::bytes).sum();
        let floats = [&context.v, &context.m, &context.last, &context.line];
        let floats: usize = floats.into_iter().map(Buffer::bytes).sum();
        rings + floats + context.bytes.bytes() + context.row.bytes()
    }

    fn begin(&self, context: &mut Context, job: &Job) {
        if job.x0 == 0 {
            for ring in &mut context.rings {
                ring.fill_left(0.0);
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
        group: isize,
    ) {
        let columns = job.stages[k].columns.clone();
        let x = columns.start as isize - job.x0 as isize;
        let y = group * GROUP as isize;
        let inside = (0..height.div_ceil(GROUP) as isize).contains(&group);
        if inside && k > 0 {
            self.convolve(context, job, k, group);
        }
        let end = columns.end.min(width);
        for row in y..y + GROUP as isize {
            if k == self.layers.len() {
                if row < height as isize {
                    let outputs = self.layers[k - 1].outputs;
                    let start = (row - y) as usize * context.last.len() / GROUP;
                    let residual = &context.last[start..][..(end - columns.start) * outputs];
                    // SAFETY: jobs do not overlap and each is run by one thread.
                    unsafe {
                        let residual = (residual, outputs);
                        io.store(row as usize, columns.start, residual, &mut context.line);
                    }
                }
                continue;
            }
            let ring = &mut context.rings[k];
            if row < 0 || row >= height as isize {
                ring.fill(row, x, columns.len() + 1, 0.0);
                continue;
            }
            if k == 0 {
                let stride = ring.channels;
                let bytes = &mut context.bytes[..(end - columns.start) * stride];
                let range = columns.start..end;
                io.load(row as usize, range, 0, &mut context.row, (bytes, stride));
                // SAFETY: these kernels run on this machine.
                unsafe { (self.kernels.widen)(bytes, ring.row_mut(row, x)) };
            }
            if columns.end >= width {
                let right = end as isize - job.x0 as isize;
                ring.fill(row, right, columns.end + 1 - end, 0.0);
            }
        }
    }
}

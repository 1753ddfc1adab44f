//! One f32 layer: the ways to compute it, and its weights as each of them wants them.

use hone_shared::student::ConvLayer;
use serde::{Deserialize, Serialize};

use super::buffer::Buffer;
use crate::engine::kernels::f32::{Activation, F32Kernels};
use crate::engine::kernels::split;

/// Winograd's filter transform G for F(4,3).
const FILTER: [[f64; 3]; 6] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// How a layer is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Method {
    /// Products as the convolution words them.
    Direct,
    /// F(4x4,3x3): a quarter of the products, and sums before and after.
    Winograd,
    /// Winograd for the last layer when it gives at most 4 channels: the sum over inputs is spread
    /// over the lanes that outputs would leave idle.
    Narrow,
}

/// What decides how a layer can be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Kernel side.
    pub kernel: usize,
    /// Input channels as they lie in memory.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Whether it is a last layer without activation.
    pub narrow: bool,
}

impl Shape {
    /// The ways to compute it, the one to take unmeasured first.
    pub fn methods(&self, lanes: usize) -> Vec<Method> {
        let winograd = match self.narrow && self.outputs <= 4 {
            true => Method::Narrow,
            false => Method::Winograd,
        };
        match self.kernel == 3 && self.inputs.is_multiple_of(lanes) {
            true => vec![winograd, Method::Direct],
            false => vec![Method::Direct],
        }
    }
}

/// One layer's numbers, laid out.
pub(super) struct Layer {
    /// How it is computed.
    pub method: Method,
    /// Kernel side.
    pub kernel: usize,
    /// Channels of an input column.
    pub inputs: usize,
    /// Channels of an output column.
    pub outputs: usize,
    /// What follows.
    pub activation: Activation,
    /// As the method's kernel wants them.
    pub weights: Buffer<f32>,
    /// One for each output channel; four times over for `Narrow`.
    pub bias: Buffer<f32>,
}

impl Layer {
    /// Lays out one layer; `gains` scale its weights and its bias.
    pub fn pack(
        layer: &ConvLayer,
        method: Method,
        shape: &Shape,
        kernels: &F32Kernels,
        (gain, bias_gain): (f64, f64),
        activation: Activation,
    ) -> Self {
        let (k, lanes, inputs) = (layer.kernel, kernels.lanes, shape.inputs);
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
        Self {
            method,
            kernel: k,
            inputs,
            outputs,
            activation,
            weights,
            bias,
        }
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

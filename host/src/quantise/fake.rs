//! The board's arithmetic on torch tensors, with straight-through gradients.
//!
//! Tensors hold whole numbers as f32. Sums are exact below 2^24, which 3x3 convolutions of up to 57
//! channels cannot leave and wider ones leave only with every input at its limit.

use hone_shared::quant::{Affine, QuantConv};
use tch::{Device, Tensor};

/// Rounds half to even; the gradient passes as if it had not.
pub(super) fn round(x: &Tensor) -> Tensor {
    x + (x.round() - x).detach()
}

/// Levels 0..=255 of real numbers.
pub(super) fn levels(x: &Tensor, affine: Affine) -> Tensor {
    let steps = round(&(x / f64::from(affine.scale)));
    (steps + f64::from(affine.zero_point)).clamp(0.0, 255.0)
}

/// Real numbers of levels.
pub(super) fn reals(q: &Tensor, affine: Affine) -> Tensor {
    (q - f64::from(affine.zero_point)) * f64::from(affine.scale)
}

/// Real numbers after a stay in u8.
pub(super) fn round_trip(x: &Tensor, affine: Affine) -> Tensor {
    reals(&levels(x, affine), affine)
}

/// One convolution in whole numbers.
#[derive(Debug)]
pub(super) struct IntegerConv {
    /// Levels `[O,I,k,k]`.
    pub weights: Tensor,
    /// `[O]`, in units of the accumulator.
    pub bias: Tensor,
    /// `[O]`.
    pub multipliers: Tensor,
    /// Zero point of what it reads.
    pub zero_in: u8,
    /// Zero point of what it writes.
    pub zero_out: u8,
}

impl IntegerConv {
    pub fn new(conv: &QuantConv, input: Affine, device: Device) -> Self {
        let levels: Vec<f32> = conv.weights.iter().map(|&w| f32::from(w)).collect();
        let bias: Vec<f32> = conv.bias.iter().map(|&b| b as f32).collect();
        let multiplier =
            |w: &f32| hone_shared::quant::multiplier(input.scale, *w, conv.output.scale);
        let multipliers: Vec<f32> = conv.weight_scales.iter().map(multiplier).collect();
        let dims = [conv.outputs, conv.inputs, conv.kernel, conv.kernel].map(|d| d as i64);
        Self {
            weights: Tensor::from_slice(&levels).reshape(dims).to_device(device),
            bias: Tensor::from_slice(&bias).to_device(device),
            multipliers: Tensor::from_slice(&multipliers).to_device(device),
            zero_in: input.zero_point,
            zero_out: conv.output.zero_point,
        }
    }

    /// Levels in, levels out.
    pub fn forward(&self, q: &Tensor) -> Tensor {
        let pad = self.weights.size()[2] / 2;
        let centred = q - f64::from(self.zero_in);
        let bias = Some(&self.bias);
        let sums = centred.conv2d(&self.weights, bias, [1, 1], [pad, pad], [1, 1], 1);
        let scaled = round(&(sums * self.multipliers.reshape([1, -1, 1, 1])));
        (scaled + f64::from(self.zero_out)).clamp(0.0, 255.0)
    }
}

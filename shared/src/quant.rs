//! INT8 students: their numbers, and the one definition of their arithmetic.
//!
//! The board's kernels, the workstation's fake quantisation and ONNX Runtime on an exported file
//! compute what [`QuantChain::residual`] computes, byte for byte:
//!
//! 1. The input is the camera's byte: scale 1/255, zero point 0 ([`INPUT`]); so is the output for
//!    the frame before, where a student sees that.
//! 2. `acc[o] = bias[o] + sum (q_in - zero_in) * weight[o]`, in i32 and exact. Outside the frame
//!    `q_in = zero_in`, so padding adds nothing.
//! 3. `multiplier[o] = (scale_in * weight_scale[o]) / scale_out`, in f32, in this order
//!    ([`multiplier`]).
//! 4. `q_out = clamp(round(f32(acc) * multiplier) + zero_out, 0, 255)`, the conversion and the
//!    product in f32, halves to even ([`requantise`]). ReLU is the clamp at zero point 0.
//! 5. The last layer's bytes are the residual; `out = clamp(round(byte + g * (q - zero)), 0, 255)`
//!    with `g = strength * (scale * 255)` in f32, halves to even ([`Residual`]). A limited student's are then held
//!    between the two bytes of [`crate::limit`].
//!
//! Weights stay in -127..=127, so that two products of a byte and a weight fit in 16 bits after
//! the byte is centred, and so that negation is exact.

mod reference;

use crate::student::{Colour, sees_previous};

/// Scale and zero point of one u8 tensor: `real = scale * (q - zero_point)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// Step between neighbouring levels, above 0.
    pub scale: f32,
    /// The byte that stands for 0.
    pub zero_point: u8,
}

/// The camera's bytes as numbers in 0..1.
pub const INPUT: Affine = Affine {
    scale: 1.0 / 255.0,
    zero_point: 0,
};

/// Largest kernel side that [`QuantChain::validate`] accepts.
const MAX_KERNEL: usize = 15;

impl Affine {
    /// The byte nearest to `real` (halves to even), as ONNX's QuantizeLinear has it.
    pub fn quantise(self, real: f32) -> u8 {
        to_byte((real / self.scale).round_ties_even() + f32::from(self.zero_point))
    }

    /// What `q` stands for.
    pub fn real(self, q: u8) -> f32 {
        (f32::from(q) - f32::from(self.zero_point)) * self.scale
    }
}

/// What an output channel's accumulator is multiplied with: `(input * weight) / output`, in f32.
pub fn multiplier(input_scale: f32, weight_scale: f32, output_scale: f32) -> f32 {
    (input_scale * weight_scale) / output_scale
}

/// An accumulator as the next tensor's byte.
#[inline]
pub fn requantise(accumulator: i32, multiplier: f32, zero_point: u8) -> u8 {
    to_byte((accumulator as f32 * multiplier).round_ties_even() + f32::from(zero_point))
}

#[inline]
fn to_byte(value: f32) -> u8 {
    value.clamp(0.0, 255.0) as u8
}

/// How the last layer's bytes change the frame's, at one strength.
#[derive(Debug, Clone)]
pub struct Residual {
    /// What each residual byte adds, in steps of the frame.
    pub change: [f32; 256],
}

impl Residual {
    /// The table for `strength` in 0..=1.
    pub fn new(residual: Affine, strength: f32) -> Self {
        let gain = strength * (residual.scale * 255.0);
        let zero = f32::from(residual.zero_point);
        let mut change = [0.0; 256];
        for (q, change) in (0u8..=255).zip(&mut change) {
            *change = gain * (f32::from(q) - zero);
        }
        Self { change }
    }

    /// The restored byte.
    #[inline]
    pub fn apply(&self, byte: u8, residual: u8) -> u8 {
        let value = f32::from(byte) + self.change[usize::from(residual)];
        value.clamp(0.0, 255.0).round_ties_even() as u8
    }
}

/// One INT8 convolution: stride 1, padding `kernel / 2` with the input's zero point.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantConv {
    /// Input channels I.
    pub inputs: usize,
    /// Output channels O.
    pub outputs: usize,
    /// Kernel side, odd.
    pub kernel: usize,
    /// Weights `[O,I,kernel,kernel]`, -127..=127, zero point 0.
    pub weights: Vec<i8>,
    /// One scale for each output channel, `[O]`.
    pub weight_scales: Vec<f32>,
    /// Bias `[O]` in units of `input scale * weight scale`.
    pub bias: Vec<i32>,
    /// The tensor it writes; a ReLU is a zero point of 0.
    pub output: Affine,
}

/// An INT8 student: SpaceToDepth(`scale`), convolutions, DepthToSpace(`scale`), Add; the channel
/// order is that of [`ConvChain`](crate::student::ConvChain).
#[derive(Debug, Clone, PartialEq)]
pub struct QuantChain {
    /// Planes restored.
    pub colour: Colour,
    /// SpaceToDepth factor: 1, 2 or 4.
    pub scale: usize,
    /// Convolutions in order.
    pub layers: Vec<QuantConv>,
    /// Whether its output keeps to the range of [`crate::limit`].
    pub limited: bool,
}

impl QuantChain {
    /// Whether it reads what it gave for the frame before.
    pub fn is_temporal(&self) -> bool {
        let inputs = self.layers.first().map(|l| l.inputs);
        sees_previous(self.colour, self.scale, inputs)
    }

    /// What layer `index` reads.
    pub fn input_of(&self, index: usize) -> Affine {
        match index.checked_sub(1).and_then(|i| self.layers.get(i)) {
            Some(before) => before.output,
            None => INPUT,
        }
    }

    /// What the residual's bytes stand for.
    pub fn residual_affine(&self) -> Affine {
        self.layers.last().map_or(INPUT, |l| l.output)
    }

    /// The requantisation multipliers of layer `index`, `[O]`.
    pub fn multipliers(&self, index: usize) -> Vec<f32> {
        let input = self.input_of(index).scale;
        let Some(layer) = self.layers.get(index) else {
            return Vec::new();
        };
        let of = |w: &f32| multiplier(input, *w, layer.output.scale);
        layer.weight_scales.iter().map(of).collect()
    }

    /// Says what is wrong with the chain's shapes or numbers, if anything. A valid chain's
    /// accumulators fit in i32.
    ///
    /// # Errors
    /// The first fault, in words.
    pub fn validate(&self) -> Result<(), String> {
        if ![1, 2, 4].contains(&self.scale) {
            return Err(format!(
                "SpaceToDepth factor {} is not 1, 2 or 4",
                self.scale
            ));
        }
        let ends = self.colour.channels() * self.scale * self.scale;
        let mut channels = if self.is_temporal() { 2 * ends } else { ends };
        for (i, layer) in self.layers.iter().enumerate() {
            if layer.inputs != channels {
                return Err(format!(
                    "layer {i} takes {} channels, gets {channels}",
                    layer.inputs
                ));
            }
            layer.validate().map_err(|e| format!("layer {i} {e}"))?;
            channels = layer.outputs;
        }
        if self.layers.is_empty() || channels != ends {
            return Err(format!(
                "the chain gives {channels} channels, needs {ends} from a convolution"
            ));
        }
        Ok(())
    }
}

impl QuantConv {
    /// Says what is wrong with the layer by itself, if anything.
    ///
    /// # Errors
    /// The first fault, to be read after "layer N".
    pub fn validate(&self) -> Result<(), String> {
        if self.kernel.is_multiple_of(2) || self.kernel > MAX_KERNEL {
            return Err(format!("has a kernel of {}", self.kernel));
        }
        let taps = self.inputs * self.kernel * self.kernel;
        let lengths = [
            self.weights.len(),
            self.weight_scales.len(),
            self.bias.len(),
        ];
        if lengths != [self.outputs * taps, self.outputs, self.outputs] || taps == 0 {
            return Err(format!(
                "has {} weights for {} outputs",
                lengths[0], self.outputs
            ));
        }
        if self.weights.contains(&i8::MIN) {
            return Err("has a weight of -128; weights are -127 to 127".into());
        }
        let scales = self.weight_scales.iter().chain([&self.output.scale]);
        if let Some(bad) = scales.into_iter().find(|s| !s.is_normal() || **s <= 0.0) {
            return Err(format!("has a scale of {bad}; scales are above 0"));
        }
        if self.largest_sum() > i64::from(i32::MAX) {
            return Err("can overflow its 32-bit accumulators".into());
        }
        Ok(())
    }

    /// Largest size that an output's bias and products of weights and bytes can sum up to.
    pub fn largest_sum(&self) -> i64 {
        let taps = self.inputs * self.kernel * self.kernel;
        let outputs = self.weights.chunks_exact(taps.max(1)).zip(&self.bias);
        let sums = outputs.map(|(weights, bias)| {
            let weights = weights.iter().map(|w| i64::from(w.unsigned_abs()));
            255 * weights.sum::<i64>() + i64::from(bias.unsigned_abs())
        });
        sums.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requantising_rounds_halves_to_even_and_clamps() {
        assert_eq!(
            [1, 3, 5, -1].map(|a| requantise(a, 0.5, 10)),
            [10, 12, 12, 10]
        );
        assert_eq!(
            [1000, -1000, i32::MAX].map(|a| requantise(a, 1.0, 128)),
            [255, 0, 255]
        );
        assert_eq!(INPUT.quantise(1.0), 255);
        assert_eq!(
            (0..=255).find(|&q| INPUT.quantise(f32::from(q) / 255.0) != q),
            None
        );
        assert_eq!(
            (0..=255).find(|&q| INPUT.quantise(INPUT.real(q)) != q),
            None
        );
    }

    #[test]
    fn strength_scales_the_residual() {
        let affine = Affine {
            scale: 1.0 / 255.0,
            zero_point: 100,
        };
        let none = Residual::new(affine, 0.0);
        assert!((0..=255).all(|b| none.apply(b, 0) == b && none.apply(b, 255) == b));
        let full = Residual::new(affine, 1.0);
        assert_eq!(
            [full.apply(50, 90), full.apply(5, 90), full.apply(200, 255)],
            [40, 0, 255]
        );
        assert_eq!(Residual::new(affine, 0.5).apply(50, 93), 46);
    }

    #[test]
    fn faults_are_named() {
        let conv = QuantConv {
            inputs: 1,
            outputs: 1,
            kernel: 3,
            weights: vec![127; 9],
            weight_scales: vec![0.01],
            bias: vec![0],
            output: INPUT,
        };
        let chain = QuantChain {
            colour: Colour::Luma,
            scale: 1,
            layers: vec![conv],
            limited: false,
        };
        assert_eq!(chain.validate(), Ok(()));
        let broken = |change: fn(&mut QuantConv)| {
            let mut chain = chain.clone();
            change(&mut chain.layers[0]);
            chain.validate().unwrap_err()
        };
        assert!(broken(|c| c.weights[3] = -128).contains("-128"));
        assert!(broken(|c| c.bias[0] = i32::MIN).contains("overflow"));
        assert!(broken(|c| c.output.scale = f32::NAN).contains("scale of NaN"));
        assert!(broken(|c| c.weights.truncate(8)).contains("has 8 weights"));
        assert!(broken(|c| c.inputs = 3).contains("takes 3 channels, gets 1"));
    }
}

//! Chains whose layers differ in number format, on torch tensors.

use anyhow::{Result, anyhow};
use hone_shared::quant::{Affine, QuantChain, QuantConv};
use hone_shared::student::{Colour, ConvChain, ConvLayer};
use tch::Tensor;

use super::fake::{IntegerConv, levels, reals};
use crate::onnx::{Ends, Format, Layer, Metadata, write_layers};
use crate::student::{depth_to_space, limit, space_to_depth};

/// A convolution in f32, or in INT8 with what it reads.
#[derive(Debug, Clone, PartialEq)]
pub enum MixedLayer {
    /// f32.
    Float(ConvLayer),
    /// INT8.
    Int8(QuantConv, Affine),
}

/// A quantised student, some of whose layers may have stayed f32.
#[derive(Debug, Clone, PartialEq)]
pub struct MixedChain {
    /// Planes restored.
    pub colour: Colour,
    /// SpaceToDepth factor.
    pub scale: usize,
    /// Convolutions in order.
    pub layers: Vec<MixedLayer>,
    /// Whether its output keeps to the range of [`hone_shared::limit`].
    pub limited: bool,
}

/// `[1,C,H,W]` as the first convolution reads it.
pub(super) fn blocks(frame: &Tensor, scale: usize) -> Tensor {
    space_to_depth(frame, scale as i64)
}

/// `[O]`: mean over pictures and pixels of a layer's sums, before ReLU.
pub(super) fn mean_sum(layer: &ConvLayer, inputs: &[Tensor]) -> Tensor {
    let sums: Vec<Tensor> = inputs
        .iter()
        .map(|x| convolve(layer, x).mean_dim([0i64, 2, 3].as_slice(), false, None))
        .collect();
    Tensor::stack(&sums, 0).mean_dim([0i64].as_slice(), false, None)
}

/// A layer's sums, before ReLU.
pub(super) fn convolve(layer: &ConvLayer, x: &Tensor) -> Tensor {
    let dims = [layer.outputs, layer.inputs, layer.kernel, layer.kernel].map(|d| d as i64);
    let weights = Tensor::from_slice(&layer.weights)
        .reshape(dims)
        .to_device(x.device());
    let bias = Tensor::from_slice(&layer.bias).to_device(x.device());
    let pad = dims[2] / 2;
    x.conv2d(&weights, Some(&bias), [1, 1], [pad, pad], [1, 1], 1)
}

impl MixedLayer {
    /// Real numbers `[1,I,h,w]` in, `[1,O,h,w]` out.
    pub(super) fn run(&self, x: &Tensor) -> Tensor {
        match self {
            Self::Float(layer) => {
                let sums = convolve(layer, x);
                if layer.relu { sums.relu() } else { sums }
            }
            Self::Int8(conv, input) => {
                let integer = IntegerConv::new(conv, *input, x.device());
                reals(&integer.forward(&levels(x, *input)), conv.output)
            }
        }
    }
}

impl MixedChain {
    /// `frame + residual`, held to the limit where there is one, `[1,C,H,W]`; sides are multiples of the factor. A temporal chain takes
    /// `[1,2C,H,W]`, the frame and what it gave before.
    pub fn restore(&self, frame: &Tensor) -> Tensor {
        let mut x = blocks(frame, self.scale);
        for layer in &self.layers {
            x = layer.run(&x);
        }
        let frame = frame.narrow(1, 0, self.colour.channels() as i64);
        let restored = &frame + depth_to_space(&x, self.scale as i64);
        match self.limited {
            true => limit(&restored, &frame),
            false => restored,
        }
    }

    /// The chain when all of it is INT8.
    pub fn int8(&self) -> Option<QuantChain> {
        let convs = self.layers.iter().map(|layer| match layer {
            MixedLayer::Int8(conv, _) => Some(conv.clone()),
            MixedLayer::Float(_) => None,
        });
        Some(QuantChain {
            colour: self.colour,
            scale: self.scale,
            layers: convs.collect::<Option<_>>()?,
            limited: self.limited,
        })
    }

    /// All layers f32, those of `chain`.
    pub fn from_float(chain: &ConvChain) -> Self {
        let layers = chain.layers.iter().cloned().map(MixedLayer::Float);
        Self {
            colour: chain.colour,
            scale: chain.scale,
            layers: layers.collect(),
            limited: chain.limited,
        }
    }

    /// All layers INT8, those of a finished chain.
    pub fn from_int8(chain: &QuantChain) -> Self {
        let numbered = chain.layers.iter().enumerate();
        let layers = numbered.map(|(i, l)| MixedLayer::Int8(l.clone(), chain.input_of(i)));
        Self {
            colour: chain.colour,
            scale: chain.scale,
            layers: layers.collect(),
            limited: chain.limited,
        }
    }

    /// The student's ONNX file.
    pub fn write(&self, format: Format, metadata: &Metadata) -> Vec<u8> {
        let layers: Vec<_> = self
            .layers
            .iter()
            .map(|layer| match layer {
                MixedLayer::Float(conv) => Layer::Float(conv),
                MixedLayer::Int8(conv, input) => Layer::Int8(conv, *input),
            })
            .collect();
        let ends = Ends {
            colour: self.colour,
            scale: self.scale,
            limited: self.limited,
        };
        write_layers(ends, &layers, format, metadata)
    }

    /// Refuses layers that could overflow or hold scales that are no numbers.
    ///
    /// # Errors
    /// The layer and what is wrong with it.
    pub(super) fn validate(&self) -> Result<()> {
        for (i, layer) in self.layers.iter().enumerate() {
            if let MixedLayer::Int8(conv, _) = layer {
                let fault = |e| anyhow!("quantised layer {i} {e}; keep it in f32");
                conv.validate().map_err(fault)?;
            }
        }
        Ok(())
    }
}

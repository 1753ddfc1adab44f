//! The student contract: what every network that `hone` exports and `honed` runs looks like.
//!
//! * ONNX, opset 17 or newer, one input `frame` f32 `[1,C,H,W]` in 0..1 with symbolic H and W, one
//!   output `restored` of the same shape. C = 1 is luma as the camera delivers it, C = 3 is RGB.
//! * A temporal student has a second input `previous` of the same shape: what it gave for the frame
//!   before at strength 1, rounded to bytes. For a first frame, and after any break, that is the
//!   frame itself. Its network reads Concat(frame, previous) on the channels.
//! * The student predicts a residual: `restored = frame + residual`, the Add is the last node. The
//!   board computes `out = clamp(frame + strength * residual)`, so strength 0 leaves the camera's
//!   bytes untouched.
//! * A limited student's output also keeps to the range that [`crate::limit`] reads off the frame: `restored =
//!   Max(Min(frame + residual, high), low)`, those two the last nodes. The board holds what it shows to
//!   that range at any strength.
//! * Real-time students are [`ConvChain`]s: SpaceToDepth, 3x3 or 1x1 convolutions with ReLU between
//!   them, DepthToSpace.

use serde::{Deserialize, Serialize};

/// Name of the ONNX input.
pub const INPUT_NAME: &str = "frame";
/// Name of a temporal student's second ONNX input.
pub const PREVIOUS_NAME: &str = "previous";
/// Name of the ONNX output.
pub const OUTPUT_NAME: &str = "restored";
/// Oldest ONNX operator set a student may use.
pub const MIN_OPSET: i64 = 17;
/// Key in ONNX `metadata_props`: `luma` or `rgb`.
pub const META_COLOUR: &str = "hone.colour";
/// Key in ONNX `metadata_props`: SpaceToDepth factor, in decimal.
pub const META_SCALE: &str = "hone.scale";
/// Key in ONNX `metadata_props`: halo in full-resolution pixels, in decimal.
pub const META_HALO: &str = "hone.halo";
/// Key in ONNX `metadata_props`: name of the student.
pub const META_NAME: &str = "hone.name";
/// Key in ONNX `metadata_props`: SHA-256 of the recipe, hexadecimal.
pub const META_RECIPE: &str = "hone.recipe_sha256";

/// Which planes of a frame a student restores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// One plane: Y as the camera delivers it; chroma passes through.
    Luma,
    /// Three planes in the order R, G, B.
    Rgb,
}

impl Colour {
    /// Number of channels C in `[1,C,H,W]`.
    pub const fn channels(self) -> usize {
        match self {
            Self::Luma => 1,
            Self::Rgb => 3,
        }
    }

    /// The name used in recipes, manifests and ONNX metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Luma => "luma",
            Self::Rgb => "rgb",
        }
    }
}

impl std::fmt::Display for Colour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Colour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "luma" => Ok(Self::Luma),
            "rgb" => Ok(Self::Rgb),
            other => Err(format!("unknown colour '{other}': use luma or rgb")),
        }
    }
}

/// Number format of a student's convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floating point.
    F32,
    /// 8-bit integers: per-output-channel symmetric s8 weights, per-tensor u8 activations.
    Int8,
}

impl Precision {
    /// The name used in manifests, file names and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
        }
    }
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "int8" => Ok(Self::Int8),
            _ => Err("use f32 or int8".into()),
        }
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One convolution of a [`ConvChain`]: stride 1, zero padding `kernel / 2`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvLayer {
    /// Input channels I.
    pub inputs: usize,
    /// Output channels O.
    pub outputs: usize,
    /// Kernel side, odd.
    pub kernel: usize,
    /// Weights `[O,I,kernel,kernel]`, row-major.
    pub weights: Vec<f32>,
    /// Bias `[O]`.
    pub bias: Vec<f32>,
    /// Whether a ReLU follows.
    pub relu: bool,
}

/// A real-time student after folding: SpaceToDepth(`scale`), convolutions, DepthToSpace(`scale`), Add.
///
/// The channel order after SpaceToDepth is ONNX's: channel `(by * scale + bx) * C + c` holds pixel
/// (`by`, `bx`) of each block; DepthToSpace (mode DCR) is its inverse. torch's `pixel_unshuffle`
/// orders channels otherwise for C > 1. A temporal chain reads 2C planes, those of the frame before
/// behind the frame's; its first convolution's inputs tell.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvChain {
    /// Planes restored.
    pub colour: Colour,
    /// SpaceToDepth factor: 1, 2 or 4.
    pub scale: usize,
    /// Convolutions in order; the first takes and the last gives `C * scale * scale` channels. The
    /// first of a temporal chain takes twice as many.
    pub layers: Vec<ConvLayer>,
    /// Whether its output keeps to the range of [`crate::limit`].
    pub limited: bool,
}

/// Whether a chain whose first convolution takes `inputs` channels sees the frame before too.
pub fn sees_previous(colour: Colour, scale: usize, inputs: Option<usize>) -> bool {
    inputs == Some(2 * colour.channels() * scale * scale)
}

impl ConvChain {
    /// Whether it reads what it gave for the frame before.
    pub fn is_temporal(&self) -> bool {
        let inputs = self.layers.first().map(|l| l.inputs);
        sees_previous(self.colour, self.scale, inputs)
    }

    /// Halo in full-resolution pixels: how far an output pixel looks in each direction, rounded up
    /// to whole blocks of `scale`.
    pub fn halo(&self) -> usize {
        let halo = self.scale * self.layers.iter().map(|l| l.kernel / 2).sum::<usize>();
        if self.limited {
            return halo.max(crate::limit::REACH.next_multiple_of(self.scale));
        }
        halo
    }

    /// Multiply-accumulates per full-resolution pixel.
    pub fn macs_per_pixel(&self) -> f64 {
        let per_block: usize = self
            .layers
            .iter()
            .map(|l| l.inputs * l.outputs * l.kernel * l.kernel)
            .sum();
        per_block as f64 / (self.scale * self.scale) as f64
    }

    /// Number of weights and biases.
    pub fn parameters(&self) -> usize {
        self.layers
            .iter()
            .map(|l| l.weights.len() + l.bias.len())
            .sum()
    }

    /// Says what is wrong with the chain's shapes or numbers, if anything.
    pub fn validate(&self) -> Result<(), String> {
        if ![1, 2, 4].contains(&self.scale) {
            return Err(format!(
                "SpaceToDepth factor {} is not 1, 2 or 4",
                self.scale
            ));
        }
        let ends = self.colour.channels() * self.scale * self.scale;
        let mut channels = if self.is_temporal() { 2 * ends } else { ends };
        if self.layers.is_empty() {
            return Err("the chain has no convolution".into());
        }
        for (i, layer) in self.layers.iter().enumerate() {
            let want = layer.outputs * layer.inputs * layer.kernel * layer.kernel;
            if layer.inputs != channels {
                return Err(format!(
                    "layer {i} takes {} channels, gets {channels}",
                    layer.inputs
                ));
            }
            if layer.kernel % 2 == 0 {
                return Err(format!("layer {i} has an even kernel of {}", layer.kernel));
            }
            if layer.weights.len() != want || layer.bias.len() != layer.outputs {
                return Err(format!(
                    "layer {i} has {} weights, needs {want}",
                    layer.weights.len()
                ));
            }
            if layer
                .weights
                .iter()
                .chain(&layer.bias)
                .any(|v| !v.is_finite())
            {
                return Err(format!(
                    "layer {i} holds a weight that is not a finite number"
                ));
            }
            channels = layer.outputs;
        }
        if channels != ends {
            return Err(format!(
                "the last layer gives {channels} channels, needs {ends}"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(inputs: usize, outputs: usize, kernel: usize) -> ConvLayer {
        ConvLayer {
            inputs,
            outputs,
            kernel,
            weights: vec![0.0; inputs * outputs * kernel * kernel],
            bias: vec![0.0; outputs],
            relu: true,
        }
    }

    #[test]
    fn halo_and_cost_count_full_resolution_pixels() {
        let layers = vec![layer(4, 16, 3), layer(16, 16, 1), layer(16, 4, 3)];
        let chain = ConvChain {
            colour: Colour::Luma,
            scale: 2,
            layers,
            limited: false,
        };
        assert_eq!(chain.validate(), Ok(()));
        assert_eq!(chain.halo(), 4);
        assert_eq!(chain.macs_per_pixel(), (576 + 256 + 576) as f64 / 4.0);
        assert!(!chain.is_temporal());
        let limited = ConvChain {
            limited: true,
            layers: vec![layer(4, 4, 1)],
            ..chain
        };
        assert_eq!(limited.halo(), 4);
    }

    #[test]
    fn the_first_layer_tells_a_temporal_chain() {
        let mut chain = ConvChain {
            colour: Colour::Rgb,
            scale: 2,
            layers: vec![layer(24, 12, 3)],
            limited: false,
        };
        assert_eq!((chain.validate(), chain.is_temporal()), (Ok(()), true));
        chain.layers.push(layer(24, 12, 3));
        assert!(chain.validate().unwrap_err().contains("gets 12"));
    }

    #[test]
    fn wrong_shapes_and_numbers_are_named() {
        let mut chain = ConvChain {
            colour: Colour::Rgb,
            scale: 1,
            layers: vec![layer(3, 3, 3)],
            limited: false,
        };
        assert_eq!(chain.validate(), Ok(()));
        chain.layers[0].bias[1] = f32::NAN;
        assert!(
            chain
                .validate()
                .unwrap_err()
                .contains("not a finite number")
        );
        chain.layers[0] = layer(3, 4, 3);
        assert!(
            chain
                .validate()
                .unwrap_err()
                .contains("gives 4 channels, needs 3")
        );
        chain.layers[0] = layer(1, 3, 3);
        assert!(
            chain
                .validate()
                .unwrap_err()
                .contains("takes 1 channels, gets 3")
        );
    }
}

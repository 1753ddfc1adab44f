//! A plain U-Net with skip connections (Ronneberger et al. 2015) that predicts a residual.
//!
//! ```text
//! x -> encoder_level1 -> down -> encoder_level2 ... latent ... up -> decoder_level1 -> output -> + x
//!            +------------------- concatenated ------------------------^
//! ```
//! Two 3x3 convolutions with ReLU a level, channels doubled a level, strided 2x2 convolutions down and
//! transposed ones up. The last layer starts at zero, so an untrained U-Net gives its input back.

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::Path;

use super::layer::{Conv, UpConv};
use super::{Taps, Teacher};
use crate::student::{depth_to_space, space_to_depth};

/// Options of [`UNet`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UNetConfig {
    /// Channels of input and output: 3 (RGB) or 1 (luma).
    pub channels: i64,
    /// Channels of the first level; doubled at every further one.
    pub width: i64,
    /// Number of times the resolution is halved, 1 to 6.
    pub depth: i64,
    /// SpaceToDepth factor in front, DepthToSpace behind: 1, 2 or 4. At 2, a network of twice the width
    /// needs about as many multiplications.
    pub scale: i64,
}

impl Default for UNetConfig {
    fn default() -> Self {
        Self {
            channels: 3,
            width: 32,
            depth: 3,
            scale: 1,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct UNet {
    config: UNetConfig,
    encoders: Vec<Block>,
    downs: Vec<Conv>,
    latent: Block,
    ups: Vec<UpConv>,
    decoders: Vec<Block>,
    output: Conv,
}

#[derive(Debug)]
struct Block(Conv, Conv);

impl Block {
    fn new(vs: &Path, inputs: i64, outputs: i64) -> Self {
        Self(
            Conv::new(&(vs / "conv1"), inputs, outputs, 3, true),
            Conv::new(&(vs / "conv2"), outputs, outputs, 3, true),
        )
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        // In place: nothing else needs what the convolutions gave.
        let inside = self.0.forward(x).relu_();
        self.1.forward(&inside).relu_()
    }
}

impl UNet {
    /// A network with fresh weights in `vs`.
    ///
    /// # Errors
    /// When an option is out of range.
    pub fn new(config: &UNetConfig, vs: &Path) -> anyhow::Result<Self> {
        let UNetConfig {
            channels,
            width,
            depth,
            scale,
        } = *config;
        ensure!(
            channels == 1 || channels == 3,
            "unet: channels is {channels}; use 1 or 3"
        );
        ensure!(
            (1..=512).contains(&width),
            "unet: width is {width}; use 1 to 512"
        );
        ensure!(
            (1..=6).contains(&depth),
            "unet: depth is {depth}; use 1 to 6"
        );
        ensure!(
            [1, 2, 4].contains(&scale),
            "unet: scale is {scale}; use 1, 2 or 4"
        );
        let planes = channels * scale * scale;
        let at = |level: i64| width << level;
        let name = |part: &str, level: i64| vs / format!("{part}{}", level + 1);
        let inputs = |level: i64| if level == 0 { planes } else { at(level) };
        Ok(Self {
            config: config.clone(),
            encoders: (0..depth)
                .map(|l| Block::new(&name("encoder_level", l), inputs(l), at(l)))
                .collect(),
            downs: (0..depth)
                .map(|l| Conv::downsampling(&name("down", l), at(l), at(l + 1), 2, true))
                .collect(),
            latent: Block::new(&(vs / "latent"), at(depth), at(depth)),
            ups: (0..depth)
                .map(|l| UpConv::new(&name("up", l), at(l + 1), at(l)))
                .collect(),
            decoders: (0..depth)
                .map(|l| Block::new(&name("decoder_level", l), 2 * at(l), at(l)))
                .collect(),
            output: Conv::new(&(vs / "output"), width, planes, 3, true).zeroed(),
        })
    }
}

impl Teacher for UNet {
    fn name(&self) -> &'static str {
        "unet"
    }

    fn channels(&self) -> i64 {
        self.config.channels
    }

    fn multiple(&self) -> i64 {
        self.config.scale << self.config.depth
    }

    fn stages(&self, x: &Tensor, taps: &mut Taps) -> Vec<Tensor> {
        let mut skips = Vec::with_capacity(self.encoders.len());
        let scale = self.config.scale;
        let mut y = space_to_depth(x, scale);
        for (level, (encoder, down)) in self.encoders.iter().zip(&self.downs).enumerate() {
            let skip = encoder.forward(&y);
            taps.offer(&format!("encoder_level{}", level + 1), &skip);
            y = down.forward(&skip);
            skips.push(skip);
        }
        y = self.latent.forward(&y);
        taps.offer("latent", &y);
        for (level, (up, decoder)) in self.ups.iter().zip(&self.decoders).enumerate().rev() {
            let joined = Tensor::cat(&[up.forward(&y), skips.swap_remove(level)], 1);
            y = decoder.forward(&joined);
            taps.offer(&format!("decoder_level{}", level + 1), &y);
        }
        vec![depth_to_space(&self.output.forward(&y), scale) + x]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, nn};

    #[test]
    fn an_untrained_unet_gives_its_input_and_learns() {
        // Some seeds leave all of the last level's few ReLUs shut, and nothing to learn from.
        tch::manual_seed(0);
        let vs = nn::VarStore::new(Device::Cpu);
        let config = UNetConfig {
            channels: 1,
            width: 4,
            depth: 2,
            scale: 1,
        };
        let unet = UNet::new(&config, &vs.root()).unwrap();
        let x = Tensor::rand([2, 1, 13, 18], (Kind::Float, Device::Cpu));
        let (y, maps) = unet.features(&x);
        assert_eq!(y, x);
        let names: Vec<_> = maps.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "encoder_level1",
                "encoder_level2",
                "latent",
                "decoder_level2",
                "decoder_level1"
            ]
        );
        assert_eq!(maps[2].1.size(), [2, 16, 4, 5]);
        (unet.forward(&x) - 1.0)
            .square()
            .mean(Kind::Float)
            .backward();
        let gradient = vs.variables()["output.weight"].grad();
        assert!(gradient.abs().max().double_value(&[]) > 0.0);
    }

    #[test]
    fn a_scale_in_front_keeps_the_contract() {
        let vs = nn::VarStore::new(Device::Cpu);
        let config = UNetConfig {
            channels: 1,
            width: 4,
            depth: 1,
            scale: 2,
        };
        let unet = UNet::new(&config, &vs.root()).unwrap();
        assert_eq!(unet.multiple(), 4);
        let x = Tensor::rand([1, 1, 10, 14], (Kind::Float, Device::Cpu));
        let (y, maps) = unet.features(&x);
        assert_eq!(y, x);
        assert_eq!(maps[0].1.size()[1..], [4, 6, 8]);
    }

    #[test]
    fn options_out_of_range_are_named() {
        let vs = nn::VarStore::new(Device::Cpu);
        let config = UNetConfig {
            channels: 2,
            ..UNetConfig::default()
        };
        let error = UNet::new(&config, &vs.root()).unwrap_err().to_string();
        assert!(error.contains("channels is 2; use 1 or 3"), "{error}");
    }
}

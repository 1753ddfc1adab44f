//! SwinIR (Liang et al., ICCVW 2021), under the names of github.com/JingyunLiang/SwinIR.

use std::borrow::Cow;
use std::cell::OnceCell;

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::Path;

use super::layer::{Conv, leaky_relu};
use super::swin::{Block, Geometry};
use super::{Taps, Teacher};
use crate::teacher::layer::LayerNorm;

/// Options of [`SwinIr`]; the defaults are the colour denoising network's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SwinIrConfig {
    /// Size of the output over that of the input: 1, 2, 3, 4 or 8.
    pub upscale: i64,
    /// Channels of input and output.
    pub in_chans: i64,
    /// Side of the training crops; windows are not shifted when it is no larger than one.
    pub img_size: i64,
    /// Side of an attention window.
    pub window_size: i64,
    /// Factor on the input inside the network: 1 or 255.
    pub img_range: f64,
    /// Blocks of each residual group.
    pub depths: Vec<i64>,
    /// Channels.
    pub embed_dim: i64,
    /// Attention heads of each residual group.
    pub num_heads: Vec<i64>,
    /// Width of the perceptron over that of the block.
    pub mlp_ratio: f64,
    /// `""`, `pixelshuffle`, `pixelshuffledirect` or `nearest+conv`.
    pub upsampler: String,
    /// `1conv` or `3conv` before each residual connection.
    pub resi_connection: String,
}

impl Default for SwinIrConfig {
    fn default() -> Self {
        Self {
            upscale: 1,
            in_chans: 3,
            img_size: 128,
            window_size: 8,
            img_range: 1.0,
            depths: vec![6; 6],
            embed_dim: 180,
            num_heads: vec![6; 6],
            mlp_ratio: 2.0,
            upsampler: String::new(),
            resi_connection: "1conv".to_owned(),
        }
    }
}

/// The convolutions before a residual connection; LeakyReLU 0.2 between them.
#[derive(Debug)]
struct Residual(Vec<Conv>);

impl Residual {
    fn new(vs: &Path, dim: i64, three: bool) -> Self {
        if !three {
            return Self(vec![Conv::new(vs, dim, dim, 3, true)]);
        }
        Self(vec![
            Conv::new(&(vs / 0), dim, dim / 4, 3, true),
            Conv::new(&(vs / 2), dim / 4, dim / 4, 1, true),
            Conv::new(&(vs / 4), dim / 4, dim, 3, true),
        ])
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let first = self.0[0].forward(x);
        self.0[1..]
            .iter()
            .fold(first, |y, conv| conv.forward(&leaky_relu(&y, 0.2)))
    }
}

#[derive(Debug)]
enum Tail {
    Same {
        last: Conv,
    },
    PixelShuffle {
        before: Conv,
        steps: Vec<(Conv, i64)>,
        last: Conv,
    },
    Direct {
        conv: Conv,
    },
    NearestConv {
        before: Conv,
        ups: Vec<Conv>,
        hr: Conv,
        last: Conv,
    },
}

/// See the module.
#[derive(Debug)]
pub struct SwinIr {
    config: SwinIrConfig,
    mean: Option<Tensor>,
    /// Made at first use: who only counts a network needs none.
    geometry: OnceCell<Geometry>,
    conv_first: Conv,
    embed_norm: LayerNorm,
    groups: Vec<(Vec<Block>, Residual)>,
    norm: LayerNorm,
    conv_after_body: Residual,
    tail: Tail,
}

impl SwinIr {
    /// A network with fresh weights in `vs`.
    ///
    /// # Errors
    /// When an option is unknown, out of range or contradicts another.
    pub fn new(config: &SwinIrConfig, vs: &Path) -> anyhow::Result<Self> {
        let c = config;
        let d = c.embed_dim;
        ensure!(
            (1..=16).contains(&c.in_chans) && (4..=1024).contains(&d),
            "swinir: in_chans must be 1 to 16, embed_dim 4 to 1024"
        );
        ensure!(
            (2..=64).contains(&c.window_size) && c.img_size >= c.window_size,
            "swinir: window_size must be 2 to 64 and not above img_size"
        );
        ensure!(
            (1..=32).contains(&c.depths.len()) && c.depths.len() == c.num_heads.len(),
            "swinir: depths and num_heads need the same number of entries"
        );
        ensure!(
            c.depths.iter().all(|n| (1..=64).contains(n)),
            "swinir: 1 to 64 blocks a group"
        );
        ensure!(
            c.num_heads.iter().all(|&h| h > 0 && d % h == 0),
            "swinir: num_heads must divide embed_dim"
        );
        ensure!(
            (0.1..=16.0).contains(&c.mlp_ratio) && c.img_range > 0.0,
            "swinir: mlp_ratio must be 0.1 to 16 and img_range positive"
        );
        ensure!(
            [1, 2, 3, 4, 8].contains(&c.upscale),
            "swinir: upscale is {}; use 1, 2, 3, 4 or 8",
            c.upscale
        );
        let three = match c.resi_connection.as_str() {
            "1conv" => false,
            "3conv" => true,
            other => anyhow::bail!("swinir: resi_connection is '{other}'; use 1conv or 3conv"),
        };
        let conv = |name: &str, i, o| Conv::new(&(vs / name), i, o, 3, true);
        let before = || Conv::new(&(vs / "conv_before_upsample" / 0), d, 64, 3, true);
        let upsample = |i: i64, o| {
            Conv::new(
                &(vs / "upsample" / i),
                if c.upsampler == "pixelshuffledirect" {
                    d
                } else {
                    64
                },
                o,
                3,
                true,
            )
        };
        let tail = match (c.upsampler.as_str(), c.upscale) {
            ("", 1) => Tail::Same {
                last: conv("conv_last", d, c.in_chans),
            },
            ("pixelshuffle", 3) => Tail::PixelShuffle {
                before: before(),
                steps: vec![(upsample(0, 9 * 64), 3)],
                last: conv("conv_last", 64, c.in_chans),
            },
            ("pixelshuffle", scale) => Tail::PixelShuffle {
                before: before(),
                steps: (0..scale.ilog2())
                    .map(|i| (upsample(2 * i64::from(i), 4 * 64), 2))
                    .collect(),
                last: conv("conv_last", 64, c.in_chans),
            },
            ("pixelshuffledirect", scale) => Tail::Direct {
                conv: upsample(0, scale * scale * c.in_chans),
            },
            ("nearest+conv", scale @ (2 | 4)) => Tail::NearestConv {
                before: before(),
                ups: (1..=scale.ilog2())
                    .map(|i| conv(&format!("conv_up{i}"), 64, 64))
                    .collect(),
                hr: conv("conv_hr", 64, 64),
                last: conv("conv_last", 64, c.in_chans),
            },
            (upsampler, scale) => anyhow::bail!(
                "swinir: upsampler '{upsampler}' with upscale {scale}; use '' with 1, pixelshuffle, pixelshuffledirect, or nearest+conv with 2 or 4"
            ),
        };
        let hidden = (d as f64 * c.mlp_ratio) as i64;
        let shift = if c.img_size > c.window_size {
            c.window_size / 2
        } else {
            0
        };
        let mean = (c.in_chans == 3).then(|| {
            Tensor::from_slice(&[0.4488f32, 0.4371, 0.4040])
                .view([1, 3, 1, 1])
                .to_device(vs.device())
        });
        let group = |i: usize| {
            let vs = vs / "layers" / (i as i64);
            let block = |j: i64| {
                let vs = &vs / "residual_group" / "blocks" / j;
                Block::new(
                    &vs,
                    d,
                    c.num_heads[i],
                    hidden,
                    c.window_size,
                    if j % 2 == 0 { 0 } else { shift },
                )
            };
            (
                (0..c.depths[i]).map(block).collect(),
                Residual::new(&(&vs / "conv"), d, three),
            )
        };
        Ok(Self {
            config: c.clone(),
            mean,
            geometry: OnceCell::new(),
            conv_first: conv("conv_first", c.in_chans, d),
            embed_norm: LayerNorm::new(&(vs / "patch_embed" / "norm"), d, 1e-5),
            groups: (0..c.depths.len()).map(group).collect(),
            norm: LayerNorm::new(&(vs / "norm"), d, 1e-5),
            conv_after_body: Residual::new(&(vs / "conv_after_body"), d, three),
            tail,
        })
    }

    fn body(&self, x: &Tensor, taps: &mut Taps) -> Tensor {
        let window = self.config.window_size;
        let geometry = || Geometry::new(window, x.device());
        let geometry = self.geometry.get_or_init(geometry);
        let mut y = self.embed_norm.forward(&x.permute([0, 2, 3, 1]));
        for (i, (blocks, residual)) in self.groups.iter().enumerate() {
            let inside = blocks
                .iter()
                .fold(y.shallow_clone(), |y, block| block.forward(&y, geometry));
            let change = residual.forward(&inside.permute([0, 3, 1, 2]));
            y = y.g_add(&change.permute([0, 2, 3, 1]));
            taps.offer(&format!("layers.{i}"), &y.permute([0, 3, 1, 2]));
        }
        self.conv_after_body
            .forward(&self.norm.forward(&y).permute([0, 3, 1, 2]))
            + x
    }
}

impl Teacher for SwinIr {
    fn name(&self) -> &'static str {
        "swinir"
    }

    fn channels(&self) -> i64 {
        self.config.in_chans
    }

    fn multiple(&self) -> i64 {
        self.config.window_size
    }

    fn scale(&self) -> i64 {
        self.config.upscale
    }

    fn parameter_of<'a>(&self, name: &'a str) -> Option<Cow<'a, str>> {
        let buffer = name.ends_with(".attn_mask") || name.ends_with(".relative_position_index");
        (!buffer).then_some(Cow::Borrowed(name))
    }

    fn stages(&self, x: &Tensor, taps: &mut Taps) -> Vec<Tensor> {
        let mean = self.mean.as_ref().map(|m| m.to_kind(x.kind()));
        let x = match &mean {
            Some(mean) => (x - mean) * self.config.img_range,
            None => x * self.config.img_range,
        };
        let y = self.body(&self.conv_first.forward(&x), taps);
        taps.offer("conv_after_body", &y);
        let y = match &self.tail {
            Tail::Same { last } => last.forward(&y) + x,
            Tail::Direct { conv } => conv.forward(&y).pixel_shuffle(self.config.upscale),
            Tail::PixelShuffle {
                before,
                steps,
                last,
            } => {
                let y = leaky_relu(&before.forward(&y), 0.01);
                let up = |y: Tensor, (conv, by): &(Conv, i64)| conv.forward(&y).pixel_shuffle(*by);
                last.forward(&steps.iter().fold(y, up))
            }
            Tail::NearestConv {
                before,
                ups,
                hr,
                last,
            } => {
                let y = leaky_relu(&before.forward(&y), 0.01);
                let up = |y: Tensor, conv: &Conv| {
                    let (_, _, h, w) = y.size4().unwrap_or_default();
                    leaky_relu(
                        &conv.forward(&y.upsample_nearest2d([2 * h, 2 * w], 2.0, 2.0)),
                        0.2,
                    )
                };
                let y = ups.iter().fold(y, up);
                last.forward(&leaky_relu(&hr.forward(&y), 0.2))
            }
        } / self.config.img_range;
        vec![match &mean {
            Some(mean) => y + mean,
            None => y,
        }]
    }
}

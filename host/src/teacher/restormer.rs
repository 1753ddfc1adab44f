//! Restormer (Zamir et al., CVPR 2022), under the names of github.com/swz30/Restormer.

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::Path;

use super::layer::Conv;
use super::restormer_block::Block;
use super::{Taps, Teacher};

/// Which statistics the normalisation removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Norm {
    /// Mean and variance, with a bias.
    WithBias,
    /// Variance only.
    BiasFree,
}

/// Options of [`Restormer`]; the defaults are the deblurring network's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(non_snake_case)]
pub struct RestormerConfig {
    /// Channels of the input: 3, or 6 for dual-pixel pairs.
    pub inp_channels: i64,
    /// Channels of the output.
    pub out_channels: i64,
    /// Channels of the first level.
    pub dim: i64,
    /// Transformer blocks on the four levels.
    pub num_blocks: [i64; 4],
    /// Blocks after the decoder.
    pub num_refinement_blocks: i64,
    /// Attention heads on the four levels.
    pub heads: [i64; 4],
    /// Width of the feed-forward network over that of the block.
    pub ffn_expansion_factor: f64,
    /// Whether convolutions have biases.
    pub bias: bool,
    /// Kind of normalisation.
    pub LayerNorm_type: Norm,
    /// Defocus deblurring from dual-pixel pairs: no global residual.
    pub dual_pixel_task: bool,
}

impl Default for RestormerConfig {
    fn default() -> Self {
        Self {
            inp_channels: 3,
            out_channels: 3,
            dim: 48,
            num_blocks: [4, 6, 6, 8],
            num_refinement_blocks: 4,
            heads: [1, 2, 4, 8],
            ffn_expansion_factor: 2.66,
            bias: false,
            LayerNorm_type: Norm::WithBias,
            dual_pixel_task: false,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Restormer {
    config: RestormerConfig,
    patch_embed: Conv,
    encoders: Vec<Vec<Block>>,
    downs: Vec<Conv>,
    /// Level 3 first.
    ups: Vec<Conv>,
    reduce: Vec<Conv>,
    decoders: Vec<Vec<Block>>,
    refinement: Vec<Block>,
    skip_conv: Option<Conv>,
    output: Conv,
}

impl Restormer {
    /// A network with fresh weights in `vs`.
    ///
    /// # Errors
    /// When an option is out of range or the heads do not divide the channels.
    pub fn new(config: &RestormerConfig, vs: &Path) -> anyhow::Result<Self> {
        let c = config;
        ensure!(
            (2..=512).contains(&c.dim) && c.dim % 2 == 0,
            "restormer: dim is {}; use an even number up to 512",
            c.dim
        );
        ensure!(
            (1..=64).contains(&c.inp_channels) && (1..=64).contains(&c.out_channels),
            "restormer: 1 to 64 channels in and out"
        );
        ensure!(
            c.dual_pixel_task || c.inp_channels == c.out_channels,
            "restormer: the global residual needs as many output as input channels"
        );
        ensure!(
            (1.0..=16.0).contains(&c.ffn_expansion_factor),
            "restormer: ffn_expansion_factor must be 1 to 16"
        );
        let blocks = c.num_blocks.iter().chain([&c.num_refinement_blocks]);
        ensure!(
            blocks.clone().all(|b| (0..=64).contains(b)),
            "restormer: 0 to 64 blocks a level"
        );
        for (level, &heads) in c.heads.iter().enumerate() {
            let dim = c.dim << level;
            ensure!(
                heads > 0 && dim % heads == 0,
                "restormer: {heads} heads do not divide {dim} channels"
            );
        }
        let (d, b) = (c.dim, c.bias);
        let stack = |name: &str, count: i64, dim: i64, heads: i64| -> Vec<Block> {
            (0..count)
                .map(|i| Block::new(&(vs / name / i), dim, heads, c))
                .collect()
        };
        let body = |name: &str| vs / name / "body" / 0;
        let names = [
            "encoder_level1",
            "encoder_level2",
            "encoder_level3",
            "latent",
        ];
        Ok(Self {
            config: c.clone(),
            patch_embed: Conv::new(&(vs / "patch_embed" / "proj"), c.inp_channels, d, 3, false),
            encoders: (0..4)
                .map(|l| stack(names[l], c.num_blocks[l], d << l, c.heads[l]))
                .collect(),
            downs: ["down1_2", "down2_3", "down3_4"]
                .iter()
                .enumerate()
                .map(|(l, n)| Conv::new(&body(n), d << l, (d << l) / 2, 3, false))
                .collect(),
            ups: [("up4_3", 8), ("up3_2", 4), ("up2_1", 2)]
                .iter()
                .map(|(n, m)| Conv::new(&body(n), d * m, d * m * 2, 3, false))
                .collect(),
            reduce: [("reduce_chan_level3", 4), ("reduce_chan_level2", 2)]
                .iter()
                .map(|(n, m)| Conv::new(&(vs / *n), d * m * 2, d * m, 1, b))
                .collect(),
            decoders: vec![
                stack("decoder_level3", c.num_blocks[2], d * 4, c.heads[2]),
                stack("decoder_level2", c.num_blocks[1], d * 2, c.heads[1]),
                stack("decoder_level1", c.num_blocks[0], d * 2, c.heads[0]),
            ],
            refinement: stack("refinement", c.num_refinement_blocks, d * 2, c.heads[0]),
            skip_conv: c
                .dual_pixel_task
                .then(|| Conv::new(&(vs / "skip_conv"), d, d * 2, 1, b)),
            output: Conv::new(&(vs / "output"), d * 2, c.out_channels, 3, b),
        })
    }
}

fn run(blocks: &[Block], x: Tensor) -> Tensor {
    blocks.iter().fold(x, |x, block| block.forward(x))
}

impl Teacher for Restormer {
    fn name(&self) -> &'static str {
        "restormer"
    }

    fn channels(&self) -> i64 {
        self.config.inp_channels
    }

    fn multiple(&self) -> i64 {
        8
    }

    fn stages(&self, x: &Tensor, taps: &mut Taps) -> Vec<Tensor> {
        let embedded = self.patch_embed.forward(x);
        let mut y = embedded.shallow_clone();
        let mut skips = Vec::new();
        for (level, blocks) in self.encoders.iter().enumerate() {
            y = run(blocks, y);
            taps.offer(
                &if level < 3 {
                    format!("encoder_level{}", level + 1)
                } else {
                    "latent".to_owned()
                },
                &y,
            );
            if let Some(down) = self.downs.get(level) {
                let next = down.forward(&y).pixel_unshuffle(2);
                skips.push(std::mem::replace(&mut y, next));
            }
        }
        for (i, (up, blocks)) in self.ups.iter().zip(&self.decoders).enumerate() {
            let up = up.forward(&y).pixel_shuffle(2);
            y = Tensor::cat(
                &[Some(up), skips.pop()]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>(),
                1,
            );
            if let Some(reduce) = self.reduce.get(i) {
                y = reduce.forward(&y);
            }
            y = run(blocks, y);
            taps.offer(&format!("decoder_level{}", 3 - i), &y);
        }
        y = run(&self.refinement, y);
        taps.offer("refinement", &y);
        vec![match &self.skip_conv {
            Some(skip) => self.output.forward(&(y + skip.forward(&embedded))),
            None => self.output.forward(&y) + x,
        }]
    }
}

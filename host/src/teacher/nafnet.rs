//! NAFNet (Chen et al., ECCV 2022), under the names of github.com/megvii-research/NAFNet, and its
//! local form (Chu et al., "Improving Image Restoration by Revisiting Global Information
//! Aggregation", ECCV 2022): trained on crops, global pooling sees other statistics on full frames.

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::Path;

use super::layer::Conv;
use super::nafnet_block::Block;
use super::{Padding, Taps, Teacher};

/// Options of [`NafNet`]; the defaults are the GoPro network of width 32.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NafNetConfig {
    /// Channels of input and output.
    pub img_channel: i64,
    /// Channels of the first level.
    pub width: i64,
    /// Blocks between encoder and decoder.
    pub middle_blk_num: i64,
    /// Blocks of each encoder level.
    pub enc_blk_nums: Vec<i64>,
    /// Blocks of each decoder level, deepest first.
    pub dec_blk_nums: Vec<i64>,
    /// Side in pixels of the pooling window of the local form (384 for networks trained on 256-pixel
    /// crops); absent: global pooling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_window: Option<i64>,
}

impl Default for NafNetConfig {
    fn default() -> Self {
        Self {
            img_channel: 3,
            width: 32,
            middle_blk_num: 1,
            enc_blk_nums: vec![1, 1, 1, 28],
            dec_blk_nums: vec![1; 4],
            local_window: None,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct NafNet {
    config: NafNetConfig,
    intro: Conv,
    encoders: Vec<Vec<Block>>,
    downs: Vec<Conv>,
    middle: Vec<Block>,
    ups: Vec<Conv>,
    decoders: Vec<Vec<Block>>,
    ending: Conv,
}

impl NafNet {
    /// A network with fresh weights in `vs`.
    ///
    /// # Errors
    /// When an option is out of range.
    pub fn new(config: &NafNetConfig, vs: &Path) -> anyhow::Result<Self> {
        let c = config;
        let levels = c.enc_blk_nums.len();
        ensure!(
            (1..=16).contains(&c.img_channel),
            "nafnet: 1 to 16 channels"
        );
        ensure!(
            (2..=256).contains(&c.width) && c.width % 2 == 0,
            "nafnet: width is {}; use an even number up to 256",
            c.width
        );
        ensure!(
            (1..=6).contains(&levels) && levels == c.dec_blk_nums.len(),
            "nafnet: enc_blk_nums and dec_blk_nums need the same 1 to 6 entries"
        );
        let counts = c
            .enc_blk_nums
            .iter()
            .chain(&c.dec_blk_nums)
            .chain([&c.middle_blk_num]);
        ensure!(
            counts.clone().all(|n| (0..=128).contains(n)),
            "nafnet: 0 to 128 blocks a level"
        );
        ensure!(
            c.local_window
                .is_none_or(|w| (1 << levels..=65_536).contains(&w)),
            "nafnet: local_window must be {} to 65536",
            1 << levels
        );
        let window = |level: usize| c.local_window.map(|w| w >> level);
        let stack = |vs: Path, count: i64, level: usize| -> Vec<Block> {
            (0..count)
                .map(|i| Block::new(&(&vs / i), c.width << level, window(level)))
                .collect()
        };
        let at = |name: &str, i: usize| vs / name / (i as i64);
        Ok(Self {
            config: c.clone(),
            intro: Conv::new(&(vs / "intro"), c.img_channel, c.width, 3, true),
            encoders: (0..levels)
                .map(|l| stack(at("encoders", l), c.enc_blk_nums[l], l))
                .collect(),
            downs: (0..levels)
                .map(|l| {
                    Conv::downsampling(&at("downs", l), c.width << l, c.width << (l + 1), 2, true)
                })
                .collect(),
            middle: stack(vs / "middle_blks", c.middle_blk_num, levels),
            ups: (0..levels)
                .map(|i| {
                    let inputs = c.width << (levels - i);
                    Conv::new(&(at("ups", i) / 0), inputs, inputs * 2, 1, false)
                })
                .collect(),
            decoders: (0..levels)
                .map(|i| stack(at("decoders", i), c.dec_blk_nums[i], levels - 1 - i))
                .collect(),
            ending: Conv::new(&(vs / "ending"), c.width, c.img_channel, 3, true),
        })
    }
}

fn run(blocks: &[Block], x: Tensor) -> Tensor {
    blocks.iter().fold(x, |x, block| block.forward(x))
}

impl Teacher for NafNet {
    fn name(&self) -> &'static str {
        "nafnet"
    }

    fn channels(&self) -> i64 {
        self.config.img_channel
    }

    fn multiple(&self) -> i64 {
        1 << self.encoders.len()
    }

    fn padding(&self) -> Padding {
        Padding::Zeros
    }

    fn stages(&self, x: &Tensor, taps: &mut Taps) -> Vec<Tensor> {
        let mut y = self.intro.forward(x);
        let mut skips = Vec::new();
        for (i, (blocks, down)) in self.encoders.iter().zip(&self.downs).enumerate() {
            y = run(blocks, y);
            taps.offer(&format!("encoders.{i}"), &y);
            let next = down.forward(&y);
            skips.push(std::mem::replace(&mut y, next));
        }
        y = run(&self.middle, y);
        taps.offer("middle_blks", &y);
        for (i, (up, blocks)) in self.ups.iter().zip(&self.decoders).enumerate() {
            y = up.forward(&y).pixel_shuffle(2) + &skips[skips.len() - 1 - i];
            y = run(blocks, y);
            taps.offer(&format!("decoders.{i}"), &y);
        }
        vec![self.ending.forward(&y) + x]
    }
}

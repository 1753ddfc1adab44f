//! NAFNet (Chen et al., ECCV 2022), under the names of github.com/megvii-research/NAFNet, and its
//! local form (Chu et al., "Improving Image Restoration by Revisiting Global Information
//! Aggregation", ECCV 2022): trained on crops, global pooling sees other statistics on full frames.

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use tch::nn::Path;
use tch::{Kind, Tensor};

use super::layer::{Conv, LayerNorm, spatial_mean};
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

#[derive(Debug)]
struct Block {
    norm1: LayerNorm,
    conv1: Conv,
    conv2: Conv,
    sca: Conv,
    conv3: Conv,
    norm2: LayerNorm,
    conv4: Conv,
    conv5: Conv,
    beta: Tensor,
    gamma: Tensor,
    /// Pooling window at this block's resolution.
    window: Option<i64>,
}

fn gate(x: &Tensor) -> Tensor {
    let parts = x.chunk(2, 1);
    &parts[0] * &parts[1]
}

impl Block {
    fn new(vs: &Path, c: i64, window: Option<i64>) -> Self {
        let conv = |name: &str, outputs| Conv::new(&(vs / name), c, outputs, 1, true);
        Self {
            norm1: LayerNorm::new(&(vs / "norm1"), c, 1e-6),
            conv1: conv("conv1", 2 * c),
            conv2: Conv::grouped(&(vs / "conv2"), 2 * c, 2 * c, 3, 2 * c, true),
            sca: Conv::new(&(vs / "sca" / 1), c, c, 1, true),
            conv3: conv("conv3", c),
            norm2: LayerNorm::new(&(vs / "norm2"), c, 1e-6),
            conv4: conv("conv4", 2 * c),
            conv5: conv("conv5", c),
            beta: vs.zeros("beta", &[1, c, 1, 1]),
            gamma: vs.zeros("gamma", &[1, c, 1, 1]),
            window,
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let y = self
            .conv2
            .forward(&self.conv1.forward(&self.norm1.forward_channels(x)));
        let y = gate(&y);
        let pooled = match self.window {
            Some(window) => local_mean(&y, window),
            None => spatial_mean(&y),
        };
        let y = self.conv3.forward(&(y * self.sca.forward(&pooled)));
        let x = x + y * &self.beta;
        let y = gate(&self.conv4.forward(&self.norm2.forward_channels(&x)));
        &x + self.conv5.forward(&y) * &self.gamma
    }
}

/// Mean over a `window` x `window` neighbourhood of every pixel; at the borders the nearest whole
/// window's. The global mean `[N,C,1,1]` when the window covers the picture.
fn local_mean(x: &Tensor, window: i64) -> Tensor {
    let (_, _, h, w) = x.size4().unwrap_or_default();
    if window >= h && window >= w {
        return spatial_mean(x);
    }
    let along = |x: &Tensor, axis: i64, length: i64| {
        let k = window.min(length);
        let pad = if axis == 3 {
            [1, 0, 0, 0]
        } else {
            [0, 0, 1, 0]
        };
        let sums = x.cumsum(axis, Kind::Double).constant_pad_nd(pad);
        let count = length + 1 - k;
        (sums.narrow(axis, k, count) - sums.narrow(axis, 0, count)) / k as f64
    };
    let mean = along(&along(x, 3, w), 2, h).to_kind(Kind::Float);
    let (dh, dw) = (h - mean.size()[2], w - mean.size()[3]);
    mean.replication_pad2d([dw / 2, (dw + 1) / 2, dh / 2, (dh + 1) / 2])
        .to_kind(x.kind())
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
    blocks.iter().fold(x, |x, block| block.forward(&x))
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

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn the_local_mean_is_the_sliding_windows() {
        let x = Tensor::rand([1, 2, 11, 14], (Kind::Float, Device::Cpu));
        let y = local_mean(&x, 5);
        assert_eq!(y.size(), x.size());
        let by_hand = x.avg_pool2d([5, 5], [1, 1], [0, 0], false, true, None);
        let error = (y.narrow(2, 3, 7).narrow(3, 4, 10).narrow(2, 0, 1)
            - by_hand
                .narrow(2, 1, 1)
                .narrow(3, 2, 8)
                .replication_pad2d([0, 2, 0, 0]))
        .narrow(3, 0, 6)
        .abs()
        .max()
        .double_value(&[]);
        assert!(error < 1e-5, "{error}");
        assert_eq!(local_mean(&x, 14).size(), [1, 2, 1, 1]);
    }
}

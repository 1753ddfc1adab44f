//! Attention for GPUs without gradients: heads padded to what torch's fused kernel takes.
//!
//! The kernel wants the channels of a head and the rows of a bias in multiples of 16 bytes; SwinIR's heads have 30 channels.
//! Zeros are added to the weights, not to the maps: queries, keys and values come out padded and need no copies.

use tch::Tensor;

use super::{Block, Geometry, Part};
use crate::teacher::layer::{Linear, add_macs};

/// Channels and pixels are padded to multiples of this: 16 bytes of the smallest kind of number.
const ALIGNED: i64 = 8;

fn padded(size: i64) -> i64 {
    (size + ALIGNED - 1) / ALIGNED * ALIGNED
}

/// A block's attention with its weights padded.
pub(super) struct Padded {
    heads: i64,
    /// Channels of a padded head.
    head: i64,
    /// Those of them that are zeros.
    zeros: i64,
    /// Of the logits: one over the root of a head's own channels.
    scale: f64,
    qkv: Linear,
    proj: Linear,
    /// `[1,heads,pixels,pixels]`.
    bias: Tensor,
    /// The same for windows that wrapped round: in the last row, in the last column, in both. None without a shift.
    masked: Option<[Tensor; 3]>,
}

impl Padded {
    /// Of `block`, whose bias is `bias` `[1,heads,pixels,pixels]`.
    pub fn new(block: &Block, bias: &Tensor, geometry: &Geometry) -> Self {
        let heads = block.heads;
        let (channels, area) = (block.qkv.inputs(), *bias.size().last().unwrap_or(&1));
        let (own, head) = (channels / heads, padded(channels / heads));
        let qkv = block.qkv.map(
            |weight| {
                let heads = weight.view([3 * heads, own, channels]);
                heads
                    .constant_pad_nd([0, 0, 0, head - own])
                    .view([-1, channels])
            },
            |bias| {
                let heads = bias.view([3 * heads, own]);
                heads.constant_pad_nd([0, head - own]).view([-1])
            },
        );
        let proj = block.proj.map(
            |weight| {
                let heads = weight.view([channels, heads, own]);
                heads.constant_pad_nd([0, head - own]).view([channels, -1])
            },
            Tensor::shallow_clone,
        );
        let pad = |bias: &Tensor| {
            let rows = bias.constant_pad_nd([0, padded(area) - area]);
            rows.narrow(3, 0, area)
        };
        let masked = (block.shift > 0).then(|| {
            let [below, beside] =
                [&geometry.below, &geometry.beside].map(|m| m.to_kind(bias.kind()));
            [bias + &below, bias + &beside, bias + &below + &beside].map(|bias| pad(&bias))
        });
        Self {
            heads,
            head,
            zeros: head - own,
            scale: (own as f64).powf(-0.5),
            qkv,
            proj,
            bias: pad(bias),
            masked,
        }
    }

    /// What is added to logits, for the tests.
    #[cfg(test)]
    pub fn biases(&self) -> impl Iterator<Item = &Tensor> {
        std::iter::once(&self.bias).chain(self.masked.iter().flatten())
    }

    /// Attention inside `windows` `[windows,pixels,C]`, which are `part`.
    pub fn attend(&self, windows: &Tensor, part: &Part) -> Tensor {
        let (count, area, _) = windows.size3().unwrap_or_default();
        let grid = [part.pictures, part.rows, part.columns];
        let qkv = self
            .qkv
            .forward(windows)
            .view([count, area, 3, self.heads, self.head]);
        let y = self.fused(&qkv, &self.bias);
        if let Some([below, beside, both]) = &self.masked {
            // The few windows that wrapped round are computed again over what has no mask.
            let of = |t: &Tensor| t.view([&grid, &t.size()[1..]].concat().as_slice());
            let (qkv, y) = (of(&qkv), of(&y));
            let again = |bias: &Tensor, edge: &dyn Fn(&Tensor) -> Tensor| {
                let inputs = edge(&qkv);
                let inputs = inputs.reshape([&[-1], &qkv.size()[3..]].concat().as_slice());
                let mut to = edge(&y);
                let again = self.fused(&inputs, bias).view(to.size().as_slice());
                to.copy_(&again);
            };
            let last_row = |t: &Tensor| t.narrow(1, part.rows - 1, 1);
            let last_column = |t: &Tensor| t.narrow(2, part.columns - 1, 1);
            again(beside, &last_column);
            if part.last {
                again(below, &last_row);
                again(both, &|t| last_column(&last_row(t)));
            }
        }
        let y = self.proj.forward(&y);
        // Products with the zeros are none of the network's.
        add_macs(-4 * self.heads * self.zeros * windows.numel() as i64);
        y
    }

    /// Attention over `[windows,pixels,3,heads,channels]`, to `[windows,pixels,heads*channels]`.
    fn fused(&self, qkv: &Tensor, bias: &Tensor) -> Tensor {
        let (count, area) = (qkv.size()[0], qkv.size()[1]);
        let [q, k, v] = [0, 1, 2].map(|i| qkv.select(2, i).transpose(1, 2));
        let bias = bias.expand([count, self.heads, area, area], false);
        Tensor::scaled_dot_product_attention(&q, &k, &v, Some(bias), 0.0, false, self.scale, false)
            .transpose(1, 2)
            .reshape([count, area, self.heads * self.head])
    }
}

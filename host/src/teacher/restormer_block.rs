//! Restormer's transformer block: attention between channels, then a gated feed-forward network.

use tch::nn::{Init, Path};
use tch::{Kind, Tensor};

use super::layer::{Conv, in_kind_of, matmul, variable};
use super::restormer::{Norm, RestormerConfig};
use super::strip::{self, Strip};

/// Normalisation over channels, eps 1e-5.
#[derive(Debug)]
struct ChannelNorm {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl ChannelNorm {
    fn new(vs: &Path, dim: i64, kind: Norm) -> Self {
        let vs = vs / "body";
        Self {
            weight: variable(&vs, "weight", &[dim], Init::Const(1.0)),
            bias: (kind == Norm::WithBias).then(|| variable(&vs, "bias", &[dim], Init::Const(0.0))),
        }
    }

    /// The result lies channels-last in memory: pointwise convolutions run fastest on it.
    fn forward(&self, x: &Tensor) -> Tensor {
        let last = x.permute([0, 2, 3, 1]);
        let dim = self.weight.size();
        let weight = in_kind_of(&self.weight, x);
        let y = if let Some(bias) = &self.bias {
            last.layer_norm(dim, Some(weight), Some(in_kind_of(bias, x)), 1e-5, false)
        } else {
            let (_, _, rstd) = last.native_layer_norm(dim, None::<&Tensor>, None, 1e-5);
            last.contiguous() * rstd.to_kind(x.kind()) * weight
        };
        y.permute([0, 3, 1, 2])
    }
}

/// See the module.
#[derive(Debug)]
pub struct Block {
    heads: i64,
    norm1: ChannelNorm,
    temperature: Tensor,
    qkv: Conv,
    qkv_dwconv: Conv,
    attn_out: Conv,
    norm2: ChannelNorm,
    project_in: Conv,
    dwconv: Conv,
    ffn_out: Conv,
}

impl Block {
    /// A block of `dim` channels.
    pub fn new(vs: &Path, dim: i64, heads: i64, c: &RestormerConfig) -> Self {
        let hidden = (dim as f64 * c.ffn_expansion_factor) as i64;
        let (attn, ffn, b) = (vs / "attn", vs / "ffn", c.bias);
        Self {
            heads,
            norm1: ChannelNorm::new(&(vs / "norm1"), dim, c.LayerNorm_type),
            temperature: variable(&attn, "temperature", &[heads, 1, 1], Init::Const(1.0)),
            qkv: Conv::new(&(&attn / "qkv"), dim, dim * 3, 1, b),
            qkv_dwconv: Conv::grouped(&(&attn / "qkv_dwconv"), dim * 3, dim * 3, 3, dim * 3, b),
            attn_out: Conv::new(&(&attn / "project_out"), dim, dim, 1, b),
            norm2: ChannelNorm::new(&(vs / "norm2"), dim, c.LayerNorm_type),
            project_in: Conv::new(&(&ffn / "project_in"), dim, hidden * 2, 1, b),
            dwconv: Conv::grouped(&(&ffn / "dwconv"), hidden * 2, hidden * 2, 3, hidden * 2, b),
            ffn_out: Conv::new(&(&ffn / "project_out"), hidden, dim, 1, b),
        }
    }

    /// `[N,dim,H,W]` to the same shape; large maps in strips.
    pub fn forward(&self, x: Tensor) -> Tensor {
        match strip::strips(&x, &self.temperature) {
            Some(strips) => self.forward_strips(x, &strips),
            None => {
                let y = &x + self.attention(&x);
                &y + self.feed_forward(&y)
            }
        }
    }

    fn qkv(&self, x: &Tensor) -> Tensor {
        self.qkv_dwconv
            .forward(&self.qkv.forward(&self.norm1.forward(x)))
    }

    fn attention(&self, x: &Tensor) -> Tensor {
        let (n, c, h, w) = x.size4().unwrap_or_default();
        let parts = self.qkv(x).chunk(3, 1);
        let split = |t: &Tensor| {
            t.permute([0, 2, 3, 1])
                .reshape([n, h * w, self.heads, c / self.heads])
                .permute([0, 2, 3, 1])
        };
        let unit = |t: Tensor| {
            let norm = t.norm_scalaropt_dim_dtype(2.0, [-1i64].as_slice(), true, Kind::Float);
            // f16 has no 1e-12: a black picture would be divided by 0.
            (t / norm.clamp_min(1e-12)).to_kind(x.kind())
        };
        let (q, k, v) = (
            unit(split(&parts[0])),
            unit(split(&parts[1])),
            split(&parts[2]),
        );
        let attention = (matmul(&q, &k.transpose(-2, -1)) * in_kind_of(&self.temperature, x))
            .softmax(-1, x.kind());
        let y = matmul(&attention, &v)
            .permute([0, 3, 1, 2])
            .reshape([n, h, w, c]);
        self.attn_out.forward(&y.permute([0, 3, 1, 2]))
    }

    fn feed_forward(&self, x: &Tensor) -> Tensor {
        let wide = self.project_in.forward(&self.norm2.forward(x));
        let wide = self.dwconv.forward(&wide);
        let parts = wide.chunk(2, 1);
        self.ffn_out.forward(&(parts[0].gelu("none") * &parts[1]))
    }

    /// The same sums in another order: products of queries and keys are added up strip by strip, and
    /// attention and output projection become one matrix. Three maps of `dim` channels live at once.
    fn forward_strips(&self, x: Tensor, strips: &[Strip]) -> Tensor {
        let (n, c, _, _) = x.size4().unwrap_or_default();
        let head = c / self.heads;
        let values = strip::unset(&x, c);
        let mut gram = Tensor::zeros([n, self.heads, head, head], (Kind::Float, x.device()));
        let mut squares = Tensor::zeros([n, 2, self.heads, head], (Kind::Float, x.device()));
        for strip in strips {
            let qkv = strip.without_halo(&self.qkv(&strip.with_halo(&x, 1)), 1);
            strip.of(&values).copy_(&qkv.narrow(1, 2 * c, c));
            let queries_keys = qkv.narrow(1, 0, 2 * c).permute([0, 2, 3, 1]);
            // Sums over a strip's pixels leave f16's range, as squares do.
            let queries_keys = queries_keys
                .reshape([n, -1, 2, self.heads, head])
                .to_kind(Kind::Float);
            let [q, k] = [0, 1].map(|i| queries_keys.select(2, i));
            gram += q.permute([0, 2, 3, 1]).matmul(&k.permute([0, 2, 1, 3]));
            squares += queries_keys
                .square()
                .sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
        }
        let norms = squares.sqrt().clamp_min(1e-12);
        let [q_norm, k_norm] = [0, 1].map(|i| norms.select(1, i));
        let gram = gram / q_norm.unsqueeze(-1) / k_norm.unsqueeze(-2);
        let attention = (gram * &self.temperature).softmax(-1, Kind::Float);
        let out = self.attn_out.weight().to_kind(Kind::Float);
        let out = out.view([c, self.heads, head]).transpose(0, 1);
        let mixed = out.matmul(&attention).permute([0, 2, 1, 3]);
        let mixed = mixed.reshape([n, c, c]).transpose(1, 2).to_kind(x.kind());
        for strip in strips {
            let mut place = strip.of(&values).permute([0, 2, 3, 1]);
            let (rows, width) = (place.size()[1], place.size()[2]);
            let mut y = place.reshape([n, rows * width, c]).matmul(&mixed);
            if let Some(bias) = self.attn_out.bias() {
                y += bias;
            }
            let y = y.view([n, rows, width, c]) + strip.of(&x).permute([0, 2, 3, 1]);
            place.copy_(&y);
        }
        drop(x);
        let (attended, output) = (&values, strip::unset(&values, c));
        for strip in strips {
            let seen = strip.with_halo(attended, 1);
            let change = self.feed_forward(&seen);
            let y = strip.without_halo(&change, 1) + strip.of(attended);
            strip.of(&output).copy_(&y);
        }
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, nn};

    #[test]
    fn f16_holds_black_and_bright_pictures() {
        let mut vs = nn::VarStore::new(Device::Cpu);
        let config = RestormerConfig {
            LayerNorm_type: Norm::BiasFree,
            ..RestormerConfig::default()
        };
        let block = Block::new(&vs.root(), 8, 2, &config);
        vs.freeze();
        vs.half();
        tch::no_grad(|| {
            for light in [0.0, 1.0] {
                // All channels alike: the norm without a bias makes hundreds of them.
                let x = Tensor::full([1, 8, 64, 64], light, (Kind::Half, Device::Cpu));
                let whole = block.forward(x.shallow_clone());
                let strips = block.forward_strips(x, &strip::split(64, 16));
                let far = (strips - &whole).abs().max().double_value(&[]);
                let most = whole.abs().max().double_value(&[]);
                assert!(far <= 0.01 * most, "{light}: {far} of {most}");
            }
        });
    }

    #[test]
    fn strips_give_the_whole_blocks_values() {
        for (bias, norm) in [(false, Norm::WithBias), (true, Norm::BiasFree)] {
            let vs = nn::VarStore::new(Device::Cpu);
            let config = RestormerConfig {
                bias,
                LayerNorm_type: norm,
                ..RestormerConfig::default()
            };
            let block = Block::new(&vs.root(), 8, 2, &config);
            tch::no_grad(|| {
                let x = Tensor::randn([2, 8, 21, 10], (Kind::Float, Device::Cpu));
                let whole = block.forward(x.shallow_clone());
                let before = x.copy();
                let strips = block.forward_strips(x.shallow_clone(), &strip::split(21, 8));
                let error = (strips - whole).abs().max().double_value(&[]);
                assert!(error < 1e-5, "{norm:?}: {error}");
                assert_eq!(x, before, "a block must not write into its input");
            });
        }
    }
}

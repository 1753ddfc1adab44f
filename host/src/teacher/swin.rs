//! Shifted-window attention (Liu et al., "Swin Transformer", ICCV 2021) on `[N,H,W,C]` maps.

use tch::nn::Path;
use tch::{Device, Kind, Tensor};

use super::layer::{LayerNorm, Linear, add_macs, in_kind_of, variable};
use super::strip::pixels_at_once;
use super::swinir::BIAS_INIT;

/// What depends on the size of the map and not on weights.
#[derive(Debug)]
pub struct Geometry {
    /// `[N*N]` index into the bias table for each pair of pixels of a window.
    index: Tensor,
    /// `[windows,1,N,N]`: -100 where a shifted window joins pixels that are no neighbours.
    mask: Tensor,
}

impl Geometry {
    /// For maps of `height` x `width`, multiples of `window`, on the device and of the kind of `like`.
    pub fn new(height: i64, width: i64, window: i64, like: &Tensor) -> Self {
        let shift = window / 2;
        let mut index = Vec::with_capacity((window * window * window * window) as usize);
        for a in 0..window * window {
            for b in 0..window * window {
                let dy = a / window - b / window + window - 1;
                let dx = a % window - b % window + window - 1;
                index.push(dy * (2 * window - 1) + dx);
            }
        }
        let region = |length: i64| {
            let which = |i: i64| i64::from(i >= length - window) + i64::from(i >= length - shift);
            // The mask is as large as a wide map: it is made where it is used.
            Tensor::from_slice(&(0..length).map(which).collect::<Vec<_>>()).to_device(like.device())
        };
        let regions = region(height).view([-1, 1]) * 3 + region(width).view([1, -1]);
        let regions = partition(&regions.view([1, height, width, 1]), window).squeeze_dim(-1);
        let differs = regions.unsqueeze(1).ne_tensor(&regions.unsqueeze(2));
        let mask = (differs.to_kind(Kind::Float) * -100.0).unsqueeze(1);
        Self {
            index: Tensor::from_slice(&index).to_device(like.device()),
            mask: mask.to_kind(like.kind()),
        }
    }
}

/// `[N,H,W,C]` to `[N*windows, window*window, C]`.
fn partition(x: &Tensor, window: i64) -> Tensor {
    let (n, h, w, c) = x.size4().unwrap_or_default();
    x.view([n, h / window, window, w / window, window, c])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([-1, window * window, c])
}

/// One transformer layer.
#[derive(Debug)]
pub struct Block {
    heads: i64,
    window: i64,
    shift: i64,
    norm1: LayerNorm,
    table: Tensor,
    qkv: Linear,
    proj: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

impl Block {
    /// A layer of `dim` channels whose windows are shifted by `shift`.
    pub fn new(vs: &Path, dim: i64, heads: i64, hidden: i64, window: i64, shift: i64) -> Self {
        let (attn, mlp) = (vs / "attn", vs / "mlp");
        let pairs = (2 * window - 1) * (2 * window - 1);
        Self {
            heads,
            window,
            shift,
            norm1: LayerNorm::new(&(vs / "norm1"), dim, 1e-5),
            table: variable(
                &attn,
                "relative_position_bias_table",
                &[pairs, heads],
                BIAS_INIT,
            ),
            qkv: Linear::new(&(&attn / "qkv"), dim, dim * 3),
            proj: Linear::new(&(&attn / "proj"), dim, dim),
            norm2: LayerNorm::new(&(vs / "norm2"), dim, 1e-5),
            fc1: Linear::new(&(&mlp / "fc1"), dim, hidden),
            fc2: Linear::new(&(&mlp / "fc2"), hidden, dim),
        }
    }

    /// `[N,H,W,C]` to the same shape.
    pub fn forward(&self, x: &Tensor, geometry: &Geometry) -> Tensor {
        let y = self.attention(&self.norm1.forward(x), geometry);
        self.mlp(&(x + y))
    }

    /// The perceptron, some rows at a time.
    fn mlp(&self, x: &Tensor) -> Tensor {
        let (n, h, w, _) = x.size4().unwrap_or_default();
        let rows = (pixels_at_once(x.device()) / (n * w).max(1)).max(1);
        let part = |start: i64| {
            let x = x.narrow(1, start, rows.min(h - start));
            let y = self.fc1.forward(&self.norm2.forward(&x)).gelu("none");
            x + self.fc2.forward(&y)
        };
        joined((0..h).step_by(rows as usize).map(part).collect(), 1)
    }

    fn attention(&self, x: &Tensor, geometry: &Geometry) -> Tensor {
        let (n, h, w, c) = x.size4().unwrap_or_default();
        let window = self.window;
        let area = window * window;
        let x = if self.shift > 0 {
            x.roll([-self.shift; 2], [1, 2])
        } else {
            x.shallow_clone()
        };
        let bias = in_kind_of(&self.table, &x)
            .index_select(0, &geometry.index)
            .view([area, area, self.heads]);
        let bias = bias.permute([2, 0, 1]).contiguous().unsqueeze(0);
        let windows = partition(&x, window);
        let total = windows.size()[0];
        let per_picture = (h / window) * (w / window);
        let step = (pixels_at_once(x.device()) / area).clamp(1, per_picture.max(1));
        let mut parts = Vec::new();
        let mut start = 0;
        while start < total {
            let inside = start % per_picture;
            let count = step.min(per_picture - inside);
            let bias = if self.shift > 0 {
                &bias + geometry.mask.narrow(0, inside, count)
            } else {
                bias.expand([count, self.heads, area, area], false)
            };
            parts.push(self.attend(&windows.narrow(0, start, count), bias));
            start += count;
        }
        add_macs(2 * total * area * area * c);
        let y = joined(parts, 0).view([n, h / window, w / window, window, window, c]);
        let y = y.permute([0, 1, 3, 2, 4, 5]).reshape([n, h, w, c]);
        if self.shift > 0 {
            y.roll([self.shift; 2], [1, 2])
        } else {
            y
        }
    }

    /// Attention inside `windows` `[windows,pixels,C]`, with `bias` `[windows,heads,pixels,pixels]`.
    fn attend(&self, windows: &Tensor, bias: Tensor) -> Tensor {
        let (count, area, c) = windows.size3().unwrap_or_default();
        let qkv = self
            .qkv
            .forward(windows)
            .view([count, area, 3, self.heads, c / self.heads]);
        let qkv = qkv.permute([2, 0, 3, 1, 4]);
        let [q, k, v] = [0, 1, 2].map(|i| qkv.select(0, i));
        let y = attention(&q, &k, &v, bias);
        self.proj
            .forward(&y.transpose(1, 2).reshape([count, area, c]))
    }
}

/// The parts of a map along `axis`; a single one is not copied.
fn joined(mut parts: Vec<Tensor>, axis: i64) -> Tensor {
    match parts.len() {
        1 => parts.remove(0),
        _ => Tensor::cat(&parts, axis),
    }
}

/// Attention over `[windows,heads,pixels,channels]` with a bias that is added to its logits. Torch's fused
/// kernel is made for this on a processor; on a GPU it has none for heads of 30 channels and a bias.
fn attention(q: &Tensor, k: &Tensor, v: &Tensor, bias: Tensor) -> Tensor {
    if q.device() == Device::Cpu {
        return Tensor::scaled_dot_product_attention(q, k, v, Some(bias), 0.0, false, None, false);
    }
    by_matrices(q, k, v, &bias)
}

fn by_matrices(q: &Tensor, k: &Tensor, v: &Tensor, bias: &Tensor) -> Tensor {
    let scale = (*q.size().last().unwrap_or(&1) as f64).powf(-0.5);
    let logits = (q * scale).matmul(&k.transpose(-2, -1)) + bias;
    logits.softmax(-1, q.kind()).matmul(v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attention_on_a_gpu_is_that_of_the_processor() {
        let random = |shape: [i64; 4]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let [q, k, v] = [0, 1, 2].map(|_| random([5, 3, 16, 10]));
        let bias = random([1, 3, 16, 16]).expand([5, 3, 16, 16], false);
        let error = attention(&q, &k, &v, bias.shallow_clone()) - by_matrices(&q, &k, &v, &bias);
        assert!(error.abs().max().double_value(&[]) < 1e-5);
    }

    #[test]
    fn only_wrapped_windows_are_masked() {
        let like = Tensor::zeros([1], (Kind::Float, Device::Cpu));
        let mask = Geometry::new(12, 8, 4, &like).mask;
        assert_eq!(mask.size(), [6, 1, 16, 16]);
        assert_eq!(mask.get(0).abs().max().double_value(&[]), 0.0);
        assert_eq!(mask.get(5).min().double_value(&[]), -100.0);
    }
}

//! Shifted-window attention (Liu et al., "Swin Transformer", ICCV 2021) on `[N,H,W,C]` maps.

use tch::nn::{Init, Path};
use tch::{Device, Tensor};

use super::layer::{LayerNorm, Linear, add_macs, kind_given, variable};
use super::strip::{gradients_flow, pixels_at_once};

mod padded;

use padded::Padded;

/// What a GPU numbers blocks of work by has 16 bits.
const MOST_WINDOWS: i64 = 65_535;

/// What all blocks of one window's size share, whatever the map.
#[derive(Debug)]
pub struct Geometry {
    /// `[N*N]` index into the bias table for each pair of pixels of a window.
    index: Tensor,
    /// `[N,N]`: -100 where a shifted window in the last row joins pixels that are no neighbours.
    below: Tensor,
    /// The same in the last column.
    beside: Tensor,
}

impl Geometry {
    /// For windows of `window` x `window` pixels, on `device`.
    pub fn new(window: i64, device: Device) -> Self {
        let area = window * window;
        let pairs = || (0..area).flat_map(|a| (0..area).map(move |b| (a, b)));
        let index = pairs().map(|(a, b)| {
            let dy = a / window - b / window + window - 1;
            let dx = a % window - b % window + window - 1;
            dy * (2 * window - 1) + dx
        });
        let index: Vec<i64> = index.collect();
        // What lies behind the shift came round from the other end of the map.
        let wrapped = |i: i64| i >= window - window / 2;
        let mask = |along: &dyn Fn(i64) -> i64| {
            let differs = pairs().map(|(a, b)| wrapped(along(a)) != wrapped(along(b)));
            let values: Vec<f32> = differs.map(|d| if d { -100.0 } else { 0.0 }).collect();
            Tensor::from_slice(&values)
                .view([area, area])
                .to_device(device)
        };
        Self {
            index: Tensor::from_slice(&index).to_device(device),
            below: mask(&|i| i / window),
            beside: mask(&|i| i % window),
        }
    }

    /// Adds the masks to `logits` `[windows,heads,N,N]` of these windows of shifted maps, in place.
    fn mask(&self, logits: &Tensor, part: &Part) {
        let size = logits.size();
        let windows = logits.view([
            part.pictures,
            part.rows,
            part.columns,
            size[1],
            size[2],
            size[3],
        ]);
        if part.last {
            let _ = windows.narrow(1, part.rows - 1, 1).g_add_(&self.below);
        }
        let _ = windows.narrow(2, part.columns - 1, 1).g_add_(&self.beside);
    }
}

/// Windows that are worked on at once: whole rows of them, of one picture, or whole pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    /// Row of windows that it starts with, counted through all pictures.
    start: i64,
    pictures: i64,
    /// Rows of windows of each picture.
    rows: i64,
    columns: i64,
    /// Whether a picture's last row is among them.
    last: bool,
}

impl Part {
    /// Cuts `pictures` of `rows` x `columns` windows into parts of about `most` windows.
    fn split(pictures: i64, rows: i64, columns: i64, most: i64) -> Vec<Self> {
        let step = (most / columns.max(1)).max(1);
        let mut parts = Vec::new();
        let mut start = 0;
        while start < pictures * rows {
            let inside = start % rows;
            let whole = (step / rows).min(pictures - start / rows);
            let part = match whole {
                0 => Self {
                    start,
                    pictures: 1,
                    rows: step.min(rows - inside),
                    columns,
                    last: inside + step >= rows,
                },
                pictures => Self {
                    start,
                    pictures,
                    rows,
                    columns,
                    last: true,
                },
            };
            start += part.pictures * part.rows;
            parts.push(part);
        }
        parts
    }

    /// These of all `windows` `[windows,...]`, as a view.
    fn of(&self, windows: &Tensor) -> Tensor {
        windows.narrow(0, self.start * self.columns, self.count())
    }

    fn count(&self) -> i64 {
        self.pictures * self.rows * self.columns
    }
}

/// `[N,H,W,C]` to `[N*windows, window*window, C]`.
fn partition(x: &Tensor, window: i64) -> Tensor {
    let (n, h, w, c) = x.size4().unwrap_or_default();
    x.view([n, h / window, window, w / window, window, c])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([-1, window * window, c])
}

/// Start of a relative position bias, as the publication draws it.
const BIAS_INIT: Init = Init::Randn {
    mean: 0.0,
    stdev: 0.02,
};

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

    /// `[1,heads,pixels,pixels]`, of the kind of number that layers give for `x`.
    fn bias(&self, x: &Tensor, geometry: &Geometry) -> Tensor {
        let area = self.window * self.window;
        let bias = self
            .table
            .to_kind(kind_given(x))
            .index_select(0, &geometry.index)
            .view([area, area, self.heads]);
        bias.permute([2, 0, 1]).contiguous().unsqueeze(0)
    }

    fn attention(&self, x: &Tensor, geometry: &Geometry) -> Tensor {
        let (n, h, w, c) = x.size4().unwrap_or_default();
        let window = self.window;
        let area = window * window;
        let learning = gradients_flow(x, &self.table);
        let x = if self.shift > 0 {
            x.roll([-self.shift; 2], [1, 2])
        } else {
            x.shallow_clone()
        };
        let bias = self.bias(&x, geometry);
        let windows = partition(&x, window);
        let (rows, columns) = (h / window, w / window);
        let most = (pixels_at_once(x.device()) / area).min(MOST_WINDOWS);
        let parts = Part::split(n, rows, columns, most);
        let y = if learning || x.device() == Device::Cpu {
            let attend = |part: &Part| self.attend(&part.of(&windows), &bias, geometry, part);
            joined(parts.iter().map(attend).collect(), 0)
        } else {
            let padded = Padded::new(self, &bias, geometry);
            let attend = |part: &Part| padded.attend(&part.of(&windows), part);
            joined(parts.iter().map(attend).collect(), 0)
        };
        add_macs(2 * n * h * w * area * c);
        let y = y.view([n, rows, columns, window, window, c]);
        let y = y.permute([0, 1, 3, 2, 4, 5]).reshape([n, h, w, c]);
        if self.shift > 0 {
            y.roll([self.shift; 2], [1, 2])
        } else {
            y
        }
    }

    /// Attention inside `windows` `[windows,pixels,C]`, which are `part`, with `bias` `[1,heads,pixels,pixels]`.
    fn attend(&self, windows: &Tensor, bias: &Tensor, geometry: &Geometry, part: &Part) -> Tensor {
        let (count, area, c) = windows.size3().unwrap_or_default();
        let qkv = self
            .qkv
            .forward(windows)
            .view([count, area, 3, self.heads, c / self.heads]);
        let qkv = qkv.permute([2, 0, 3, 1, 4]);
        let mask = |logits: &Tensor| {
            if self.shift > 0 {
                geometry.mask(logits, part);
            }
        };
        let y = match windows.device() {
            // Torch's fused kernel is made for this; that of a GPU keeps a bias of every window for the gradient.
            Device::Cpu => {
                let mut bias = bias.expand([count, self.heads, area, area], false);
                if self.shift > 0 {
                    // Of one window too, the others want theirs as it is.
                    bias = bias.copy();
                    mask(&bias);
                }
                fused(&qkv, bias)
            }
            _ => by_matrices(&qkv, bias, mask),
        };
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

/// Attention over queries, keys and values `[3,windows,heads,pixels,channels]` with a bias that is added to its logits.
fn fused(qkv: &Tensor, bias: Tensor) -> Tensor {
    let [q, k, v] = [0, 1, 2].map(|i| qkv.select(0, i));
    Tensor::scaled_dot_product_attention(&q, &k, &v, Some(bias), 0.0, false, None, false)
}

/// The same; `mask` changes the logits once they have the bias.
fn by_matrices(qkv: &Tensor, bias: &Tensor, mask: impl Fn(&Tensor)) -> Tensor {
    // One copy of all three: each product would make its own.
    let qkv = qkv.contiguous();
    let [q, k, v] = [0, 1, 2].map(|i| qkv.select(0, i));
    let scale = (*q.size().last().unwrap_or(&1) as f64).powf(-0.5);
    let mut logits = (q * scale).matmul(&k.transpose(-2, -1));
    logits = logits.g_add_(bias);
    mask(&logits);
    logits.softmax(-1, v.kind()).matmul(&v)
}

#[cfg(test)]
mod tests;

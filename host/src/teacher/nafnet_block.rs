//! NAFNet's block: gates in place of nonlinearities, and channel weights from a pooled map.

use tch::nn::{Init, Path};
use tch::{Kind, Tensor};

use super::layer::{Conv, LayerNorm, in_kind_of, spatial_mean, variable};
use super::strip::{self, Strip};

/// See the module.
#[derive(Debug)]
pub struct Block {
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
    /// A block of `c` channels that pools over `window` pixels, or over the whole map.
    pub fn new(vs: &Path, c: i64, window: Option<i64>) -> Self {
        let conv = |name: &str, outputs| Conv::new(&(vs / name), c, outputs, 1, true);
        let scale = |name: &str| variable(vs, name, &[1, c, 1, 1], Init::Const(0.0));
        Self {
            norm1: LayerNorm::new(&(vs / "norm1"), c, 1e-6),
            conv1: conv("conv1", 2 * c),
            conv2: Conv::grouped(&(vs / "conv2"), 2 * c, 2 * c, 3, 2 * c, true),
            sca: Conv::new(&(vs / "sca" / 1), c, c, 1, true),
            conv3: conv("conv3", c),
            norm2: LayerNorm::new(&(vs / "norm2"), c, 1e-6),
            conv4: conv("conv4", 2 * c),
            conv5: conv("conv5", c),
            beta: scale("beta"),
            gamma: scale("gamma"),
            window,
        }
    }

    /// `[N,c,H,W]` to the same shape; large maps in strips.
    pub fn forward(&self, x: Tensor) -> Tensor {
        match strip::strips(&x, &self.beta) {
            Some(strips) => self.forward_strips(&x, &strips),
            None => {
                let gated = self.gated(&x);
                self.rest(&x, &gated, &self.pooled(&gated))
            }
        }
    }

    /// From the input to the first gate; sees one pixel around each.
    fn gated(&self, x: &Tensor) -> Tensor {
        let normed = self.norm1.forward_channels(x);
        gate(&self.conv2.forward(&self.conv1.forward(&normed)))
    }

    /// Means that the channel weights are made of, `[N,c,1,1]`, or `[N,c,H,W]` in the local form.
    fn pooled(&self, gated: &Tensor) -> Tensor {
        match self.window {
            Some(window) => local_mean(gated, window),
            None => spatial_mean(gated),
        }
    }

    /// From the first gate to the output; pixel by pixel.
    fn rest(&self, x: &Tensor, gated: &Tensor, pooled: &Tensor) -> Tensor {
        let y = self.conv3.forward(&(gated * self.sca.forward(pooled)));
        let x = x + y * in_kind_of(&self.beta, x);
        let y = gate(&self.conv4.forward(&self.norm2.forward_channels(&x)));
        &x + self.conv5.forward(&y) * in_kind_of(&self.gamma, &x)
    }

    fn forward_strips(&self, x: &Tensor, strips: &[Strip]) -> Tensor {
        let (_, c, height, _) = x.size4().unwrap_or_default();
        let map = strip::unset(x, c);
        for strip in strips {
            let gated = self.gated(&strip.with_halo(x, 1));
            strip.of(&map).copy_(&strip.without_halo(&gated, 1));
        }
        let pooled = self.pooled(&map);
        let local = pooled.size()[2] == height;
        for strip in strips {
            let gated = strip.of(&map);
            let y = if local {
                self.rest(&strip.of(x), &gated, &strip.of(&pooled))
            } else {
                self.rest(&strip.of(x), &gated, &pooled)
            };
            strip.of(&map).copy_(&y);
        }
        map
    }
}

/// A strip's pixels times these are the values of which [`local_mean`] sums up at once.
const CHANNELS: i64 = 64;
/// Channels that it sums up at once at least: those of a pixel lie side by side in memory.
const FEWEST: i64 = 4;

/// Mean over a `window` x `window` neighbourhood of every pixel; at the borders the nearest whole
/// window's. The global mean `[N,C,1,1]` when the window covers the picture.
fn local_mean(x: &Tensor, window: i64) -> Tensor {
    let (n, c, h, w) = x.size4().unwrap_or_default();
    if window >= h && window >= w {
        return spatial_mean(x);
    }
    let values = strip::pixels_at_once(x.device()) * CHANNELS;
    let at_once = (values / (n * h * w)).max(FEWEST);
    let means = strip::unset(x, c);
    for first in (0..c).step_by(at_once as usize) {
        let some = |map: &Tensor| map.narrow(1, first, at_once.min(c - first));
        some(&means).copy_(&window_means(&some(x), window));
    }
    means
}

/// [`local_mean`] of some channels, in f32. Sums along a side need f64, which a whole map has no memory for.
fn window_means(x: &Tensor, window: i64) -> Tensor {
    let (_, _, h, w) = x.size4().unwrap_or_default();
    let along = |x: Tensor, axis: i64, length: i64| {
        let k = window.min(length);
        let sums = x.cumsum(axis, Kind::Double);
        drop(x);
        let count = length + 1 - k;
        let mut means = sums.narrow(axis, k - 1, count).copy();
        let _ = means
            .narrow(axis, 1, count - 1)
            .g_sub_(&sums.narrow(axis, 0, count - 1));
        means.g_div_scalar_(k as f64)
    };
    let mean = along(along(x.contiguous(), 3, w), 2, h).to_kind(Kind::Float);
    let (dh, dw) = (h - mean.size()[2], w - mean.size()[3]);
    mean.replication_pad2d([dw / 2, (dw + 1) / 2, dh / 2, (dh + 1) / 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn strips_give_the_whole_blocks_values() {
        for window in [None, Some(9)] {
            let vs = tch::nn::VarStore::new(Device::Cpu);
            let block = Block::new(&vs.root(), 6, window);
            tch::no_grad(|| {
                let _ = block.beta.shallow_clone().fill_(0.7);
                let _ = block.gamma.shallow_clone().fill_(-0.4);
                let x = Tensor::randn([2, 6, 21, 10], (Kind::Float, Device::Cpu));
                let whole = block.forward(x.shallow_clone());
                let strips = block.forward_strips(&x, &strip::split(21, 8));
                let error = (strips - whole).abs().max().double_value(&[]);
                assert!(error < 1e-5, "{window:?}: {error}");
            });
        }
    }

    #[test]
    fn the_local_mean_of_many_channels_is_that_of_each() {
        // More than are summed up at once.
        let x = Tensor::rand([1, 9, 300, 500], (Kind::Float, Device::Cpu));
        let y = local_mean(&x, 70);
        for channel in 0..9 {
            let one = local_mean(&x.narrow(1, channel, 1), 70);
            assert_eq!(one, y.narrow(1, channel, 1), "{channel}");
        }
    }

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

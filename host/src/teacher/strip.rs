//! Large maps in strips of rows.
//!
//! A transformer block widens its map by up to ten times in between. Strip after strip, those wide maps
//! stay in the processor's cache and are never there as a whole: a block is up to twice as fast and
//! needs a few maps of its own width instead of dozens. Rows that a 3x3 convolution needs beyond its
//! strip, the halo, are computed twice.

use tch::{Device, Tensor};

/// Pixels of a strip: some MB of wide maps, the size of a core's caches.
const CPU_PIXELS: i64 = 8_192;
/// On a GPU strips only bound memory; small ones would leave it idle.
const GPU_PIXELS: i64 = 262_144;
/// Fewest rows of a strip: the halo must stay small beside them.
const MIN_ROWS: i64 = 8;

/// Consecutive rows of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strip {
    start: i64,
    rows: i64,
    height: i64,
}

impl Strip {
    /// These rows of `map` `[N,C,H,W]`, as a view.
    pub fn of(&self, map: &Tensor) -> Tensor {
        map.narrow(2, self.start, self.rows)
    }

    /// These rows with up to `halo` more above and below, as a view.
    pub fn with_halo(&self, map: &Tensor, halo: i64) -> Tensor {
        let first = (self.start - halo).max(0);
        let end = (self.start + self.rows + halo).min(self.height);
        map.narrow(2, first, end - first)
    }

    /// These rows of what was computed from [`Strip::with_halo`].
    pub fn without_halo(&self, computed: &Tensor, halo: i64) -> Tensor {
        computed.narrow(2, halo.min(self.start), self.rows)
    }
}

/// How many pixels' wide maps should live at once.
pub fn pixels_at_once(device: Device) -> i64 {
    if device == Device::Cpu {
        CPU_PIXELS
    } else {
        GPU_PIXELS
    }
}

/// The strips to compute `map` `[N,C,H,W]` in; `None` when it is small, or when gradients through
/// `parameter` are wanted, which would keep every strip's maps anyway.
pub fn strips(map: &Tensor, parameter: &Tensor) -> Option<Vec<Strip>> {
    let (n, _, height, width) = map.size4().ok()?;
    let rows = (pixels_at_once(map.device()) / (n * width).max(1)).max(MIN_ROWS);
    (height > rows && !gradients_flow(map, parameter)).then(|| split(height, rows))
}

/// `height` rows in strips of `rows`.
pub fn split(height: i64, rows: i64) -> Vec<Strip> {
    let strip = |start| Strip {
        start,
        rows: rows.min(height - start),
        height,
    };
    (0..height).step_by(rows as usize).map(strip).collect()
}

/// Whether a product of the two would be differentiable: torch's gradient mode cannot be asked.
pub fn gradients_flow(map: &Tensor, parameter: &Tensor) -> bool {
    let first = |t: &Tensor| (0..t.dim()).fold(t.shallow_clone(), |t, _| t.select(0, 0));
    (first(map) * first(parameter)).requires_grad()
}

/// An unset map of the size of `like` with `channels` channels, channels-last in memory.
pub fn unset(like: &Tensor, channels: i64) -> Tensor {
    let (n, _, height, width) = like.size4().unwrap_or_default();
    let options = (like.kind(), like.device());
    Tensor::empty([n, height, width, channels], options).permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn a_convolution_in_strips_is_the_whole_one() {
        let x = Tensor::rand([2, 3, 21, 9], (Kind::Float, Device::Cpu));
        let weight = Tensor::rand([4, 3, 3, 3], (Kind::Float, Device::Cpu));
        let conv = |x: &Tensor| x.conv2d(&weight, None::<&Tensor>, [1, 1], [1, 1], [1, 1], 1);
        let whole = conv(&x);
        let output = unset(&x, 4);
        for strip in split(21, 8) {
            let y = strip.without_halo(&conv(&strip.with_halo(&x, 1)), 1);
            strip.of(&output).copy_(&y);
        }
        let error = (output - whole).abs().max().double_value(&[]);
        assert!(error < 1e-5, "{error}");
    }

    #[test]
    fn only_large_maps_without_gradients_are_split() {
        let weight = Tensor::ones([1], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let map = |side| Tensor::zeros([1, 1, side, side], (Kind::Float, Device::Cpu));
        assert!(strips(&map(256), &weight).is_none());
        tch::no_grad(|| {
            assert!(strips(&map(64), &weight).is_none());
            let split = strips(&map(256), &weight).unwrap();
            assert_eq!(split.len(), 8);
            assert_eq!(split.iter().map(|s| s.rows).sum::<i64>(), 256);
        });
    }
}

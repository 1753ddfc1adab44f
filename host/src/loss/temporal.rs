//! Temporal consistency from single frames: the next frame of a video is the same picture, moved
//! and with other noise, and its restoration should move along (Eilertsen, Mantiuk, Unger:
//! "Single-Frame Regularization for Temporally Stable CNNs", CVPR 2019).

use anyhow::{Context, Result, ensure};
use rand::Rng;
use tch::{Kind, Tensor};

use super::measure::Measure;
use super::{Term, View};
use crate::data::random::{normal, stream};

/// Pixels at the window's border that see the padding instead of the picture.
const BORDER: i64 = 4;

/// A second look at a batch.
#[derive(Debug)]
pub struct SecondLook {
    /// What the network makes of the moved, noisy window; the border left out.
    pub restored: Tensor,
    /// The same window of what it made of the batch.
    pub first: Tensor,
}

impl SecondLook {
    /// Moves a window over `input` `[N,C,H,W]`, adds Gaussian noise of this deviation and lets
    /// `forward` restore it. `first` is the batch's restoration, `multiple` what the network's sides
    /// must be a multiple of (a power of two), `name` names the random draws.
    ///
    /// # Errors
    /// When the patches are too small.
    pub fn take(
        input: &Tensor,
        first: &Tensor,
        noise: f64,
        multiple: i64,
        name: &[u64],
        forward: &dyn Fn(&Tensor) -> Tensor,
    ) -> Result<Self> {
        let size = input.size();
        // The window is smaller than the patch by the room to move in.
        let room = multiple.max(8);
        let (height, width) = (size[2] - room, size[3] - room);
        ensure!(
            height > 2 * BORDER && width > 2 * BORDER,
            "loss 'temporal' needs crops of more than {} pixels for this student",
            room + 2 * BORDER
        );
        let mut rng = stream(name);
        let (top, left) = (rng.random_range(0..=room), rng.random_range(0..=room));
        let window = |x: &Tensor| x.narrow(2, top, height).narrow(3, left, width);
        let moved = window(input);
        let grain: Vec<f32> = (0..moved.numel()).map(|_| normal(&mut rng)).collect();
        let grain = Tensor::from_slice(&grain).reshape(moved.size());
        let noisy = moved + grain.to_device(input.device()) * noise;
        let inner = |x: &Tensor| {
            x.narrow(2, BORDER, height - 2 * BORDER)
                .narrow(3, BORDER, width - 2 * BORDER)
        };
        Ok(Self {
            restored: inner(&forward(&noisy)).to_kind(Kind::Float),
            first: inner(&window(first)),
        })
    }
}

/// L1 between both looks.
pub(super) struct TemporalTerm;

impl Term for TemporalTerm {
    fn value(&self, view: &View) -> Result<Tensor> {
        let looks = view.second.context("the loss needs a second look")?;
        Ok(Measure::L1.between(&looks.restored, &looks.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn distance(noise: f64, forward: &dyn Fn(&Tensor) -> Tensor) -> f64 {
        let input = Tensor::rand([2, 1, 32, 32], (Kind::Float, Device::Cpu));
        let first = forward(&input);
        let looks = SecondLook::take(&input, &first, noise, 2, &[1, 2], forward).unwrap();
        assert_eq!(looks.restored.size(), [2, 1, 16, 16]);
        Measure::L1
            .between(&looks.restored, &looks.first)
            .double_value(&[])
    }

    #[test]
    fn noise_and_what_amplifies_it_are_seen() {
        tch::manual_seed(2);
        let (same, doubled) = (|x: &Tensor| x.shallow_clone(), |x: &Tensor| x * 2.0);
        assert_eq!(distance(0.0, &same), 0.0);
        let one = distance(0.01, &same);
        // The mean size of a normal number is sqrt(2 / pi).
        assert!((one / 0.01 - 0.798).abs() < 0.1, "{one}");
        assert!((distance(0.01, &doubled) / one - 2.0).abs() < 1e-3);
        // A network that treats places differently does not move along.
        let ramp = |x: &Tensor| {
            let size = x.size();
            let columns = Tensor::arange(size[3], (Kind::Float, Device::Cpu));
            let rows = Tensor::arange(size[2], (Kind::Float, Device::Cpu)).reshape([-1, 1]);
            x + columns + rows
        };
        assert!(distance(0.0, &ramp) > 0.5);
    }
}

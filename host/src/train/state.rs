//! Everything about a training that is no tensor.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::schedule::Plateau;
use crate::recipe::BestBy;

/// Metadata key of the state in `last.safetensors`.
pub const STATE_KEY: &str = "hone.state";

/// Scores on the validation pictures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// Mean peak signal-to-noise ratio in dB.
    pub psnr: f64,
    /// Mean structural similarity.
    pub ssim: f64,
}

impl Scores {
    /// The one that decides.
    pub fn by(&self, which: BestBy) -> f64 {
        match which {
            BestBy::Psnr => self.psnr,
            BestBy::Ssim => self.ssim,
        }
    }
}

/// Where a training stands. Saved as TOML, whose floats come back bit for bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The epoch in progress, from 0.
    pub epoch: u64,
    /// Steps of it that are done.
    pub step: u64,
    /// Optimiser updates made (steps with overflowing half-precision gradients make none).
    pub updates: u64,
    /// Best epoch so far, from 1, and its scores.
    pub best: Option<(u64, Scores)>,
    /// Epochs since the best one.
    pub since_best: u64,
    /// Memory of a plateau schedule.
    pub plateau: Plateau,
    /// Factor on the loss in half precision.
    pub loss_scale: f64,
    /// Steps since the loss scale last changed.
    pub clean_steps: u64,
    /// Whether the training is over.
    pub finished: bool,
    /// Seconds spent so far.
    pub seconds: f64,
    /// Sum of each loss term over the epoch's steps.
    pub sums: Vec<f64>,
}

impl State {
    /// The start of a training with so many loss terms.
    pub fn new(terms: usize) -> Self {
        Self {
            epoch: 0,
            step: 0,
            updates: 0,
            best: None,
            since_best: 0,
            plateau: Plateau::default(),
            loss_scale: 65_536.0,
            clean_steps: 0,
            finished: false,
            seconds: 0.0,
            sums: vec![0.0; terms],
        }
    }

    /// As text.
    ///
    /// # Errors
    /// When a number does not fit TOML.
    pub fn to_text(&self) -> Result<String> {
        toml::to_string(self).context("the training's state cannot be written")
    }

    /// From text.
    ///
    /// # Errors
    /// When the text is of another version of hone.
    pub fn from_text(text: &str) -> Result<Self> {
        toml::from_str(text).context("the checkpoint's state is of another version of hone")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_come_back_bit_for_bit() {
        let mut state = State::new(2);
        state.best = Some((
            3,
            Scores {
                psnr: 0.1 + 0.2,
                ssim: 1.0 / 3.0,
            },
        ));
        state.sums = vec![f64::MIN_POSITIVE, 1e300 / 7.0];
        let back = State::from_text(&state.to_text().unwrap()).unwrap();
        assert_eq!(back, state);
    }
}

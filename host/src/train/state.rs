//! Everything about a training that is no tensor.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::schedule::Plateau;
use crate::recipe::BestBy;

/// Metadata key of the state in `last.safetensors`.
pub const STATE_KEY: &str = "hone.state";

/// Scores on the validation pictures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// Mean peak signal-to-noise ratio in dB of the pictures that need mending.
    pub psnr: f64,
    /// Mean structural similarity of all pictures.
    pub ssim: f64,
    /// The ratio, in dB, of those whose input is the truth already, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharp: Option<f64>,
}

impl std::fmt::Display for Scores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PSNR {:.2} dB, SSIM {:.4}", self.psnr, self.ssim)?;
        match self.sharp {
            Some(sharp) => write!(f, ", sharp pictures kept at {sharp:.1} dB"),
            None => Ok(()),
        }
    }
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
    /// Pieces that a batch is cut into; more than 1 after the memory ran out.
    #[serde(default = "whole")]
    pub pieces: usize,
    /// Whether the training is over.
    pub finished: bool,
    /// Seconds spent so far.
    pub seconds: f64,
    /// Sum of each loss term over the epoch's steps.
    pub sums: Vec<f64>,
}

fn whole() -> usize {
    1
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
            pieces: whole(),
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
    /// When the text is of another version of hone, or damaged.
    pub fn from_text(text: &str) -> Result<Self> {
        let state: Self =
            toml::from_str(text).context("the checkpoint's state is of another version of hone")?;
        ensure!(
            state.pieces > 0,
            "the checkpoint's state is damaged: no pieces"
        );
        Ok(state)
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
                sharp: Some(1.0 / 7.0),
            },
        ));
        state.sums = vec![f64::MIN_POSITIVE, 1e300 / 7.0];
        let back = State::from_text(&state.to_text().unwrap()).unwrap();
        assert_eq!(back, state);
    }
}

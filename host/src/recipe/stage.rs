//! The `[[stage]]` and `[training]` tables.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::Kind;

/// One stage of the curriculum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Epochs; a validation follows each.
    pub epochs: u64,
    /// Optimiser updates in one epoch.
    pub steps: u64,
    /// Patches in a batch.
    pub batch: usize,
    /// Side of a patch in pixels.
    pub crop: usize,
}

impl Stage {
    /// Refuses empty and absurd stages.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn validate(&self) -> Result<()> {
        let ranges = [
            ("epochs", self.epochs, 1, 1_000_000),
            ("steps", self.steps, 1, 100_000_000),
            ("batch", self.batch as u64, 1, 4096),
            ("crop", self.crop as u64, 8, 4096),
        ];
        for (key, value, low, high) in ranges {
            ensure!(
                (low..=high).contains(&value),
                "a stage has {key} = {value}; it must be {low} to {high}"
            );
        }
        Ok(())
    }
}

/// What decides which weights are the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BestBy {
    /// Peak signal-to-noise ratio of the validation pictures.
    #[default]
    Psnr,
    /// Structural similarity of the validation pictures.
    Ssim,
}

/// What the network computes in while training; master weights and losses stay f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainPrecision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16.
    Bf16,
    /// IEEE half with dynamic loss scaling.
    F16,
}

impl TrainPrecision {
    /// The kind of number.
    pub fn kind(self) -> Kind {
        match self {
            Self::F32 => Kind::Float,
            Self::Bf16 => Kind::BFloat16,
            Self::F16 => Kind::Half,
        }
    }
}

/// The `[training]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Decay of an exponential moving average of the weights, which then is what is validated,
    /// kept and exported.
    pub ema: Option<f64>,
    /// Largest gradient norm.
    pub clip: Option<f64>,
    /// Batches whose gradients make one update.
    pub accumulate: u64,
    /// What the network computes in.
    pub precision: TrainPrecision,
    /// What decides which weights are the best.
    pub best_by: BestBy,
    /// Stop after this many epochs without a new best.
    pub early_stopping: Option<u64>,
    /// Keep a checkpoint every so many epochs, besides the best and the last.
    pub checkpoint_every: Option<u64>,
    /// Write a grid input | student | teacher | truth every so many epochs.
    pub samples_every: Option<u64>,
    /// Threads that prepare batches.
    pub workers: usize,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            ema: None,
            clip: None,
            accumulate: 1,
            precision: TrainPrecision::F32,
            best_by: BestBy::Psnr,
            early_stopping: None,
            checkpoint_every: None,
            samples_every: None,
            workers: 2,
        }
    }
}

impl TrainingConfig {
    /// Refuses values that make no sense.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn validate(&self) -> Result<()> {
        if let Some(ema) = self.ema {
            let fits = (0.0..1.0).contains(&ema);
            ensure!(fits, "training.ema is {ema}; it must be 0 or more, below 1");
        }
        if let Some(clip) = self.clip {
            ensure!(clip > 0.0, "training.clip is {clip}; it must be above 0");
        }
        let counts = [
            ("early_stopping", self.early_stopping),
            ("checkpoint_every", self.checkpoint_every),
            ("samples_every", self.samples_every),
            ("accumulate", Some(self.accumulate)),
        ];
        for (key, value) in counts {
            ensure!(
                value != Some(0),
                "training.{key} is 0; it must be 1 or more"
            );
        }
        let workers = self.workers;
        let fits = (1..=256).contains(&workers);
        ensure!(fits, "training.workers is {workers}; it must be 1 to 256");
        Ok(())
    }
}

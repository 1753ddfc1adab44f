//! The `[quantise]` table of a recipe.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::Calibration;
use super::qat::QatConfig;

/// How a recipe's student becomes INT8. Unknown keys are errors.
///
/// ```toml
/// [quantise]
/// calibration = "search"   # or mse, min-max, percentile, entropy
/// pictures = 64
/// qat = true               # fine-tune with the board's arithmetic in the loop
/// qat_steps = 600
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuantiseConfig {
    /// How ranges of activations are chosen.
    pub calibration: Calibration,
    /// Share of values inside the range, for `percentile`, in percent.
    pub percentile: f64,
    /// Pictures to calibrate on; see [`Self::pictures`] when there is no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures: Option<usize>,
    /// Balance channel ranges between neighbouring layers first.
    pub equalise: bool,
    /// Take the mean error of each layer out of its bias.
    pub correct_bias: bool,
    /// Layers, counted from 0, that stay f32.
    pub keep_float: Vec<usize>,
    /// Fine-tune with the board's arithmetic in the loop.
    pub qat: bool,
    /// Updates of the fine-tuning.
    pub qat_steps: u64,
    /// Its learning rate at the start; falls to 0 on a cosine.
    pub qat_learning_rate: f64,
}

impl Default for QuantiseConfig {
    fn default() -> Self {
        let qat = QatConfig::default();
        Self {
            calibration: Calibration::Search,
            percentile: 99.99,
            pictures: None,
            equalise: true,
            correct_bias: true,
            keep_float: Vec::new(),
            qat: false,
            qat_steps: qat.steps,
            qat_learning_rate: qat.learning_rate,
        }
    }
}

impl QuantiseConfig {
    /// Pictures to calibrate on: 64 where a search has half of them judge, else 16, for criteria that
    /// look at one activation at a time do worse the more extremes they have seen.
    pub fn pictures(&self) -> usize {
        let few = self.calibration != Calibration::Search;
        self.pictures.unwrap_or(if few { 16 } else { 64 })
    }

    /// Refuses values that make no sense.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn validate(&self) -> Result<()> {
        let percentile = self.percentile;
        ensure!(
            percentile > 50.0 && percentile <= 100.0,
            "quantise.percentile is {percentile}; it must be above 50, at most 100"
        );
        let pictures = self.pictures.unwrap_or(1);
        ensure!(
            (1..=4096).contains(&pictures),
            "quantise.pictures is {pictures}; it must be 1 to 4096"
        );
        let steps = self.qat_steps;
        ensure!(
            (1..=1_000_000).contains(&steps),
            "quantise.qat_steps is {steps}; it must be 1 to 1000000"
        );
        let rate = self.qat_learning_rate;
        ensure!(
            rate > 0.0 && rate <= 1.0,
            "quantise.qat_learning_rate is {rate}; it must be above 0, at most 1"
        );
        ensure!(
            !self.qat || self.keep_float.is_empty(),
            "quantise.qat fine-tunes students that are INT8 throughout: leave keep_float empty"
        );
        Ok(())
    }

    /// The fine-tuning's part.
    pub(super) fn fine_tuning(&self) -> QatConfig {
        QatConfig {
            steps: self.qat_steps,
            learning_rate: self.qat_learning_rate,
            ..QatConfig::default()
        }
    }
}

//! The learning rate over a training.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// The `[schedule]` table of a recipe. Steps count optimiser updates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// The same rate throughout, after the warm-up.
    Constant {
        /// Steps of linear rise before.
        #[serde(default, skip_serializing_if = "none")]
        warmup: u64,
    },
    /// Half a cosine from the peak to `floor` times the peak (Loshchilov and Hutter, ICLR 2017).
    Cosine {
        /// Steps of linear rise before.
        #[serde(default)]
        warmup: u64,
        /// Last rate as a fraction of the peak.
        #[serde(default)]
        floor: f64,
    },
    /// Times `factor` every `epochs` epochs.
    Step {
        /// Epochs between drops.
        epochs: u64,
        /// Factor of a drop.
        #[serde(default = "tenth")]
        factor: f64,
        /// Steps of linear rise before.
        #[serde(default)]
        warmup: u64,
    },
    /// Times `factor` when the watched metric has not risen for `patience` epochs.
    Plateau {
        /// Epochs without progress that are borne.
        #[serde(default = "ten")]
        patience: u64,
        /// Factor of a drop.
        #[serde(default = "tenth")]
        factor: f64,
        /// Steps of linear rise before.
        #[serde(default)]
        warmup: u64,
    },
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self::Constant { warmup: 0 }
    }
}

/// What is not asked for is not written, so that settings of before keep their text.
fn none(steps: &u64) -> bool {
    *steps == 0
}

fn tenth() -> f64 {
    0.1
}

fn ten() -> u64 {
    10
}

/// What a plateau schedule remembers between epochs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plateau {
    best: f64,
    waited: u64,
    scale: f64,
}

impl Default for Plateau {
    fn default() -> Self {
        Self {
            best: f64::NEG_INFINITY,
            waited: 0,
            scale: 1.0,
        }
    }
}

impl ScheduleConfig {
    /// Refuses factors that do not lower the rate.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn validate(&self) -> Result<()> {
        let factor = match self {
            Self::Constant { .. } => return Ok(()),
            Self::Cosine { floor, .. } => {
                ensure!(
                    (0.0..=1.0).contains(floor),
                    "schedule.floor is {floor}; it must be 0 to 1"
                );
                return Ok(());
            }
            Self::Step { factor, epochs, .. } => {
                ensure!(*epochs > 0, "schedule.epochs is 0; it must be 1 or more");
                factor
            }
            Self::Plateau { factor, .. } => factor,
        };
        let fits = *factor > 0.0 && *factor <= 1.0;
        ensure!(
            fits,
            "schedule.factor is {factor}; it must be above 0, at most 1"
        );
        Ok(())
    }

    /// Factor of the peak rate at `step` of `total`, in `epoch` (all from 0).
    pub fn factor(&self, step: u64, total: u64, epoch: u64, plateau: &Plateau) -> f64 {
        let rise = |warmup: u64| match warmup {
            0 => 1.0,
            warmup => ((step + 1) as f64 / warmup as f64).min(1.0),
        };
        match *self {
            Self::Constant { warmup } => rise(warmup),
            Self::Cosine { warmup, .. } if step < warmup => rise(warmup),
            Self::Cosine { warmup, floor } => {
                let span = total.saturating_sub(warmup).max(1) as f64;
                let at = ((step - warmup) as f64 / span).min(1.0);
                floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * at).cos())
            }
            Self::Step {
                epochs,
                factor,
                warmup,
            } => {
                let drops = i32::try_from(epoch / epochs.max(1)).unwrap_or(i32::MAX);
                rise(warmup) * factor.powi(drops)
            }
            Self::Plateau { warmup, .. } => rise(warmup) * plateau.scale,
        }
    }

    /// Tells a plateau schedule the epoch's metric (higher is better).
    pub fn watch(&self, metric: f64, plateau: &mut Plateau) {
        let Self::Plateau {
            patience, factor, ..
        } = self
        else {
            return;
        };
        if metric > plateau.best {
            plateau.best = metric;
            plateau.waited = 0;
        } else if plateau.waited >= *patience {
            plateau.waited = 0;
            plateau.scale *= factor;
        } else {
            plateau.waited += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_rises_then_falls_to_its_floor() {
        let cosine = ScheduleConfig::Cosine {
            warmup: 10,
            floor: 0.1,
        };
        let at = |step| cosine.factor(step, 110, 0, &Plateau::default());
        assert_eq!((at(0), at(9), at(10)), (0.1, 1.0, 1.0));
        assert!((at(60) - 0.55).abs() < 1e-12);
        assert!((at(110) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn a_constant_rate_may_rise_first() {
        let constant = ScheduleConfig::Constant { warmup: 4 };
        let at = |step| constant.factor(step, 10, 0, &Plateau::default());
        assert_eq!((at(0), at(3), at(9)), (0.25, 1.0, 1.0));
        let plain = serde_json::to_string(&ScheduleConfig::default()).unwrap();
        assert_eq!(plain, r#"{"kind":"constant"}"#);
    }

    #[test]
    fn a_plateau_waits_then_drops() {
        let schedule = ScheduleConfig::Plateau {
            patience: 1,
            factor: 0.5,
            warmup: 0,
        };
        let mut plateau = Plateau::default();
        let mut factors = Vec::new();
        for metric in [30.0, 30.0, 30.0, 31.0, 30.0, 30.0] {
            schedule.watch(metric, &mut plateau);
            factors.push(schedule.factor(0, 1, 0, &plateau));
        }
        assert_eq!(factors, [1.0, 1.0, 0.5, 0.5, 0.5, 0.25]);
    }

    #[test]
    fn steps_drop_by_epochs() {
        let schedule = ScheduleConfig::Step {
            epochs: 5,
            factor: 0.5,
            warmup: 0,
        };
        let at = |epoch| schedule.factor(0, 1, epoch, &Plateau::default());
        assert_eq!((at(4), at(5), at(14)), (1.0, 0.5, 0.25));
    }
}

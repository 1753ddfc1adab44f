//! Weights of the terms: as the recipe gives them, or balanced while training.

use std::cell::{Cell, RefCell};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::nn::Path;
use tch::{Kind, Tensor};

/// The `[weighting]` table of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum WeightingConfig {
    // With braces: serde takes any key beside a variant that has none.
    /// The recipe's weights throughout.
    Static {},
    /// Each term is divided by a learned variance (Kendall, Gal, Cipolla: "Multi-Task Learning Using
    /// Uncertainty to Weigh Losses", CVPR 2018): `weight * (exp(-s) * term + s)`, `s` learned.
    Uncertainty {},
    /// The terms' gradients are brought to sizes in proportion to the recipe's weights, their sum
    /// kept: GradNorm's aim (Chen et al., ICML 2018) at equal training rates, solved directly.
    GradientNorm {
        /// Steps from one measurement to the next. Of a step that accumulates batches, or is cut into
        /// pieces, the first part is measured.
        #[serde(default = "ten")]
        every: u64,
        /// Part of the old factors that a measurement keeps.
        #[serde(default = "most")]
        momentum: f64,
    },
}

impl Default for WeightingConfig {
    fn default() -> Self {
        Self::Static {}
    }
}

fn ten() -> u64 {
    10
}

fn most() -> f64 {
    0.9
}

impl WeightingConfig {
    /// Refuses values that make no sense.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn validate(&self) -> Result<()> {
        if let Self::GradientNorm { every, momentum } = self {
            ensure!(*every > 0, "weighting.every is 0; it must be 1 or more");
            ensure!(
                (0.0..1.0).contains(momentum),
                "weighting.momentum is {momentum}; it must be 0 or more, below 1"
            );
        }
        Ok(())
    }
}

/// Turns terms into the sum to differentiate. What it learns or remembers are variables, so that
/// checkpoints hold it.
#[derive(Debug)]
pub(super) enum Weighting {
    Static,
    /// Logarithms of the variances, `[terms]`.
    Uncertainty(Tensor),
    GradientNorm {
        every: u64,
        momentum: f64,
        /// Factors in use, `[terms]`.
        factors: Tensor,
        /// Steps so far, but 1 again after `every`, for f32 cannot count for ever; `[1]`. Checkpoints
        /// of earlier versions hold larger numbers.
        count: Tensor,
        /// Whether this step is past its measurement.
        past: Cell<bool>,
        /// The factors before the step under way changed them.
        before: RefCell<Option<Tensor>>,
    },
}

impl Weighting {
    /// Makes the variables under `path`.
    pub(super) fn new(config: &WeightingConfig, weights: &[f64], path: &Path) -> Self {
        let size = [weights.len() as i64];
        match config {
            WeightingConfig::Static {} => Self::Static,
            WeightingConfig::Uncertainty {} => {
                Self::Uncertainty(path.zeros("log_variances", &size))
            }
            WeightingConfig::GradientNorm { every, momentum } => {
                let mut factors = path.zeros_no_train("factors", &size);
                let start = Tensor::from_slice(weights).to_kind(Kind::Float);
                tch::no_grad(|| factors.copy_(&start));
                Self::GradientNorm {
                    every: *every,
                    momentum: *momentum,
                    factors,
                    count: path.zeros_no_train("count", &[1]),
                    past: Cell::new(false),
                    before: RefCell::new(None),
                }
            }
        }
    }

    /// The sum. `shared` are the parameters whose gradients are balanced, measured under the loss `scale`.
    pub(super) fn total(
        &self,
        terms: &[Tensor],
        weights: &[f64],
        shared: &[Tensor],
        scale: f64,
    ) -> Result<Tensor> {
        let weighted = |factor: &dyn Fn(usize) -> Tensor| {
            let parts: Vec<Tensor> = (0..terms.len()).map(factor).collect();
            Tensor::stack(&parts, 0).sum(Kind::Float)
        };
        Ok(match self {
            Self::Static => weighted(&|i| &terms[i] * weights[i]),
            Self::Uncertainty(logs) => weighted(&|i| {
                let log = logs.get(i as i64);
                ((-&log).exp() * &terms[i] + log) * weights[i]
            }),
            Self::GradientNorm {
                every,
                momentum,
                factors,
                count,
                past,
                before,
            } => {
                if !past.get() {
                    let seen = count.double_value(&[0]) as u64;
                    if seen.is_multiple_of(*every) && !shared.is_empty() {
                        let norms = gradient_norms(terms, shared, scale)?;
                        let keep = if seen == 0 { 0.0 } else { *momentum };
                        before.replace(Some(factors.detach().copy()));
                        balance(factors, weights, &norms, keep);
                    }
                    // Not before: a measurement that the memory does not hold is made anew.
                    past.set(true);
                }
                weighted(&|i| &terms[i] * factors.get(i as i64).detach().copy())
            }
        })
    }

    /// Forgets what a step measured that was not made.
    pub(super) fn undo_step(&self) {
        if let Self::GradientNorm {
            factors,
            past,
            before,
            ..
        } = self
        {
            if let Some(before) = before.take() {
                tch::no_grad(|| factors.shallow_clone().copy_(&before));
            }
            past.set(false);
        }
    }

    /// Ends a step.
    pub(super) fn next_step(&self) {
        if let Self::GradientNorm {
            every,
            count,
            past,
            before,
            ..
        } = self
        {
            before.replace(None);
            // On the device, for to read it would be to wait.
            let _ = tch::no_grad(|| {
                let mut count = count.shallow_clone();
                count.remainder_(*every as f64).g_add_scalar_(1.0)
            });
            past.set(false);
        }
    }
}

/// How much smaller a loss scale becomes for a term whose gradient does not fit half precision under it.
const SMALLER: f64 = 256.0;

/// Size of each term's gradient, taken of the term times `scale`.
fn gradient_norms(terms: &[Tensor], shared: &[Tensor], scale: f64) -> Result<Vec<f64>> {
    let scaled = |term: &Tensor, scale: f64| {
        let gradients = Tensor::f_run_backward(&[term * scale], shared, true, false)?;
        let squares = gradients
            .iter()
            .filter(|g| g.defined())
            .map(|g| g.square().sum(Kind::Float).double_value(&[]));
        anyhow::Ok(squares.sum::<f64>().sqrt() / scale)
    };
    let norm = |term: &Tensor| {
        let mut scale = scale;
        loop {
            let norm = scaled(term, scale)?;
            if norm.is_finite() || scale <= 1.0 {
                return Ok(norm);
            }
            scale = (scale / SMALLER).max(1.0);
        }
    };
    terms.iter().map(norm).collect()
}

/// Moves `factors` to where every weighted gradient has its share.
fn balance(factors: &Tensor, weights: &[f64], norms: &[f64], keep: f64) {
    let sum: f64 = weights.iter().sum();
    let weighted: f64 = weights.iter().zip(norms).map(|(w, n)| w * n).sum();
    let mean = weighted / sum;
    let aim = |(weight, norm): (&f64, &f64)| {
        // A term without gradient needs no balancing.
        let usable = norm.is_finite() && *norm > 0.0 && mean.is_finite() && mean > 0.0;
        (if usable {
            weight * mean / norm
        } else {
            *weight
        }) as f32
    };
    let aims: Vec<f32> = weights.iter().zip(norms).map(aim).collect();
    let aims = Tensor::from_slice(&aims).to_device(factors.device());
    let _ = tch::no_grad(|| factors.shallow_clone().lerp_(&aims, 1.0 - keep));
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;
    use tch::nn::VarStore;

    #[test]
    fn gradients_get_the_recipes_shares_and_keep_their_sum() {
        let store = VarStore::new(Device::Cpu);
        let x = store.root().ones("x", &[4]);
        let config = WeightingConfig::GradientNorm {
            every: 2,
            momentum: 0.5,
        };
        let weights = [1.0, 3.0];
        let weighting = Weighting::new(&config, &weights, &store.root());
        // Gradients of size 2 and 20.
        let terms = || [x.sum(Kind::Float), x.sum(Kind::Float) * 10.0];
        let shared = [x.shallow_clone()];
        let total = weighting.total(&terms(), &weights, &shared, 1.0).unwrap();
        let Weighting::GradientNorm { factors, .. } = &weighting else {
            panic!("another weighting");
        };
        let sizes = [2.0, 20.0];
        let share = |i: usize| factors.double_value(&[i as i64]) * sizes[i];
        assert!((share(1) / share(0) - 3.0).abs() < 1e-5);
        assert!((share(0) + share(1) - (2.0 + 60.0)).abs() < 1e-4);
        total.backward();
        let gradient = x.grad().square().sum(Kind::Float).sqrt().double_value(&[]);
        assert!((gradient - 62.0).abs() < 1e-4, "{gradient}");
        // Nothing else in this step is measured, nor the second step; the third moves half of the way.
        let before = share(0);
        let smaller = || [x.sum(Kind::Float), x.sum(Kind::Float)];
        let again = || weighting.total(&smaller(), &weights, &shared, 1.0).unwrap();
        for pieces in [3, 2] {
            for _ in 0..pieces {
                let _ = again();
                assert_eq!(share(0), before);
            }
            weighting.next_step();
        }
        let aim = 2.0;
        for _ in 0..2 {
            let _ = again();
            assert!((share(0) - f64::midpoint(before, aim)).abs() < 1e-4);
        }
    }

    #[test]
    fn gradients_are_measured_under_the_loss_scale_of_half_precision() {
        let store = VarStore::new(Device::Cpu);
        let x = store.root().ones("x", &[4]);
        // Half precision holds neither the first gradient as it is, nor the second under the scale.
        let term = |factor: f64| {
            let half = x.to_kind(Kind::Half).to_kind(Kind::Float);
            half.sum(Kind::Float) * factor
        };
        let terms = [term(1e-9), term(1e3)];
        let shared = [x.shallow_clone()];
        let norms = gradient_norms(&terms, &shared, 65_536.0).unwrap();
        assert!((norms[0] / 2e-9 - 1.0).abs() < 0.01, "{norms:?}");
        assert!((norms[1] / 2e3 - 1.0).abs() < 0.01, "{norms:?}");
    }

    #[test]
    fn measurements_go_on_after_any_number_of_steps() {
        let store = VarStore::new(Device::Cpu);
        let x = store.root().ones("x", &[4]);
        let config = WeightingConfig::GradientNorm {
            every: 10,
            momentum: 0.5,
        };
        let weights = [1.0, 3.0];
        let weighting = Weighting::new(&config, &weights, &store.root());
        let Weighting::GradientNorm { factors, count, .. } = &weighting else {
            panic!("another weighting");
        };
        // Where f32 stops to count, as a checkpoint may hold it: 6 after a measurement.
        let _ = count.shallow_clone().fill_(16_777_216.0);
        let terms = || [x.sum(Kind::Float), x.sum(Kind::Float) * 10.0];
        let mut moved = Vec::new();
        for step in 0..25 {
            let before = factors.double_value(&[0]);
            let _ = weighting
                .total(&terms(), &weights, &[x.shallow_clone()], 1.0)
                .unwrap();
            if factors.double_value(&[0]) != before {
                moved.push(step);
            }
            weighting.next_step();
        }
        assert_eq!(moved, [4, 14, 24]);
    }

    #[test]
    fn uncertainty_learns_the_variance() {
        let store = VarStore::new(Device::Cpu);
        let weighting = Weighting::new(&WeightingConfig::Uncertainty {}, &[1.0], &store.root());
        let term = || [Tensor::from(0.25f32)];
        // The best s is the logarithm of the term.
        for _ in 0..300 {
            let total = weighting.total(&term(), &[1.0], &[], 1.0).unwrap();
            for mut variable in store.trainable_variables() {
                variable.zero_grad();
                total.backward();
                let step = variable.grad() * 0.1;
                tch::no_grad(|| variable -= step);
            }
        }
        let Weighting::Uncertainty(logs) = &weighting else {
            panic!("another weighting");
        };
        assert!((logs.double_value(&[0]) - 0.25f64.ln()).abs() < 1e-3);
    }
}

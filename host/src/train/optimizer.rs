//! Adam and AdamW whose state can be saved, over all parameters as one flat vector.
//!
//! torch's C++ optimisers, as tch offers them, keep their moments to themselves; exact resume needs
//! them on disk. One flat vector also makes a step a handful of large operations instead of several
//! for each of a hundred small tensors. The master copy is f32 whatever the network computes in.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// The `[optimizer]` table of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Which update.
    #[serde(default)]
    pub kind: OptimizerKind,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Weight decay; decoupled from the gradient in AdamW.
    #[serde(default)]
    pub weight_decay: f64,
    /// Decay of the first moment.
    #[serde(default = "beta1")]
    pub beta1: f64,
    /// Decay of the second moment.
    #[serde(default = "beta2")]
    pub beta2: f64,
    /// Added to the root of the second moment.
    #[serde(default = "epsilon")]
    pub epsilon: f64,
}

/// Which update an optimiser makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Kingma and Ba, ICLR 2015; weight decay joins the gradient.
    #[default]
    Adam,
    /// Loshchilov and Hutter, ICLR 2019; weight decay shrinks the weights.
    AdamW,
}

fn beta1() -> f64 {
    0.9
}

fn beta2() -> f64 {
    0.999
}

fn epsilon() -> f64 {
    1e-8
}

impl OptimizerConfig {
    /// Refuses rates and decays that make no sense.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn validate(&self) -> Result<()> {
        let check = |key: &str, value: f64, fits: bool, range: &str| {
            ensure!(fits, "optimizer.{key} is {value}; it must be {range}");
            Ok(())
        };
        let rate = self.learning_rate;
        check(
            "learning_rate",
            rate,
            rate > 0.0 && rate <= 1.0,
            "above 0, at most 1",
        )?;
        let decay = self.weight_decay;
        check(
            "weight_decay",
            decay,
            (0.0..=1.0).contains(&decay),
            "0 to 1",
        )?;
        for (key, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            check(key, beta, (0.0..1.0).contains(&beta), "0 or more, below 1")?;
        }
        check(
            "epsilon",
            self.epsilon,
            self.epsilon > 0.0 && self.epsilon <= 1.0,
            "above 0 and up to 1",
        )
    }
}

/// Adam's state and the f32 master copy of the parameters.
#[derive(Debug)]
pub struct Adam {
    config: OptimizerConfig,
    /// What is trained.
    pub parameters: Vec<Tensor>,
    sizes: Vec<i64>,
    /// f32 `[P]`.
    pub master: Tensor,
    /// First moment, f32 `[P]`.
    pub first: Tensor,
    /// Second moment, f32 `[P]`.
    pub second: Tensor,
    /// Updates made.
    pub updates: u64,
}

impl Adam {
    /// Takes parameters in a fixed order.
    pub fn new(config: OptimizerConfig, parameters: Vec<Tensor>) -> Self {
        let sizes: Vec<i64> = parameters.iter().map(|p| p.numel() as i64).collect();
        let flat = |p: &Tensor| p.detach().to_kind(Kind::Float).flatten(0, -1);
        let master = Tensor::cat(&parameters.iter().map(flat).collect::<Vec<_>>(), 0);
        Self {
            first: master.zeros_like(),
            second: master.zeros_like(),
            config,
            parameters,
            sizes,
            master,
            updates: 0,
        }
    }

    /// All gradients as one f32 vector `[P]`; parameters that took no part count as 0.
    pub fn gradient(&self) -> Tensor {
        let parts: Vec<Tensor> = self
            .parameters
            .iter()
            .map(|p| {
                let gradient = p.grad();
                if gradient.defined() {
                    gradient.flatten(0, -1).to_kind(Kind::Float)
                } else {
                    p.zeros_like().detach().flatten(0, -1).to_kind(Kind::Float)
                }
            })
            .collect();
        Tensor::cat(&parts, 0)
    }

    /// Forgets the gradients.
    pub fn zero_gradients(&mut self) {
        for parameter in &mut self.parameters {
            parameter.zero_grad();
        }
    }

    /// One update with `gradient` `[P]` at `learning_rate`. Where the memory runs out for it, nothing has changed.
    pub fn update(&mut self, gradient: &Tensor, learning_rate: f64) {
        let c = &self.config;
        let updates = self.updates + 1;
        let (master, first, second) = tch::no_grad(|| {
            let master = &self.master;
            let (gradient, master) = match c.kind {
                OptimizerKind::Adam if c.weight_decay > 0.0 => {
                    (gradient + master * c.weight_decay, master.shallow_clone())
                }
                OptimizerKind::AdamW if c.weight_decay > 0.0 => (
                    gradient.shallow_clone(),
                    master * (1.0 - learning_rate * c.weight_decay),
                ),
                _ => (gradient.shallow_clone(), master.shallow_clone()),
            };
            let first = self.first.lerp(&gradient, 1.0 - c.beta1);
            let second = self.second.lerp(&gradient.square(), 1.0 - c.beta2);
            let n = i32::try_from(updates).unwrap_or(i32::MAX);
            let (correct1, correct2) = (1.0 - c.beta1.powi(n), 1.0 - c.beta2.powi(n));
            let root = (&second / correct2).sqrt() + c.epsilon;
            let master = master - &first / root * (learning_rate / correct1);
            (master, first, second)
        });
        self.updates = updates;
        (self.master, self.first, self.second) = (master, first, second);
        self.publish();
    }

    /// Copies the master into the network's parameters.
    pub fn publish(&mut self) {
        scatter(&self.master, &mut self.parameters, &self.sizes);
    }

    /// Copies any flat vector `[P]`, such as an average, into the network's parameters.
    pub fn show(&mut self, flat: &Tensor) {
        scatter(flat, &mut self.parameters, &self.sizes);
    }
}

fn scatter(flat: &Tensor, parameters: &mut [Tensor], sizes: &[i64]) {
    tch::no_grad(|| {
        let parts = flat.split_with_sizes(sizes, 0);
        for (parameter, part) in parameters.iter_mut().zip(parts) {
            let shape = parameter.size();
            parameter.copy_(&part.reshape(&shape));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::nn::{self, Init, OptimizerConfig as _, VarStore};

    fn config(kind: OptimizerKind) -> OptimizerConfig {
        OptimizerConfig {
            kind,
            learning_rate: 1e-2,
            weight_decay: 0.1,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        }
    }

    fn pull(x: &Tensor, y: &Tensor) -> Tensor {
        ((x - 0.3).square().sum(Kind::Float) + (y.square() * x.sum(Kind::Float)).sum(Kind::Float))
            .sin()
    }

    /// The reference is torch's own optimiser.
    #[test]
    fn updates_equal_torchs() {
        for kind in [OptimizerKind::Adam, OptimizerKind::AdamW] {
            let make = || {
                tch::manual_seed(9);
                let store = VarStore::new(tch::Device::Cpu);
                let init = Init::Uniform { lo: -1.0, up: 1.0 };
                let x = store.root().var("x", &[3, 2], init);
                let y = store.root().var("y", &[2], init);
                (store, x, y)
            };
            let (store, x, y) = make();
            let mut theirs = match kind {
                OptimizerKind::Adam => nn::adam(0.9, 0.999, 0.1).build(&store, 1e-2).unwrap(),
                OptimizerKind::AdamW => nn::adamw(0.9, 0.999, 0.1).build(&store, 1e-2).unwrap(),
            };
            for _ in 0..20 {
                theirs.backward_step(&pull(&x, &y));
            }
            let (_store, a, b) = make();
            let parameters = vec![a.shallow_clone(), b.shallow_clone()];
            let mut ours = Adam::new(config(kind), parameters);
            for _ in 0..20 {
                ours.zero_gradients();
                pull(&a, &b).backward();
                let gradient = ours.gradient();
                ours.update(&gradient, 1e-2);
            }
            let error =
                (a - x).abs().max().double_value(&[]) + (b - y).abs().max().double_value(&[]);
            assert!(error < 1e-5, "{kind:?}: {error}");
        }
    }
}

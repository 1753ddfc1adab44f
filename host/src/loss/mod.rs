//! Losses: each a term with its own weight, logged apart, summed for the gradient.
//!
//! All terms are means, so weights do not depend on batch or crop size. Pictures are `[N,C,H,W]`
//! in 0..1; terms that need RGB say so when the recipe is read.

mod config;
mod feature;
mod measure;
mod output;
mod perceptual;
mod picture;
mod ssim;
mod temporal;
mod weighting;

use std::path::Path as FilePath;

use anyhow::Result;
use tch::Tensor;
use tch::nn::Path;

pub use config::LossConfig;
pub use feature::FeatureShapes;
pub use measure::{FeatureMode, Measure};
pub use perceptual::{Vgg, VggKind};
pub(crate) use picture::constant;
pub use picture::{charbonnier, lab, missing_decibels, overshoot, sobel_magnitude, spectrum};
pub use ssim::{ms_ssim, ssim};
pub use temporal::SecondLook;
use weighting::Weighting;
pub use weighting::WeightingConfig;

/// What a term may look at.
#[derive(Debug)]
pub struct View<'a> {
    /// The student's output.
    pub restored: &'a Tensor,
    /// The sharp truth.
    pub truth: &'a Tensor,
    /// The teacher's output, when there is a teacher.
    pub teacher: Option<&'a Tensor>,
    /// The student's named maps.
    pub student_features: &'a [(String, Tensor)],
    /// The teacher's named maps.
    pub teacher_features: &'a [(String, Tensor)],
    /// A moved and noisy version of the batch, for temporal consistency.
    pub second: Option<&'a SecondLook>,
    /// The student's parameters, for weightings that measure gradients.
    pub parameters: &'a [Tensor],
    /// Factor on what is differentiated, so that small half-precision gradients do not vanish; 1 elsewhere.
    pub scale: f64,
}

/// One term of the loss.
pub trait Term: Send {
    /// A scalar that shrinks as the student gets better.
    ///
    /// # Errors
    /// When what the term compares is not there.
    fn value(&self, view: &View) -> Result<Tensor>;
}

/// The weighted sum of all terms of a recipe.
pub struct Loss {
    terms: Vec<(String, Box<dyn Term>)>,
    weights: Vec<f64>,
    weighting: Weighting,
    /// Deviation of the noise in a second look, when a term needs one.
    second: Option<f64>,
}

impl std::fmt::Debug for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Loss {
    /// Builds every term; learned adaptors become variables under `adaptors`. `shapes` tells the
    /// channels of the maps that feature terms compare; weight files are relative to `base`.
    ///
    /// # Errors
    /// When a term names a map that is not there or a weight file that cannot be read.
    pub fn new(
        configs: &[LossConfig],
        weighting: &WeightingConfig,
        shapes: &FeatureShapes,
        adaptors: &Path,
        base: &FilePath,
    ) -> Result<Self> {
        let mut terms: Vec<(String, Box<dyn Term>)> = Vec::with_capacity(configs.len());
        for config in configs {
            let label = config.label();
            let same = terms.iter().filter(|t| t.0.starts_with(&label)).count();
            let name = if same == 0 {
                label
            } else {
                format!("{label}-{}", same + 1)
            };
            let term = config.build(shapes, &(adaptors / name.as_str()), base)?;
            terms.push((name, term));
        }
        let weights: Vec<f64> = configs.iter().map(LossConfig::weight).collect();
        let weighting = Weighting::new(weighting, &weights, &(adaptors / "weighting"));
        Ok(Self {
            terms,
            weights,
            weighting,
            second: configs.iter().find_map(LossConfig::second_look),
        })
    }

    /// The noise of the second look that the terms need, if any needs one.
    pub fn second_look(&self) -> Option<f64> {
        self.second
    }

    /// Names of the terms, in the recipe's order.
    pub fn names(&self) -> Vec<String> {
        self.terms.iter().map(|t| t.0.clone()).collect()
    }

    /// The sum to differentiate, and each term's unweighted value as one f32 tensor `[terms]`.
    ///
    /// # Errors
    /// As the terms'.
    pub fn evaluate(&self, view: &View) -> Result<(Tensor, Tensor)> {
        let values = self.terms.iter().map(|(_, term)| term.value(view));
        let values = values.collect::<Result<Vec<Tensor>>>()?;
        let total = self
            .weighting
            .total(&values, &self.weights, view.parameters, view.scale)?;
        Ok((total, Tensor::stack(&values, 0).detach()))
    }

    /// Ends a step, for weightings that count them: what was evaluated since the last call, one view
    /// or many, was for one update.
    pub fn next_step(&self) {
        self.weighting.next_step();
    }

    /// Forgets what was evaluated since the last call of [`Loss::next_step`]: no update came of it.
    pub fn undo_step(&self) {
        self.weighting.undo_step();
    }
}

#[cfg(test)]
mod gradient_tests;
#[cfg(test)]
mod tests;

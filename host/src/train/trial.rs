//! Single training steps outside of a run, to be timed.

use std::time::Instant;

use anyhow::{Context, Result};
use tch::nn::VarStore;
use tch::{Kind, Tensor};

use super::distill::Apprentice;
use super::guide::{Guidance, to_colour};
use super::optimizer::Adam;
use crate::allocator::keep_freed_memory;
use crate::loss::{SecondLook, View};
use crate::recipe::Recipe;
use hone_shared::student::Colour;

/// A student with all that an update needs but a folder. Its weights stay as they are.
pub struct Trial {
    parts: Apprentice,
    adam: Adam,
    colour: Colour,
    kind: Kind,
}

impl Trial {
    /// Of the recipe's student, teacher and loss.
    pub fn new(recipe: &Recipe, parts: Apprentice) -> Self {
        keep_freed_memory();
        let trained = [&parts.network, &parts.adaptors].map(VarStore::trainable_variables);
        let adam = Adam::new(
            recipe.optimizer.clone(),
            trained.into_iter().flatten().collect(),
        );
        Self {
            parts,
            adam,
            colour: recipe.colour,
            kind: recipe.training.precision.kind(),
        }
    }

    /// Gives the parts back.
    pub fn into_parts(self) -> Apprentice {
        self.parts
    }

    /// Seconds of one update at learning rate 0 on these patches, `[N,C,H,W]` in the batch's colour; without
    /// `guidance` the teacher is asked, if there is one.
    ///
    /// # Errors
    /// When torch fails.
    pub fn step(
        &mut self,
        input: &Tensor,
        truth: &Tensor,
        guidance: Option<Guidance>,
    ) -> Result<f64> {
        let begin = Instant::now();
        self.adam.zero_gradients();
        let guidance = guidance.or_else(|| Some(self.parts.guide.as_ref()?.guide(input)));
        let (input, truth) = (to_colour(input, self.colour), to_colour(truth, self.colour));
        let output = self.parts.student.forward_in(&input, true, self.kind);
        let multiple = self.parts.student.multiple() as i64;
        let again = |x: &Tensor| self.parts.student.forward_in(x, true, self.kind).restored;
        let second = match self.parts.loss.second_look() {
            Some(noise) => {
                let (first, name) = (&output.restored, &[0][..]);
                Some(SecondLook::take(
                    &input, first, noise, multiple, name, &again,
                )?)
            }
            None => None,
        };
        let view = View {
            restored: &output.restored,
            truth: &truth,
            teacher: guidance.as_ref().map(|g| &g.output),
            student_features: &output.features,
            teacher_features: guidance.as_ref().map_or(&[], |g| &g.features),
            second: second.as_ref(),
            parameters: &self.adam.parameters,
        };
        let (total, _) = self.parts.loss.evaluate(&view)?;
        self.parts.loss.next_step();
        total.f_backward().context("the backward pass failed")?;
        let gradient = self.adam.gradient();
        self.adam.update(&gradient, 0.0);
        // Waits for the device.
        let _ = total.double_value(&[]);
        Ok(begin.elapsed().as_secs_f64())
    }
}

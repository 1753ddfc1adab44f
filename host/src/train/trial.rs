//! Single training steps outside of a run, to be timed.

use std::time::Instant;

use anyhow::Result;
use tch::nn::VarStore;
use tch::{Kind, Tensor};

use super::distill::Apprentice;
use super::feed::TrainBatch;
use super::lesson::Lesson;
use super::memory::{guard, halve};
use super::optimizer::Adam;
use crate::allocator::keep_freed_memory;
use crate::recipe::Recipe;
use hone_shared::student::Colour;

/// A student with all that an update needs but a folder. Its weights stay as they are.
pub struct Trial {
    parts: Apprentice,
    adam: Adam,
    colour: Colour,
    frames: usize,
    kind: Kind,
    /// As in a training's state.
    pieces: usize,
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
            frames: recipe.student.unrolled(),
            kind: recipe.training.precision.kind(),
            pieces: 1,
        }
    }

    /// Gives the parts back.
    pub fn into_parts(self) -> Apprentice {
        self.parts
    }

    /// Seconds of one update at learning rate 0 on these patches, in the batch's colour; where they bring no answers of the
    /// teacher it is asked, if there is one. What the memory does not hold at once is cut into pieces, as in a training.
    ///
    /// # Errors
    /// When torch fails, and when the memory does not hold a single patch.
    pub fn step(&mut self, batch: &TrainBatch) -> Result<f64> {
        loop {
            let begin = Instant::now();
            if guard(|| self.attempt(batch))?.is_some() {
                return Ok(begin.elapsed().as_secs_f64());
            }
            self.pieces = halve(batch.input.size()[0] as usize, self.pieces)?;
        }
    }

    fn attempt(&mut self, batch: &TrainBatch) -> Result<()> {
        self.adam.zero_gradients();
        let student = &self.parts.student;
        let forward = |x: &Tensor| student.forward_in(x, true, self.kind);
        let lesson = Lesson {
            forward: &forward,
            guide: self.parts.guide.as_ref(),
            loss: &self.parts.loss,
            colour: self.colour,
            frames: self.frames,
            multiple: student.multiple() as i64,
            network: &self.parts.network.trainable_variables(),
            scale: 1.0,
        };
        let device = self.parts.network.device();
        let losses = lesson.cut(batch, 1, self.pieces, device, &[0])?;
        self.parts.loss.next_step();
        let gradient = self.adam.gradient();
        self.adam.update(&gradient, 0.0);
        // Waits for the device.
        for (_, loss) in &losses {
            let _ = loss.double_value(&[0]);
        }
        Ok(())
    }
}

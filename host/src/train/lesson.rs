//! Forward and backward passes on a batch, the same in a training and in a trial.

use anyhow::{Context, Result};
use hone_shared::student::Colour;
use tch::{Device, Tensor};

use super::feed::TrainBatch;
use super::guide::{Guidance, Guide, to_colour};
use crate::loss::{Loss, SecondLook, View};
use crate::student::{StudentOutput, fed_back, joined};

/// What the passes need besides the batch.
pub(super) struct Lesson<'a> {
    /// The network's forward pass.
    pub forward: &'a dyn Fn(&Tensor) -> StudentOutput,
    /// The teacher, asked about batches that bring no answers of its.
    pub guide: Option<&'a Guide>,
    pub loss: &'a Loss,
    /// Planes of the network.
    pub colour: Colour,
    /// Consecutive frames of a patch.
    pub frames: usize,
    /// Sides of the network's input are multiples of this.
    pub multiple: i64,
    /// The network's parameters, without the loss's own.
    pub network: &'a [Tensor],
    /// Factor on the loss in half precision, which is part of what the gradients are multiplied by.
    pub scale: f64,
}

impl Lesson<'_> {
    /// Adds the gradients of one of so many `batches` of an update, cut into `pieces`, which go to `device` one by one; gives
    /// each loss with its share of the update. `name` names the random draws.
    pub fn cut(
        &self,
        batch: &TrainBatch,
        batches: usize,
        pieces: usize,
        device: Device,
        name: &[u64],
    ) -> Result<Vec<(f64, Tensor)>> {
        let size = batch.input.size()[0];
        let length = (size as usize).div_ceil(pieces) as i64;
        let mut losses = Vec::new();
        for first in (0..size).step_by(length as usize) {
            let count = length.min(size - first);
            let share = count as f64 / size as f64 / batches as f64;
            let piece = batch.narrow(first, count, device);
            let name = [name, &[first as u64]].concat();
            let parts = self.gradients(&piece, share * self.scale, &name)?;
            losses.extend(parts.into_iter().map(|(part, loss)| (part * share, loss)));
        }
        Ok(losses)
    }

    /// Adds a batch's gradients times `factor`; gives each frame's share, loss and terms. `name`
    /// names the random draws of this batch. Of a sequence every frame counts the same; what goes back
    /// into the network carries no gradients, so that memory does not grow with its length.
    fn gradients(
        &self,
        batch: &TrainBatch,
        factor: f64,
        name: &[u64],
    ) -> Result<Vec<(f64, Tensor)>> {
        let frames = self.frames as i64;
        let share = 1.0 / frames as f64;
        let mut losses = Vec::with_capacity(self.frames);
        let mut before: Option<Tensor> = None;
        for t in 0..frames {
            let frame = |planes: &Tensor| {
                let count = planes.size()[1] / frames;
                planes.narrow(1, t * count, count)
            };
            let (input, truth) = (frame(&batch.input), frame(&batch.truth));
            let asked = || self.guide.map(|g| g.guide(&input));
            let live = batch.guidance.is_none().then(asked).flatten();
            let guidance = batch.guidance.as_ref().or(live.as_ref());
            let truth = to_colour(&truth, self.colour);
            let input = joined(&to_colour(&input, self.colour), before.as_ref());
            let (loss, restored) = self.frame(&input, &truth, guidance, factor * share, name)?;
            losses.push((share, loss));
            before = (frames > 1).then(|| fed_back(&restored));
        }
        Ok(losses)
    }

    /// One frame's part of [`Lesson::gradients`]: loss and terms, and what was restored.
    fn frame(
        &self,
        input: &Tensor,
        truth: &Tensor,
        guidance: Option<&Guidance>,
        factor: f64,
        name: &[u64],
    ) -> Result<(Tensor, Tensor)> {
        let output = (self.forward)(input);
        let again = |x: &Tensor| (self.forward)(x).restored;
        let second = match self.loss.second_look() {
            Some(noise) => {
                let (first, multiple) = (&output.restored, self.multiple);
                Some(SecondLook::take(
                    input, first, noise, multiple, name, &again,
                )?)
            }
            None => None,
        };
        let view = View {
            restored: &output.restored,
            truth,
            teacher: guidance.map(|g| &g.output),
            student_features: &output.features,
            teacher_features: guidance.map_or(&[], |g| &g.features),
            second: second.as_ref(),
            parameters: self.network,
            scale: self.scale,
        };
        let (total, terms) = self.loss.evaluate(&view)?;
        (&total * factor)
            .f_backward()
            .context("the backward pass failed")?;
        let all = Tensor::cat(&[total.detach().reshape([1]), terms], 0);
        Ok((all, output.restored))
    }
}

//! One optimiser update: forward and backward passes, loss scaling, clipping, moving average.

use anyhow::{Context, Result, bail};
use tch::{Kind, Tensor};

use super::feed::{Feed, TrainBatch};
use super::guide::{Guidance, to_colour};
use super::memory;
use super::progress::Progress;
use super::trainer::Trainer;
use crate::loss::{SecondLook, View};
use crate::recipe::TrainPrecision;
use crate::student::{fed_back, joined};

/// Updates without overflow before the loss scale doubles (Micikevicius et al., "Mixed Precision
/// Training", ICLR 2018).
const CLEAN_STEPS: u64 = 2000;
/// Largest loss scale.
const MAX_SCALE: f64 = 16_777_216.0;

/// What the backward passes of one update give.
struct Pass {
    /// Mean loss and terms.
    values: Vec<f64>,
    /// Of every parameter, `[P]`.
    gradient: Tensor,
    /// Its size, which stays on the device.
    norm: Tensor,
    /// Whether that is a finite number.
    finite: bool,
}

impl Pass {
    /// `losses` are shares, each with a loss and its terms.
    fn read(losses: &[(f64, Tensor)], gradient: Tensor) -> Result<Self> {
        let norm = gradient.square().sum(Kind::Float).sqrt();
        let size = losses.first().map_or(0, |(_, loss)| loss.numel());
        // One read for all of them, for each waits for the device.
        let mut parts: Vec<Tensor> = losses.iter().map(|(_, l)| l.shallow_clone()).collect();
        parts.push(norm.reshape([1]));
        let all = Tensor::f_cat(&parts, 0)?.f_to_kind(Kind::Double)?;
        let all: Vec<f64> = Vec::try_from(all.f_to(tch::Device::Cpu)?)?;
        let mut values = vec![0.0; size];
        for ((share, _), loss) in losses.iter().zip(all.chunks_exact(size.max(1))) {
            for (sum, value) in values.iter_mut().zip(loss) {
                *sum += value * share;
            }
        }
        Ok(Self {
            values,
            gradient,
            norm,
            finite: all.last().is_some_and(|norm| norm.is_finite()),
        })
    }
}

impl Trainer {
    /// Makes one update at this learning rate.
    pub(super) fn step(
        &self,
        rate: f64,
        progress: &mut Progress,
        feed: &mut dyn Feed,
    ) -> Result<()> {
        let batches = (0..self.training.accumulate)
            .map(|_| feed.next())
            .collect::<Result<Vec<_>>>()?;
        let Pass {
            values,
            mut gradient,
            norm,
            finite,
        } = loop {
            progress.adam.zero_gradients();
            let scale = self.scale(progress);
            let pass = || self.pass(&batches, progress, scale);
            match memory::guard(pass)? {
                Some(pass) => break pass,
                None => progress.pieces = self.halve(&batches, progress.pieces)?,
            }
        };
        self.loss.next_step();
        for (sum, value) in progress.state.sums.iter_mut().zip(&values) {
            *sum += value;
        }
        if values.iter().any(|v| !v.is_finite()) {
            return Err(self.diverged("the loss", progress, progress.state.step + 1));
        }
        if !self.sound(finite, progress)? {
            return Ok(());
        }
        if let Some(limit) = self.training.clip {
            gradient *= (limit / (norm + 1e-6)).clamp_max(1.0);
        }
        progress.adam.update(&gradient, rate);
        if let (Some(average), Some(decay)) = (&mut progress.average, self.training.ema) {
            let _ = tch::no_grad(|| average.lerp_(&progress.adam.master, 1.0 - decay));
        }
        Ok(())
    }

    /// Factor on the loss, so that small half-precision gradients do not vanish.
    fn scale(&self, progress: &Progress) -> f64 {
        match self.training.precision {
            TrainPrecision::F16 => progress.state.loss_scale,
            TrainPrecision::F32 | TrainPrecision::Bf16 => 1.0,
        }
    }

    /// Whether the gradient makes an update. In half precision one that is not `finite` makes none,
    /// and the loss scale adapts.
    fn sound(&self, finite: bool, progress: &mut Progress) -> Result<bool> {
        if self.training.precision != TrainPrecision::F16 {
            return match finite {
                true => Ok(true),
                false => Err(self.diverged("the gradient", progress, progress.state.step + 1)),
            };
        }
        let state = &mut progress.state;
        if !finite {
            if state.loss_scale <= 1.0 {
                bail!(
                    "the gradient does not fit half precision in epoch {}, step {}, at the \
                     smallest loss scale: choose training.precision = \"bf16\", or lower \
                     optimizer.learning_rate or the weights of the losses; {}",
                    state.epoch + 1,
                    state.step + 1,
                    self.last_good()
                );
            }
            state.loss_scale = (state.loss_scale / 2.0).max(1.0);
            state.clean_steps = 0;
            return Ok(false);
        }
        state.clean_steps += 1;
        if state.clean_steps >= CLEAN_STEPS {
            state.loss_scale = (state.loss_scale * 2.0).min(MAX_SCALE);
            state.clean_steps = 0;
        }
        Ok(true)
    }

    /// Cuts batches into twice as many pieces after the memory ran out.
    fn halve(&self, batches: &[TrainBatch], pieces: usize) -> Result<usize> {
        let batch = batches.first().map_or(0, |b| b.input.size()[0]) as usize;
        if 2 * pieces > batch {
            bail!(
                "the GPU's memory does not hold a single patch of this training: lower the stage's \
                 crop, choose training.precision = \"bf16\", or cache the teacher (hone teacher cache)"
            );
        }
        eprintln!(
            "note: the GPU's memory does not hold {} patches: going on with pieces of {}, the \
             gradients of {} of them make one update",
            batch.div_ceil(pieces),
            batch.div_ceil(2 * pieces),
            2 * pieces
        );
        Ok(2 * pieces)
    }

    /// Adds the gradients of all batches, each cut into `pieces`.
    fn pass(&self, batches: &[TrainBatch], progress: &Progress, scale: f64) -> Result<Pass> {
        let pieces = progress.pieces;
        let mut losses = Vec::new();
        for (number, batch) in batches.iter().enumerate() {
            let size = batch.input.size()[0];
            let length = size.div_euclid(pieces as i64) + i64::from(size % pieces as i64 != 0);
            for first in (0..size).step_by(length as usize) {
                let count = length.min(size - first);
                let share = count as f64 / size as f64 / batches.len() as f64;
                let piece = batch.narrow(first, count);
                let state = &progress.state;
                let name = [state.epoch, state.step, number as u64, first as u64];
                let parameters = &progress.adam.parameters;
                let parts = self.gradients(&piece, share * scale, parameters, &name)?;
                losses.extend(parts.into_iter().map(|(part, loss)| (part * share, loss)));
            }
        }
        Pass::read(&losses, progress.adam.gradient() / scale)
    }

    /// Adds a batch's gradients times `factor`; gives each frame's share, loss and terms. `name`
    /// names the random draws of this batch. Of a sequence every frame counts the same; what goes back
    /// into the network carries no gradients, so that memory does not grow with its length.
    fn gradients(
        &self,
        batch: &TrainBatch,
        factor: f64,
        parameters: &[Tensor],
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
            let asked = || self.guide.as_ref().map(|g| g.guide(&input));
            let live = batch.guidance.is_none().then(asked).flatten();
            let guidance = batch.guidance.as_ref().or(live.as_ref());
            let truth = to_colour(&truth, self.colour);
            let input = joined(&to_colour(&input, self.colour), before.as_ref());
            let (loss, restored) =
                self.frame_gradients((&input, &truth), guidance, factor * share, parameters, name)?;
            losses.push((share, loss));
            before = (frames > 1).then(|| fed_back(&restored));
        }
        Ok(losses)
    }

    /// One frame's part of [`Trainer::gradients`]: loss and terms, and what was restored.
    fn frame_gradients(
        &self,
        (input, truth): (&Tensor, &Tensor),
        guidance: Option<&Guidance>,
        factor: f64,
        parameters: &[Tensor],
        name: &[u64],
    ) -> Result<(Tensor, Tensor)> {
        let kind = self.training.precision.kind();
        let output = (self.forward)(input, kind);
        let again = |x: &Tensor| (self.forward)(x, kind).restored;
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
            parameters,
        };
        let (total, terms) = self.loss.evaluate(&view)?;
        (&total * factor)
            .f_backward()
            .context("the backward pass failed")?;
        let all = Tensor::cat(&[total.detach().reshape([1]), terms], 0);
        Ok((all, output.restored))
    }
}

//! One optimiser update: forward and backward passes, loss scaling, clipping, moving average.

use anyhow::{Result, bail};
use tch::{Kind, Tensor};

use super::feed::TrainBatch;
use super::lesson::Lesson;
use super::memory;
use super::progress::Progress;
use super::trainer::Trainer;
use crate::recipe::TrainPrecision;

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
    /// Makes one update at this learning rate from all `batches`.
    pub(super) fn step(
        &self,
        rate: f64,
        progress: &mut Progress,
        batches: &[TrainBatch],
    ) -> Result<()> {
        let Pass {
            values,
            mut gradient,
            norm,
            finite,
        } = loop {
            progress.adam.zero_gradients();
            let scale = self.scale(progress);
            let pass = || self.pass(batches, progress, scale);
            match memory::guard(pass)? {
                Some(pass) => break pass,
                None => {
                    progress.state.pieces = self.halve(batches, progress.state.pieces)?;
                }
            }
        };
        self.loss.next_step();
        for (sum, value) in progress.state.sums.iter_mut().zip(&values) {
            *sum += value;
        }
        if values.iter().any(|v| !v.is_finite()) {
            return Err(self.loss_diverged(batches, progress));
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
        let length = batch.div_ceil(pieces);
        if length <= 1 {
            bail!(
                "the memory does not hold a single patch of this training: lower the stage's \
                 crop, choose training.precision = \"bf16\", or cache the teacher (hone teacher cache)"
            );
        }
        let pieces = (2 * pieces).min(batch);
        let shorter = batch.div_ceil(pieces);
        eprintln!(
            "note: the memory does not hold {length} patches: going on with pieces of {shorter}, the \
             gradients of {} of them make one update",
            batch.div_ceil(shorter)
        );
        Ok(pieces)
    }

    /// Adds the gradients of all batches, each cut into `pieces`.
    fn pass(&self, batches: &[TrainBatch], progress: &Progress, scale: f64) -> Result<Pass> {
        let (pieces, device) = (progress.state.pieces, self.network.device());
        let kind = self.training.precision.kind();
        let forward = |x: &Tensor| (self.forward)(x, kind);
        let lesson = Lesson {
            forward: &forward,
            guide: self.guide.as_ref(),
            loss: &self.loss,
            colour: self.colour,
            frames: self.frames,
            multiple: self.multiple,
            network: &self.network.trainable_variables(),
            scale,
        };
        let mut losses = Vec::new();
        for (number, batch) in batches.iter().enumerate() {
            let size = batch.input.size()[0];
            let length = (size as usize).div_ceil(pieces) as i64;
            for first in (0..size).step_by(length as usize) {
                let count = length.min(size - first);
                let share = count as f64 / size as f64 / batches.len() as f64;
                let piece = batch.narrow(first, count, device);
                let state = &progress.state;
                let name = [
                    self.seed,
                    state.epoch,
                    state.step,
                    number as u64,
                    first as u64,
                ];
                let parts = lesson.gradients(&piece, share * scale, &name)?;
                losses.extend(parts.into_iter().map(|(part, loss)| (part * share, loss)));
            }
        }
        Pass::read(&losses, progress.adam.gradient() / scale)
    }
}

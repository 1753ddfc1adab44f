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
        // A step that fails leaves nothing behind in what is saved.
        let failed = |progress: &mut Progress, before, error| {
            progress.state = before;
            self.loss.undo_step();
            Err(self.stopped(progress, error))
        };
        let before = progress.state.clone();
        let Pass {
            values,
            gradient,
            norm,
            finite,
        } = match self.passes(batches, progress) {
            Ok(pass) => pass,
            Err(error) => return failed(progress, before, error),
        };
        if values.iter().any(|v| !v.is_finite()) {
            return Err(self.loss_diverged(batches, progress));
        }
        let before = progress.state.clone();
        if self.sound(finite, progress)?
            && let Err(error) = self.update(rate, progress, gradient, &norm)
        {
            return failed(progress, before, error);
        }
        self.loss.next_step();
        for (sum, value) in progress.state.sums.iter_mut().zip(&values) {
            *sum += value;
        }
        Ok(())
    }

    /// The passes of an update, in as many pieces as the memory makes necessary.
    fn passes(&self, batches: &[TrainBatch], progress: &mut Progress) -> Result<Pass> {
        loop {
            progress.adam.zero_gradients();
            let scale = self.scale(progress);
            let pass = || self.pass(batches, progress, scale);
            if let Some(pass) = memory::guard(pass)? {
                return Ok(pass);
            }
            let batch = batches.first().map_or(0, |b| b.input.size()[0]) as usize;
            progress.state.pieces = memory::halve(batch, progress.state.pieces)?;
        }
    }

    /// Makes the update; where the memory does not hold it, everything is as it was.
    fn update(
        &self,
        rate: f64,
        progress: &mut Progress,
        mut gradient: Tensor,
        norm: &Tensor,
    ) -> Result<()> {
        memory::demand("an update of the weights", memory::ADVICE, || {
            if let Some(limit) = self.training.clip {
                gradient *= (limit / (norm + 1e-6)).clamp_max(1.0);
            }
            progress.adam.update(&gradient, rate);
            if let (Some(average), Some(decay)) = (&mut progress.average, self.training.ema) {
                let _ = tch::no_grad(|| average.lerp_(&progress.adam.master, 1.0 - decay));
            }
            Ok(())
        })
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
        let state = &progress.state;
        for (number, batch) in batches.iter().enumerate() {
            let name = [self.seed, state.epoch, state.step, number as u64];
            losses.extend(lesson.cut(batch, batches.len(), pieces, device, &name)?);
        }
        Pass::read(&losses, progress.adam.gradient() / scale)
    }
}

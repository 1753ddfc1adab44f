//! Trainings whose numbers leave the finite ones end, and nothing of them is kept.

use anyhow::{Error, Result, anyhow, ensure};
use tch::nn::VarStore;
use tch::{Kind, Tensor};

use super::feed::TrainBatch;
use super::memory::guard;
use super::progress::Progress;
use super::trainer::Trainer;
use super::validate::Validation;

impl Trainer {
    /// That `what` is not finite after so many steps of the epoch.
    pub(super) fn diverged(&self, what: &str, progress: &Progress, step: u64) -> Error {
        anyhow!(
            "{what} is no longer a finite number in epoch {}, step {step}: lower \
             optimizer.learning_rate or set training.clip; {}",
            progress.state.epoch + 1,
            self.last_good()
        )
    }

    /// That the loss of `batches` is not finite: the teacher's doing when its answer is not.
    pub(super) fn loss_diverged(&self, batches: &[TrainBatch], progress: &Progress) -> Error {
        let (epoch, step) = (progress.state.epoch + 1, progress.state.step + 1);
        // A GPU may have no room to ask the teacher again.
        match guard(|| Ok(self.check_guidance(batches).err())) {
            Ok(None | Some(None)) | Err(_) => self.diverged("the loss", progress, step),
            Ok(Some(Some(error))) => anyhow!(
                "in epoch {epoch}, step {step} {error:#}; {}",
                self.last_good()
            ),
        }
    }

    /// Refuses batches about which the teacher's answer is no number.
    fn check_guidance(&self, batches: &[TrainBatch]) -> Result<()> {
        for batch in batches {
            if let Some(guidance) = &batch.guidance {
                guidance.check()?;
                continue;
            }
            // One by one: the memory held a piece of the batch, maybe not all of it.
            for first in 0..batch.input.size()[0] {
                let patch = batch.narrow(first, 1, self.network.device()).input;
                for frame in patch.chunk(self.frames as i64, 1) {
                    self.guide
                        .iter()
                        .try_for_each(|g| g.guide(&frame).check())?;
                }
            }
        }
        Ok(())
    }

    /// Where to find weights from before.
    pub(super) fn last_good(&self) -> String {
        let folder = self.folder.path().display();
        if self.folder.best().exists() {
            format!("the last good weights are in {folder}")
        } else {
            format!("there are no good weights yet: remove {folder} and start again")
        }
    }

    /// Refuses a state that is not to be saved.
    pub(super) fn check_state(&self, progress: &Progress) -> Result<()> {
        if self.is_finite(progress) {
            return Ok(());
        }
        Err(self.diverged("a weight", progress, progress.state.step))
    }

    /// Refuses weights whose scores no later ones could be compared with.
    pub(super) fn check_scores(&self, found: &Validation, progress: &Progress) -> Result<()> {
        let scores = found.scores;
        let mut values = [scores.psnr, scores.ssim, found.residual]
            .into_iter()
            .chain(scores.sharp);
        if values.all(f64::is_finite) {
            return Ok(());
        }
        Err(self.diverged("a validation score", progress, progress.state.step))
    }

    /// Refuses a checkpoint of an earlier version that saved what had diverged.
    pub(super) fn check_loaded(&self, progress: &Progress) -> Result<()> {
        ensure!(
            self.is_finite(progress),
            "its training had diverged before it was saved: start again in another folder, with a \
             lower optimizer.learning_rate"
        );
        Ok(())
    }

    /// Whether every number of a checkpoint would be finite.
    fn is_finite(&self, progress: &Progress) -> bool {
        let adam = &progress.adam;
        let flat = [&adam.master, &adam.first, &adam.second];
        let stores = [&self.network, &self.adaptors].map(VarStore::variables);
        let variables = stores.iter().flat_map(|store| store.values());
        let all = flat.into_iter().chain(&progress.average).chain(variables);
        // One read for all of them, for each would wait for the device.
        let sums: Vec<Tensor> = tch::no_grad(|| all.map(|t| t.abs().sum(Kind::Double)).collect());
        let sum = Tensor::stack(&sums, 0).sum(Kind::Double);
        sum.double_value(&[]).is_finite()
    }
}

//! A training in progress: what a checkpoint holds, saved and loaded as one file.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tch::Tensor;

use super::checkpoint::Checkpoint;
use super::optimizer::Adam;
use super::state::{STATE_KEY, State};
use super::trainer::Trainer;
use crate::allocator::keep_freed_memory;

/// Everything that changes from step to step.
pub(super) struct Progress {
    pub state: State,
    pub adam: Adam,
    /// Moving average of the master weights.
    pub average: Option<Tensor>,
    started: Instant,
    seconds_before: f64,
}

impl Progress {
    /// Seconds of training over all sittings.
    pub fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }
}

impl Trainer {
    /// The start, or the last checkpoint when `resume`.
    pub(super) fn start(&self, resume: bool) -> Result<Progress> {
        let mut named: Vec<(String, Tensor)> = Vec::new();
        for (prefix, store) in [("network.", &self.network), ("adaptor.", &self.adaptors)] {
            let trainable = store
                .variables()
                .into_iter()
                .filter(|(_, t)| t.requires_grad());
            named.extend(trainable.map(|(name, t)| (format!("{prefix}{name}"), t)));
        }
        named.sort_by(|a, b| a.0.cmp(&b.0));
        ensure!(!named.is_empty(), "the network has nothing to train");
        let parameters = named.into_iter().map(|(_, tensor)| tensor).collect();
        keep_freed_memory();
        let adam = Adam::new(self.optimizer.clone(), parameters);
        let average = self.training.ema.map(|_| adam.master.copy());
        let mut progress = Progress {
            state: State::new(self.loss.names().len() + 1),
            adam,
            average,
            started: Instant::now(),
            seconds_before: 0.0,
        };
        if resume {
            let path = self.folder.last();
            self.load(&mut progress)
                .with_context(|| format!("cannot resume from {}", path.display()))?;
        }
        Ok(progress)
    }

    fn load(&self, progress: &mut Progress) -> Result<()> {
        let saved = Checkpoint::read(&self.folder.last())?;
        let text = saved
            .metadata
            .get(STATE_KEY)
            .context("it holds no training state")?;
        progress.state = State::from_text(text)?;
        progress.seconds_before = progress.state.seconds;
        saved.fill("network.", &self.network)?;
        saved.fill("adaptor.", &self.adaptors)?;
        let adam = &mut progress.adam;
        adam.updates = progress.state.updates;
        adam.master.f_copy_(saved.get("adam.master")?)?;
        adam.first.f_copy_(saved.get("adam.first")?)?;
        adam.second.f_copy_(saved.get("adam.second")?)?;
        if let Some(average) = &mut progress.average {
            average.f_copy_(saved.get("average")?)?;
        }
        adam.publish();
        self.check_loaded(progress)
    }

    /// Replaces the checkpoint, unless the training has diverged.
    pub(super) fn save(&self, progress: &Progress) -> Result<()> {
        self.check_state(progress)?;
        self.write(progress)
    }

    /// Replaces the checkpoint by a state that was looked at.
    pub(super) fn write(&self, progress: &Progress) -> Result<()> {
        let mut checkpoint = Checkpoint::default();
        checkpoint.add("network.", &self.network);
        checkpoint.add("adaptor.", &self.adaptors);
        let adam = &progress.adam;
        let flat = [
            ("master", &adam.master),
            ("first", &adam.first),
            ("second", &adam.second),
        ];
        for (name, tensor) in flat {
            checkpoint
                .tensors
                .insert(format!("adam.{name}"), tensor.shallow_clone());
        }
        if let Some(average) = &progress.average {
            checkpoint
                .tensors
                .insert("average".into(), average.shallow_clone());
        }
        let state = State {
            updates: adam.updates,
            seconds: progress.seconds(),
            ..progress.state.clone()
        };
        checkpoint
            .metadata
            .insert(STATE_KEY.into(), state.to_text()?);
        checkpoint.write(&self.folder.last())
    }
}

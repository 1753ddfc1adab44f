//! After each epoch: validation, the best weights, kept checkpoints, logs, sample grids, early
//! stopping.

use anyhow::Result;
use hone_shared::print::tell;

use super::log::{EpochLine, Log};
use super::memory;
use super::plan::Place;
use super::progress::Progress;
use super::samples;
use super::trainer::Trainer;
use super::validate::{Validation, validate};

/// A validation residual below this means that the network passes its input through.
const DEAD_RESIDUAL: f64 = 1e-5;
/// What to do where the memory does not hold what follows an epoch's steps.
const ADVICE: &str = "the epoch's steps are saved: free some memory and go on with --resume, if need be on another --device; \
                      a run of its own may have a lower data.validation_crop";

impl Trainer {
    /// Closes the epoch, whose steps came at this speed, and saves the state.
    pub(super) fn close_epoch(
        &self,
        place: &Place,
        progress: &mut Progress,
        speed: f64,
        log: &mut Log,
    ) -> Result<()> {
        if let Some(average) = &progress.average {
            progress.adam.show(average);
        }
        let number = progress.state.epoch + 1;
        let due = |every: Option<u64>| every.is_some_and(|n| number.is_multiple_of(n));
        let (found, grid) = memory::demand("the validation pictures", ADVICE, || {
            let found = validate(&self.validation, &self.restore);
            let grid = due(self.training.samples_every)
                .then(|| samples::grid(&self.samples, &self.restore));
            Ok((found, grid))
        })?;
        self.check_scores(&found, progress)?;
        let best = self.keep_weights(progress, &found)?;
        if let Some(grid) = &grid {
            grid.save(&self.folder.samples(number)?)?;
        }
        progress.adam.publish();
        // Of the last step, before the schedule looks at its scores.
        let rate = self.rate(place, progress, place.stage.steps.saturating_sub(1));
        let score = found.scores.by(self.training.best_by);
        self.schedule.watch(score, &mut progress.state.plateau);

        let count = place.stage.steps as f64;
        let means: Vec<f64> = progress.state.sums.iter().map(|s| s / count).collect();
        let names = self.loss.names();
        let line = EpochLine {
            epoch: number,
            step: place.step + place.stage.steps,
            learning_rate: rate,
            loss: means[0],
            terms: names.into_iter().zip(means[1..].iter().copied()).collect(),
            validation: found.scores,
            residual: found.residual,
            images_per_second: speed,
            seconds: progress.seconds(),
            best,
        };
        report(&line, self.plan.epochs());
        warn_when_dead(&found);
        log.append(line, grid.as_ref())?;
        self.advance(progress);
        self.save(progress)
    }

    /// Keeps the weights if they are the best so far, or due; says whether they are the best.
    fn keep_weights(&self, progress: &mut Progress, found: &Validation) -> Result<bool> {
        let state = &mut progress.state;
        let number = state.epoch + 1;
        let score = found.scores.by(self.training.best_by);
        let best = state
            .best
            .is_none_or(|(_, old)| score > old.by(self.training.best_by));
        if best {
            state.best = Some((number, found.scores));
            state.since_best = 0;
            let path = self.folder.best();
            self.folder
                .save_weights(&path, &self.network, number, found.scores)?;
        } else {
            state.since_best += 1;
        }
        let every = self.training.checkpoint_every;
        if every.is_some_and(|n| number.is_multiple_of(n)) {
            let path = self.folder.kept(number);
            self.folder
                .save_weights(&path, &self.network, number, found.scores)?;
        }
        Ok(best)
    }

    /// Moves on to the next epoch, or ends the training.
    fn advance(&self, progress: &mut Progress) {
        let state = &mut progress.state;
        state.epoch += 1;
        state.step = 0;
        state.sums.fill(0.0);
        let patience = self.training.early_stopping;
        if patience.is_some_and(|n| state.since_best >= n) {
            tell(format_args!(
                "   no progress for {} epochs: stopping early",
                state.since_best
            ));
            state.finished = true;
        }
        if state.epoch == self.plan.epochs() {
            state.finished = true;
        }
    }
}

fn report(line: &EpochLine, epochs: u64) {
    let terms: Vec<String> = line
        .terms
        .iter()
        .map(|(n, v)| format!("{n} {v:.5}"))
        .collect();
    tell(format_args!(
        "   epoch {:>3}/{epochs}: loss {:.5} ({}), {}, {:.0} images/s{}",
        line.epoch,
        line.loss,
        terms.join(", "),
        line.validation,
        line.images_per_second,
        if line.best { ", best" } else { "" }
    ));
}

fn warn_when_dead(found: &Validation) {
    if found.residual < DEAD_RESIDUAL {
        tell(format_args!(
            "warning: the residual stays zero (mean {:.1e}): the network passes its input through; \
             lower optimizer.learning_rate, add warm-up, or use branches = true",
            found.residual
        ));
    }
}

//! The training loop, the same for students and teachers.

use std::time::{Duration, Instant};

use anyhow::Result;
use hone_shared::print::tell;
use hone_shared::student::Colour;
use indicatif::ProgressBar;
use serde::Serialize;
use tch::nn::VarStore;
use tch::{Kind, Tensor};

use super::feed::{Feed, FeedSource, TrainBatch};
use super::guide::Guide;
use super::interrupt::Interrupt;
use super::log::Log;
use super::memory;
use super::optimizer::OptimizerConfig;
use super::plan::{Place, Plan};
use super::plots;
use super::progress::Progress;
use super::run::RunFolder;
use super::samples::Sample;
use super::schedule::ScheduleConfig;
use super::state::Scores;
use super::validate::{ValidationPair, validate};
use crate::cli::progress;
use crate::loss::Loss;
use crate::recipe::TrainingConfig;
use crate::student::StudentOutput;

/// How often a training saves its state within an epoch.
pub const SAVE_EVERY: Duration = Duration::from_secs(600);

/// A training forward pass, for students and teachers alike: an f32 batch, and what to compute in.
pub type Forward = Box<dyn Fn(&Tensor, Kind) -> StudentOutput>;

/// Everything that a training consists of.
pub struct Trainer {
    /// The network's forward pass.
    pub forward: Forward,
    /// Restores a validation picture of any size.
    pub restore: Box<dyn Fn(&ValidationPair) -> Tensor>,
    /// The network's variables.
    pub network: VarStore,
    /// Variables of learned adaptors of the loss.
    pub adaptors: VarStore,
    /// The frozen teacher.
    pub guide: Option<Guide>,
    /// Sides of the network's input must be a multiple of this, a power of two.
    pub multiple: i64,
    /// Consecutive frames of a patch; what the network makes of one goes into it with the next.
    pub frames: usize,
    /// The recipe's seed.
    pub seed: u64,
    /// Planes of the network.
    pub colour: Colour,
    /// The loss.
    pub loss: Loss,
    /// Update rule.
    pub optimizer: OptimizerConfig,
    /// Learning rate over time.
    pub schedule: ScheduleConfig,
    /// Stages.
    pub plan: Plan,
    /// Further settings.
    pub training: TrainingConfig,
    /// Batches.
    pub feeds: Box<dyn FeedSource>,
    /// Validation pictures in the network's colour.
    pub validation: Vec<ValidationPair>,
    /// What sample grids show.
    pub samples: Vec<Sample>,
    /// Where everything goes.
    pub folder: RunFolder,
    /// How often the state is saved within an epoch.
    pub save_every: Duration,
    /// Ctrl-C.
    pub interrupt: Interrupt,
}

/// How a training ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Best epoch, from 1, and its scores.
    pub best: Option<(u64, Scores)>,
    /// Scores of the untouched input.
    pub input: Scores,
    /// Epochs done.
    pub epochs: u64,
    /// Whether a signal stopped it before the end; `--resume` goes on.
    pub interrupted: bool,
    /// Seconds of training over all sittings.
    pub seconds: f64,
}

impl Trainer {
    /// Trains to the end, from the last checkpoint when `resume`.
    ///
    /// # Errors
    /// When data cannot be read, files cannot be written, or the training leaves the finite numbers.
    pub fn run(&self, resume: bool) -> Result<Outcome> {
        let mut progress = self.start(resume)?;
        let mut log = Log::open(&self.folder, progress.state.epoch)?;
        let input = validate(&self.validation, &|pair| pair.input.shallow_clone()).scores;
        tell(format_args!("   untouched input: {input}"));
        let mut feed: Option<(usize, Box<dyn Feed>)> = None;
        while !progress.state.finished {
            let epoch = progress.state.epoch;
            let Some(place) = self.plan.place(epoch) else {
                progress.state.finished = true;
                break;
            };
            let batches = match feed.take() {
                Some((index, open)) if index == place.index => open,
                _ => {
                    let done = place.stage_step + progress.state.step;
                    let first = done * self.training.accumulate;
                    self.feeds.open(place.index, place.stage, first)?
                }
            };
            let (_, batches) = feed.insert((place.index, batches));
            if !self.epoch(&place, &mut progress, batches.as_mut(), &mut log)? {
                return Ok(self.outcome(&progress, input, true));
            }
        }
        self.save(&progress)?;
        plots::write(&self.folder.curves(), log.lines())?;
        Ok(self.outcome(&progress, input, false))
    }

    fn outcome(&self, progress: &Progress, input: Scores, interrupted: bool) -> Outcome {
        Outcome {
            best: progress.state.best,
            input,
            epochs: progress.state.epoch,
            interrupted,
            seconds: progress.seconds(),
        }
    }

    /// One epoch; false when a signal stopped it, its state saved.
    fn epoch(
        &self,
        place: &Place,
        progress: &mut Progress,
        feed: &mut dyn Feed,
        log: &mut Log,
    ) -> Result<bool> {
        let epochs = self.plan.epochs();
        let label = format!("epoch {}/{epochs}", progress.state.epoch + 1);
        let bar = progress::bar(place.stage.steps, &label);
        bar.set_position(progress.state.step);
        let (begin, first) = (Instant::now(), progress.state.step);
        let mut saved = begin;
        while progress.state.step < place.stage.steps {
            if self.interrupt.is_set() {
                bar.abandon();
                self.save(progress)?;
                return Ok(false);
            }
            if let Err(error) = self.next_step(place, progress, feed) {
                bar.abandon();
                return Err(error);
            }
            progress.state.step += 1;
            self.show(&bar, progress);
            if saved.elapsed() >= self.save_every {
                self.save_meanwhile(progress)?;
                saved = Instant::now();
            }
        }
        bar.finish_and_clear();
        let steps = progress.state.step - first;
        let patches = (steps * place.stage.batch as u64 * self.training.accumulate) as f64;
        let speed = patches / begin.elapsed().as_secs_f64().max(1e-9);
        if steps > 0 {
            // Before what may take long, or fail: from here the epoch is only to be closed.
            self.save(progress)?;
        }
        if self.interrupt.is_set() {
            return Ok(false);
        }
        self.close_epoch(place, progress, speed, log)?;
        Ok(true)
    }

    /// One update.
    fn next_step(&self, place: &Place, progress: &mut Progress, feed: &mut dyn Feed) -> Result<()> {
        let rate = self.rate(place, progress, progress.state.step);
        match self.draw(feed) {
            Ok(batches) => self.step(rate, progress, &batches),
            Err(error) => Err(self.stopped(progress, error)),
        }
    }

    /// Saves the steps so far. A disk that has no room just now costs none of them.
    fn save_meanwhile(&self, progress: &Progress) -> Result<()> {
        self.check_state(progress)?;
        if let Err(error) = self.write(progress) {
            tell(format_args!(
                "warning: the state is not saved, the training goes on: {error:#}"
            ));
        }
        Ok(())
    }

    /// The batches of one update.
    fn draw(&self, feed: &mut dyn Feed) -> Result<Vec<TrainBatch>> {
        (0..self.training.accumulate).map(|_| feed.next()).collect()
    }

    /// Saves the steps since the last checkpoint, for data or memory may be back at `--resume`; gives the error to end with.
    pub(super) fn stopped(&self, progress: &Progress, error: anyhow::Error) -> anyhow::Error {
        let state = &progress.state;
        if state.step == 0 {
            return error;
        }
        let place = format!("stopped in epoch {}, step {}", state.epoch + 1, state.step);
        match memory::demand("the state", "--resume has the one before", || {
            self.save(progress)
        }) {
            Ok(()) => error.context(format!("{place}; the state is saved, --resume goes on")),
            Err(unsaved) => error.context(format!("{place}, not saved: {unsaved:#}")),
        }
    }

    /// The learning rate of this step of the epoch.
    pub(super) fn rate(&self, place: &Place, progress: &Progress, step: u64) -> f64 {
        let total = self.plan.steps();
        let state = &progress.state;
        let factor = self
            .schedule
            .factor(place.step + step, total, state.epoch, &state.plateau);
        self.optimizer.learning_rate * factor
    }

    fn show(&self, bar: &ProgressBar, progress: &Progress) {
        let total = progress.state.sums.first().copied().unwrap_or(0.0);
        bar.inc(1);
        bar.set_message(format!("loss {:.5}", total / progress.state.step as f64));
    }
}

//! The training loop, the same for students and teachers.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use hone_shared::student::Colour;
use indicatif::ProgressBar;
use serde::Serialize;
use tch::nn::VarStore;
use tch::{Kind, Tensor};

use super::checkpoint::Checkpoint;
use super::feed::{Feed, FeedSource, TrainBatch};
use super::guide::{Guide, to_colour};
use super::interrupt::Interrupt;
use super::log::{EpochLine, Log};
use super::optimizer::{Adam, OptimizerConfig};
use super::plan::{Place, Plan};
use super::run::RunFolder;
use super::schedule::ScheduleConfig;
use super::state::{STATE_KEY, Scores, State};
use super::validate::{Validation, ValidationPair, validate};
use crate::cli::progress;
use crate::loss::{Loss, View};
use crate::recipe::TrainingConfig;
use crate::student::StudentOutput;

/// A validation residual below this means that the network passes its input through.
const DEAD_RESIDUAL: f64 = 1e-5;

/// What a forward pass is, for students and teachers alike.
pub type Forward = Box<dyn Fn(&Tensor, bool) -> StudentOutput>;

/// Everything that a training consists of.
pub struct Trainer {
    /// The network's forward pass; the flag says whether it trains.
    pub forward: Forward,
    /// Restores a picture of any size.
    pub restore: Box<dyn Fn(&Tensor) -> Tensor>,
    /// The network's variables.
    pub network: VarStore,
    /// Variables of learned adaptors of the loss.
    pub adaptors: VarStore,
    /// The frozen teacher.
    pub guide: Option<Guide>,
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
    /// Where everything goes.
    pub folder: RunFolder,
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

struct Progress {
    state: State,
    adam: Adam,
    average: Option<Tensor>,
    started: Instant,
    seconds_before: f64,
}

impl Progress {
    fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }
}

impl Trainer {
    /// Trains to the end, from the last checkpoint when `resume`.
    ///
    /// # Errors
    /// When data cannot be read, files cannot be written, or the loss leaves the finite numbers.
    pub fn run(&self, resume: bool) -> Result<Outcome> {
        let mut progress = self.start(resume)?;
        let log = Log::open(&self.folder.log(), progress.state.epoch)?;
        let input = validate(&self.validation, &Tensor::shallow_clone).scores;
        eprintln!(
            "   untouched input: PSNR {:.2} dB, SSIM {:.4}",
            input.psnr, input.ssim
        );
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
            if !self.epoch(&place, &mut progress, batches.as_mut(), &log)? {
                return Ok(self.outcome(&progress, input, true));
            }
        }
        self.save(&progress)?;
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

    fn start(&self, resume: bool) -> Result<Progress> {
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
        Ok(())
    }

    fn save(&self, progress: &Progress) -> Result<()> {
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

    /// One epoch; false when a signal stopped it, its state saved.
    fn epoch(
        &self,
        place: &Place,
        progress: &mut Progress,
        feed: &mut dyn Feed,
        log: &Log,
    ) -> Result<bool> {
        let epochs = self.plan.epochs();
        let label = format!("epoch {}/{epochs}", progress.state.epoch + 1);
        let bar = progress::bar(place.stage.steps, &label);
        bar.set_position(progress.state.step);
        let (begin, first) = (Instant::now(), progress.state.step);
        let mut rate = 0.0;
        while progress.state.step < place.stage.steps {
            if self.interrupt.is_set() {
                bar.abandon();
                self.save(progress)?;
                return Ok(false);
            }
            rate = self.rate(place, progress);
            self.step(rate, progress, feed)?;
            progress.state.step += 1;
            self.show(&bar, progress);
        }
        bar.finish_and_clear();
        let patches = (progress.state.step - first) * place.stage.batch as u64;
        let patches = (patches * self.training.accumulate) as f64;
        let speed = patches / begin.elapsed().as_secs_f64().max(1e-9);
        self.close_epoch(place, progress, rate, speed, log)?;
        Ok(true)
    }

    fn rate(&self, place: &Place, progress: &Progress) -> f64 {
        let (step, total) = (place.step + progress.state.step, self.plan.steps());
        let state = &progress.state;
        let factor = self
            .schedule
            .factor(step, total, state.epoch, &state.plateau);
        self.optimizer.learning_rate * factor
    }

    fn show(&self, bar: &ProgressBar, progress: &Progress) {
        let total = progress.state.sums.first().copied().unwrap_or(0.0);
        bar.inc(1);
        bar.set_message(format!("loss {:.5}", total / progress.state.step as f64));
    }

    fn step(&self, rate: f64, progress: &mut Progress, feed: &mut dyn Feed) -> Result<()> {
        let accumulate = self.training.accumulate;
        progress.adam.zero_gradients();
        for _ in 0..accumulate {
            let values = self.gradients(&feed.next()?, accumulate)?;
            for (sum, value) in progress.state.sums.iter_mut().zip(&values) {
                *sum += value / accumulate as f64;
            }
            if values.iter().any(|v| !v.is_finite()) {
                bail!(
                    "the loss is no longer a finite number in epoch {}, step {}: lower \
                     optimizer.learning_rate or set training.clip; the last good weights are in {}",
                    progress.state.epoch + 1,
                    progress.state.step + 1,
                    self.folder.path().display()
                );
            }
        }
        let mut gradient = progress.adam.gradient();
        if let Some(limit) = self.training.clip {
            let norm = gradient.square().sum(Kind::Float).sqrt();
            gradient *= (limit / (norm + 1e-6)).clamp_max(1.0);
        }
        progress.adam.update(&gradient, rate);
        if let (Some(average), Some(decay)) = (&mut progress.average, self.training.ema) {
            let _ = tch::no_grad(|| average.lerp_(&progress.adam.master, 1.0 - decay));
        }
        Ok(())
    }

    /// Adds a batch's gradients; gives the loss and its terms.
    fn gradients(&self, batch: &TrainBatch, accumulate: u64) -> Result<Vec<f64>> {
        let asked = || self.guide.as_ref().map(|g| g.guide(&batch.input));
        let live = batch.guidance.is_none().then(asked).flatten();
        let guidance = batch.guidance.as_ref().or(live.as_ref());
        let input = to_colour(&batch.input, self.colour);
        let truth = to_colour(&batch.truth, self.colour);
        let output = (self.forward)(&input, true);
        let restored = output.restored.to_kind(Kind::Float);
        let view = View {
            restored: &restored,
            truth: &truth,
            teacher: guidance.map(|g| &g.output),
            student_features: &output.features,
            teacher_features: guidance.map_or(&[], |g| &g.features),
        };
        let (total, terms) = self.loss.evaluate(&view)?;
        (&total / accumulate as f64)
            .f_backward()
            .context("the backward pass failed")?;
        let all = Tensor::cat(&[total.detach().reshape([1]), terms], 0);
        Ok(Vec::try_from(
            all.to_kind(Kind::Double).to_device(tch::Device::Cpu),
        )?)
    }

    fn close_epoch(
        &self,
        place: &Place,
        progress: &mut Progress,
        rate: f64,
        speed: f64,
        log: &Log,
    ) -> Result<()> {
        if let Some(average) = &progress.average {
            progress.adam.show(average);
        }
        let found = validate(&self.validation, &self.restore);
        let state = &mut progress.state;
        let number = state.epoch + 1;
        let score = found.scores.by(self.training.best_by);
        let best = state
            .best
            .is_none_or(|(_, old)| score > old.by(self.training.best_by));
        if best {
            state.best = Some((number, found.scores));
            state.since_best = 0;
            self.folder
                .save_weights(&self.folder.best(), &self.network, number, found.scores)?;
        } else {
            state.since_best += 1;
        }
        if self
            .training
            .checkpoint_every
            .is_some_and(|n| number.is_multiple_of(n))
        {
            let path = self.folder.kept(number);
            self.folder
                .save_weights(&path, &self.network, number, found.scores)?;
        }
        progress.adam.publish();
        self.schedule.watch(score, &mut state.plateau);

        let count = place.stage.steps as f64;
        let means: Vec<f64> = state.sums.iter().map(|s| s / count).collect();
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
            seconds: progress.seconds_before + progress.started.elapsed().as_secs_f64(),
            best,
        };
        report(&line, self.plan.epochs());
        warn_when_dead(&found);
        log.append(&line)?;
        let state = &mut progress.state;
        state.epoch = number;
        state.step = 0;
        state.sums.fill(0.0);
        if self
            .training
            .early_stopping
            .is_some_and(|n| state.since_best >= n)
        {
            eprintln!(
                "   no progress for {} epochs: stopping early",
                state.since_best
            );
            state.finished = true;
        }
        if number == self.plan.epochs() {
            state.finished = true;
        }
        self.save(progress)
    }
}

fn report(line: &EpochLine, epochs: u64) {
    let terms: Vec<String> = line
        .terms
        .iter()
        .map(|(n, v)| format!("{n} {v:.5}"))
        .collect();
    eprintln!(
        "   epoch {:>3}/{epochs}: loss {:.5} ({}), PSNR {:.2} dB, SSIM {:.4}, {:.0} images/s{}",
        line.epoch,
        line.loss,
        terms.join(", "),
        line.validation.psnr,
        line.validation.ssim,
        line.images_per_second,
        if line.best { ", best" } else { "" }
    );
}

fn warn_when_dead(found: &Validation) {
    if found.residual < DEAD_RESIDUAL {
        eprintln!(
            "warning: the residual stays zero (mean {:.1e}): the network passes its input through; \
             lower optimizer.learning_rate, add warm-up, or use branches = true",
            found.residual
        );
    }
}

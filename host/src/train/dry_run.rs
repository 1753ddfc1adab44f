//! `hone distill --dry-run`: the resolved plan, with time and memory measured on real steps.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use tch::{Device, Kind, Tensor};

use super::cached::{cache_folder, open_pool};
use super::distill::{DistillOptions, prepare};
use super::feed::{TrainBatch, validation_pairs};
use super::guide::{Guidance, Guide, to_colour};
use super::memory;
use super::plan::Plan;
use super::run::RunFolder;
use super::start;
use super::teacher_source::check_instead;
use super::trial::Trial;
use crate::data;
use crate::data::pool::{MapShape, Pool};
use crate::recipe::Recipe;
use crate::teacher::memory::peak_bytes;

/// How long steps are measured.
const MEASURE: Duration = Duration::from_secs(1);
/// Most steps measured.
const MOST_STEPS: usize = 50;

/// What a distillation would be.
#[derive(Debug, Clone, Serialize)]
pub struct DryRun {
    /// The student's name.
    pub name: String,
    /// Learned values of the student while it trains.
    pub parameters: usize,
    /// Multiply-accumulates for each full-resolution pixel once folded.
    pub macs_per_pixel: Option<f64>,
    /// The teacher's architecture.
    pub teacher: Option<String>,
    /// Terms of the loss and their weights.
    pub losses: Vec<(String, f64)>,
    /// Each stage: epochs, steps, batch, crop, seconds for a step.
    pub stages: Vec<DryStage>,
    /// Optimiser updates.
    pub steps: u64,
    /// Estimated seconds, validation left out.
    pub seconds: f64,
    /// Largest memory of this process while measuring, in MiB (the host's side).
    pub peak_mib: Option<u64>,
}

/// One stage of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct DryStage {
    /// Epochs.
    pub epochs: u64,
    /// Updates in an epoch.
    pub steps: u64,
    /// Patches in a batch.
    pub batch: usize,
    /// Side of a patch.
    pub crop: usize,
    /// Seconds for one update, the median on random patches.
    pub seconds_per_step: f64,
}

/// Builds everything and opens the data as the training would, runs steps of each stage on random patches for about a second
/// and takes the median time.
///
/// # Errors
/// As opening the data, building student, teacher and loss, and reading what the student starts from; when another run lies
/// in `options.out`.
pub fn measure(options: &DistillOptions) -> Result<DryRun> {
    memory::demand("this training", memory::ADVICE, || try_out(options))
}

fn try_out(options: &DistillOptions) -> Result<DryRun> {
    let (text, device) = (&options.text, options.device);
    let (teacher, cache) = (options.teacher.as_deref(), options.cache.as_deref());
    let recipe = Recipe::from_text(text)?;
    check_instead(&recipe, teacher)?;
    let named = !options.out.as_os_str().is_empty();
    if named && !options.resume {
        RunFolder::check_free(&options.out, text)?;
    }
    let source = data::open_new(&recipe.data, &text.base, options.resume)?;
    let pool = match cache_folder(&recipe, text, cache) {
        Some(folder) => Some(open_pool(&folder, &recipe, source.as_ref())?),
        None => None,
    };
    let parts = prepare(&recipe, text, teacher, pool.as_deref(), device)?;
    start::fill(
        &parts.network,
        parts.student.as_ref(),
        options.from.as_deref(),
    )?;
    let frames = recipe.student.unrolled();
    validation_pairs(source.as_ref(), recipe.colour, frames, device)?;
    let batch_colour = parts
        .guide
        .as_ref()
        .map_or(recipe.colour, Guide::batch_colour);
    let guided = parts.teacher.is_some();
    let mut trial = Trial::new(&recipe, parts);
    let mut step = |batch: i64, crop: i64| -> Result<f64> {
        let planes = frames * batch_colour.channels();
        // Where a feed has them.
        let place = (Kind::Float, Device::Cpu);
        let patches = Tensor::f_rand([batch, planes as i64, crop, crop], place)?;
        let guidance = match &pool {
            Some(pool) if guided => {
                let input = to_colour(&patches, recipe.colour);
                Some(cached_guidance(pool, &input, crop as usize)?)
            }
            _ => None,
        };
        let batch = TrainBatch {
            input: patches.shallow_clone(),
            truth: patches,
            guidance,
        };
        Ok(trial.step(&batch)? * recipe.training.accumulate as f64)
    };
    let mut stages = Vec::new();
    for stage in &recipe.stages {
        let (batch, crop) = (stage.batch as i64, stage.crop as i64);
        step(batch, crop)?;
        let begin = Instant::now();
        let mut times = vec![step(batch, crop)?];
        while begin.elapsed() < MEASURE && times.len() < MOST_STEPS {
            times.push(step(batch, crop)?);
        }
        times.sort_by(f64::total_cmp);
        stages.push(DryStage {
            epochs: stage.epochs,
            steps: stage.steps,
            batch: stage.batch,
            crop: stage.crop,
            seconds_per_step: times[times.len() / 2],
        });
    }
    let parts = trial.into_parts();
    let names = parts.loss.names();
    let weights = recipe.losses.iter().map(|l| l.weight());
    let updates = |s: &DryStage| s.epochs as f64 * s.steps as f64;
    Ok(DryRun {
        name: recipe.name.clone(),
        parameters: parts
            .network
            .trainable_variables()
            .iter()
            .map(Tensor::numel)
            .sum(),
        macs_per_pixel: parts.student.macs_per_pixel().ok(),
        teacher: parts.teacher.map(|t| t.architecture),
        losses: names.into_iter().zip(weights).collect(),
        steps: Plan::new(&recipe.stages).steps(),
        seconds: stages.iter().map(|s| updates(s) * s.seconds_per_step).sum(),
        stages,
        peak_mib: peak_bytes().map(|bytes| bytes as u64 >> 20),
    })
}

/// What a cache would say, in shape.
fn cached_guidance(pool: &Pool, input: &Tensor, crop: usize) -> Result<Guidance> {
    let batch = input.size()[0];
    let map = |shape: &MapShape| {
        let (channels, side) = (shape.channels as i64, shape.side as i64);
        let size = [batch, channels, side, side];
        (
            shape.name.clone(),
            Tensor::rand(size, (Kind::Float, input.device())),
        )
    };
    Ok(Guidance {
        output: input.shallow_clone(),
        features: pool.maps(crop)?.iter().map(map).collect(),
    })
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let macs = self
            .macs_per_pixel
            .map_or("-".into(), |m| format!("{m:.0}"));
        writeln!(
            f,
            "student  {}: {} parameters, {macs} MAC/pixel",
            self.name, self.parameters
        )?;
        writeln!(f, "teacher  {}", self.teacher.as_deref().unwrap_or("none"))?;
        for (name, weight) in &self.losses {
            writeln!(f, "loss     {weight} x {name}")?;
        }
        for (i, s) in self.stages.iter().enumerate() {
            writeln!(
                f,
                "stage {i}  {} epochs of {} steps, batch {}, crop {}: {:.0} ms a step",
                s.epochs,
                s.steps,
                s.batch,
                s.crop,
                s.seconds_per_step * 1e3
            )?;
        }
        let memory = self
            .peak_mib
            .map_or("unknown".into(), |m| format!("{m} MiB"));
        write!(
            f,
            "total    {} steps, about {:.1} minutes, host memory {memory}",
            self.steps,
            self.seconds / 60.0
        )
    }
}

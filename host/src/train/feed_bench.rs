//! `hone data bench`: how fast batches come, and how long a training waits for them.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use tch::Device;

use super::cached::{cache_folder, open_pool};
use super::distill::{feed_source, prepare};
use super::guide::Guide;
use super::memory;
use super::trial::Trial;
use crate::data;
use crate::recipe::{Recipe, RecipeText};

/// Fewest batches of a measurement.
const FEWEST: u64 = 8;

/// What to measure.
#[derive(Debug, Clone)]
pub struct FeedBenchOptions {
    /// The recipe, overrides applied.
    pub text: RecipeText,
    /// Takes the place of the recipe's `teacher.from`.
    pub teacher: Option<PathBuf>,
    /// A folder of `hone teacher cache`.
    pub cache: Option<PathBuf>,
    /// Where the training computes.
    pub device: Device,
    /// How long each of the measurements takes.
    pub span: Duration,
    /// Measure the training steps too.
    pub training: bool,
}

/// How the recipe's first stage is fed.
#[derive(Debug, Clone, Serialize)]
pub struct FeedBench {
    /// What is read.
    pub data: String,
    /// Patches in a batch.
    pub batch: usize,
    /// Side of a patch.
    pub crop: usize,
    /// Threads that prepare batches.
    pub workers: usize,
    /// Patches a second while every picture is decoded for the first time, starting up included.
    pub cold_patches_per_second: f64,
    /// Patches a second after that.
    pub patches_per_second: f64,
    /// With the recipe's student.
    pub training: Option<Fed>,
}

/// A training and its feed on the same processors.
#[derive(Debug, Clone, Serialize)]
pub struct Fed {
    /// Steps measured.
    pub steps: u64,
    /// Seconds of a step with a batch at hand, nothing else running.
    pub seconds_alone: f64,
    /// Seconds from one step to the next, while batches are prepared.
    pub seconds_fed: f64,
    /// Part of that time spent waiting for batches, 0..1.
    pub waiting: f64,
}

/// Measures the recipe's first stage.
///
/// # Errors
/// When the recipe, its data, its teacher or its cache does not serve.
pub fn measure(options: &FeedBenchOptions) -> Result<FeedBench> {
    memory::demand("this training", memory::ADVICE, || try_out(options))
}

fn try_out(options: &FeedBenchOptions) -> Result<FeedBench> {
    let recipe = Recipe::from_text(&options.text)?;
    let stage = recipe.stages.first().context("the recipe has no stage")?;
    let source = data::open(&recipe.data, &options.text.base)?;
    let cache = cache_folder(&recipe, &options.text, options.cache.as_deref());
    let pool = match &cache {
        Some(folder) => Some(open_pool(folder, &recipe, source.as_ref())?),
        None => None,
    };
    let patches = match &pool {
        Some(pool) => pool.manifest().count,
        None => source.pictures(),
    };
    let described = match &cache {
        Some(folder) => format!("{patches} patches in {}", folder.display()),
        None => source.describe(),
    };
    let (teacher, device) = (options.teacher.as_deref(), options.device);
    let parts = match options.training {
        true => Some(prepare(
            &recipe,
            &options.text,
            teacher,
            pool.as_deref(),
            device,
        )?),
        false => None,
    };
    let guide = parts.as_ref().and_then(|p| p.guide.as_ref());
    let colour = guide.map_or(recipe.colour, Guide::batch_colour);
    let feeds = feed_source(&recipe, source, pool, colour);
    let begin = Instant::now();
    let mut feed = feeds.open(0, stage, 0)?;
    // Once round everything: what fits is decoded and stays.
    let first = (patches as u64).div_ceil(stage.batch as u64);
    for _ in 0..first {
        feed.next()?;
    }
    let per_second = |batches: u64, begin: Instant| {
        (batches * stage.batch as u64) as f64 / begin.elapsed().as_secs_f64()
    };
    let cold = per_second(first, begin);
    let (begin, mut batches) = (Instant::now(), 0);
    while batches < FEWEST || begin.elapsed() < options.span {
        feed.next()?;
        batches += 1;
    }
    let warm = per_second(batches, begin);
    let training = match parts {
        None => None,
        Some(parts) => {
            let mut trial = Trial::new(&recipe, parts);
            // Stops the workers, which would take turns with the step.
            drop(feed);
            let mut feed = feeds.open(0, stage, 0)?;
            let held = feed.next()?;
            drop(feed);
            let (begin, mut alone) = (Instant::now(), Vec::new());
            while (alone.len() as u64) < FEWEST || begin.elapsed() < options.span / 2 {
                alone.push(trial.step(&held)?);
            }
            alone.sort_by(f64::total_cmp);
            let mut feed = feeds.open(0, stage, 0)?;
            let (begin, mut steps, mut waited) = (Instant::now(), 0, Duration::ZERO);
            while steps < FEWEST || begin.elapsed() < options.span {
                let asked = Instant::now();
                let batch = feed.next()?;
                waited += asked.elapsed();
                trial.step(&batch)?;
                steps += 1;
            }
            let whole = begin.elapsed().as_secs_f64();
            Some(Fed {
                steps,
                seconds_alone: alone[alone.len() / 2],
                seconds_fed: whole / steps as f64,
                waiting: waited.as_secs_f64() / whole,
            })
        }
    };
    Ok(FeedBench {
        data: described,
        batch: stage.batch,
        crop: stage.crop,
        workers: recipe.training.workers,
        cold_patches_per_second: cold,
        patches_per_second: warm,
        training,
    })
}

impl fmt::Display for FeedBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            data,
            batch,
            crop,
            workers,
            ..
        } = self;
        writeln!(f, "data      {data}")?;
        write!(
            f,
            "loader    {:.0} patches a second ({:.0} the first time round), {batch} of {crop}x{crop} a batch, {workers} workers",
            self.patches_per_second, self.cold_patches_per_second
        )?;
        if let Some(fed) = &self.training {
            write!(
                f,
                "\ntraining  {:.1} ms a step, {:.1} ms when fed; waits for batches {:.1} % of its time",
                fed.seconds_alone * 1e3,
                fed.seconds_fed * 1e3,
                fed.waiting * 100.0
            )?;
        }
        Ok(())
    }
}

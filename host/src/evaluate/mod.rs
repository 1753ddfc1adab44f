//! How good restorers are on pairs of degraded and sharp pictures, what they cost, and whether the
//! board put out what the workstation predicts.
//!
//! Everything is compared on the student's own planes, rounded to bytes as a screen shows them: RGB,
//! or full-range luma for students that leave chroma alone.

pub mod bicubic;
pub mod figure;
pub mod figures;
mod font;
pub mod harm;
pub mod honed;
pub mod labels;
pub mod output;
pub mod pairs;
pub mod speed;
pub mod summary;
mod table;
pub mod unsharp;

use std::time::Instant;

use anyhow::Context;
use hone_shared::student::Colour;

use crate::metric::{Metric, MetricSet, Scores, Summary, Temporal, TemporalMeter, ssim_gaussian};
use crate::picture::Picture;
use crate::restore::Restore;
pub use pairs::{Camera, Pair, PairSet, Take};
pub use speed::Speed;

/// What a row stands for, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The degraded pictures as they are, which gains refer to.
    Input,
    /// Something simple to be better than.
    Baseline,
    /// What retention refers to.
    Teacher,
    /// What is evaluated.
    Student,
    /// What the board put out.
    Honed,
}

/// A restorer and what it stands for.
pub struct Method {
    /// What its row stands for.
    pub role: Role,
    /// What restores.
    pub restorer: Box<dyn Restore>,
}

impl Method {
    /// Takes a restorer.
    pub fn new(role: Role, restorer: impl Restore + 'static) -> Self {
        Self {
            role,
            restorer: Box::new(restorer),
        }
    }
}

/// One restorer's results over all pairs.
#[derive(Debug, Clone)]
pub struct Row {
    /// What it stands for.
    pub role: Role,
    /// What the tables call it.
    pub name: String,
    /// Results of each pair, in order.
    pub results: Vec<PairResult>,
    /// Multiply-accumulates per pixel.
    pub macs_per_pixel: Option<f64>,
    /// Weights and biases.
    pub parameters: Option<usize>,
    /// Bytes of the model file.
    pub file_bytes: Option<u64>,
    /// What it computes on, if not on the processor.
    pub device: Option<String>,
    /// Median time of the pictures of the first one's size in milliseconds; `None` for the input itself.
    pub ms_per_frame: Option<f64>,
    /// Times at standard sizes; `None` where one would take too long.
    pub speed: Vec<Option<Speed>>,
    /// Faults in time, for consecutive frames.
    pub temporal: Option<Temporal>,
}

/// One restorer on one pair.
#[derive(Debug, Clone)]
pub struct PairResult {
    /// Width and height in pixels.
    pub size: (usize, usize),
    /// PSNR in dB on the compared planes; infinite for equal pictures.
    pub psnr: f64,
    /// SSIM (11x11 Gaussian) on the compared planes; `None` for pictures smaller than the window.
    pub ssim: Option<f64>,
    /// Published metrics of the RGB picture.
    pub scores: Scores,
}

impl Row {
    /// PSNR over all pairs.
    pub fn psnr(&self) -> Option<Summary> {
        Summary::of(self.results.iter().map(|r| r.psnr))
    }

    /// SSIM over all pairs.
    pub fn ssim(&self) -> Option<Summary> {
        Summary::of(self.results.iter().filter_map(|r| r.ssim))
    }
}

/// The degraded pictures as they are.
pub struct Unchanged;

impl Restore for Unchanged {
    fn name(&self) -> String {
        "input".into()
    }

    fn restore(&mut self, input: &Picture) -> anyhow::Result<Picture> {
        Ok(input.clone())
    }

    fn takes_luma(&self) -> bool {
        true
    }
}

/// The planes that are compared: RGB or luma, on the byte grid.
pub fn planes(picture: &Picture, colour: Colour) -> Picture {
    let picture = match colour {
        Colour::Rgb => picture.clone(),
        Colour::Luma => picture.luma(),
    };
    let bytes = picture.to_bytes();
    Picture::from_bytes(picture.channels, picture.height, picture.width, &bytes)
}

/// What is compared, and how.
#[derive(Debug, Clone, Copy)]
pub struct Comparison<'a> {
    /// Planes of the main figures.
    pub colour: Colour,
    /// Metrics of the RGB pictures.
    pub metrics: &'a MetricSet,
}

/// Runs all restorers over all pairs, each pair loaded once; `progress` is called after each run.
///
/// # Errors
/// When a pair cannot be loaded, or a restorer fails.
pub fn evaluate(
    methods: &mut [Method],
    pairs: &PairSet,
    comparison: Comparison<'_>,
    mut progress: impl FnMut(),
) -> anyhow::Result<Vec<Row>> {
    let mut tallies: Vec<Tally> = methods.iter().map(|_| Tally::default()).collect();
    let sequence = pairs.is_sequence();
    let mut first = None;
    methods
        .iter_mut()
        .for_each(|method| method.restorer.follow(sequence));
    for i in 0..pairs.len() {
        let pair = pairs.get(i)?;
        let size = (pair.input.width, pair.input.height);
        for (method, tally) in methods.iter_mut().zip(&mut tallies) {
            let start = Instant::now();
            let named = || format!("cannot restore {}", pair.name);
            let method = method.restorer.as_mut();
            let mut outcome = restored(method, &pair, comparison.colour).with_context(named)?;
            if i == 0 && start.elapsed().as_secs() < 4 {
                // The first run loads caches and starts threads.
                method.follow(sequence);
                outcome = restored(method, &pair, comparison.colour).with_context(named)?;
            }
            // A median over several sizes would be the time of none.
            if size == *first.get_or_insert(size) {
                tally.times.push(outcome.time);
            }
            let truth = planes(&pair.truth, comparison.colour);
            if sequence {
                let meter = tally.meter.get_or_insert_default();
                meter.push(&truth, &outcome.planes)?;
            }
            let result = compare(
                &truth,
                &outcome.planes,
                &pair.truth,
                &outcome.rgb,
                comparison.metrics,
            );
            tally.results.push(result?);
            progress();
        }
    }
    methods
        .iter_mut()
        .for_each(|method| method.restorer.follow(false));
    let rows = methods.iter().zip(tallies).map(|(method, mut tally)| {
        let (role, method) = (method.role, &method.restorer);
        let timed = role != Role::Input;
        Row {
            role,
            name: method.name(),
            results: tally.results,
            macs_per_pixel: method.macs_per_pixel(),
            parameters: method.parameters(),
            file_bytes: method.file_bytes(),
            device: method.device(),
            ms_per_frame: timed.then(|| speed::median_ms(&mut tally.times)),
            speed: Vec::new(),
            temporal: tally.meter.map(|meter| meter.found()),
        }
    });
    Ok(rows.collect())
}

#[derive(Default)]
struct Tally {
    results: Vec<PairResult>,
    times: Vec<std::time::Duration>,
    meter: Option<TemporalMeter>,
}

/// What a restorer made of a pair's input.
#[derive(Debug)]
pub struct Outcome {
    /// The compared planes, on the byte grid.
    pub planes: Picture,
    /// The picture in colour.
    pub rgb: Picture,
    /// Time it took.
    pub time: std::time::Duration,
}

/// Restores one pair's input: the planes that are compared, and the picture as people see it.
///
/// # Errors
/// When the restorer fails.
pub fn restored(method: &mut dyn Restore, pair: &Pair, colour: Colour) -> anyhow::Result<Outcome> {
    let seen = planes(&pair.input, colour);
    let narrow = colour == Colour::Luma && method.takes_luma();
    let input = if narrow { &seen } else { &pair.input };
    let start = Instant::now();
    let output = method.restore(input)?;
    let time = method.elapsed().unwrap_or_else(|| start.elapsed());
    let restored = planes(&output, colour);
    let rgb = if narrow {
        recolour(&pair.input, &seen, &restored)
    } else {
        planes(&output, Colour::Rgb)
    };
    Ok(Outcome {
        planes: restored,
        rgb,
        time,
    })
}

/// Compares the restored planes with the true ones, and the RGB pictures by every metric.
pub(crate) fn compare(
    truth: &Picture,
    restored: &Picture,
    truth_rgb: &Picture,
    restored_rgb: &Picture,
    metrics: &MetricSet,
) -> anyhow::Result<PairResult> {
    Ok(PairResult {
        size: (truth.width, truth.height),
        psnr: Metric::named("psnr_rgb")?.compute(truth, restored)?,
        ssim: ssim_gaussian(truth, restored).ok(),
        scores: metrics.measure(truth_rgb, restored_rgb)?,
    })
}

/// RGB whose luma has moved from `before` to `after` while chroma stays.
pub fn recolour(rgb: &Picture, before: &Picture, after: &Picture) -> Picture {
    let mut out = rgb.clone();
    let plane = before.data.len();
    for (i, sample) in out.data.iter_mut().enumerate() {
        let change = after.data[i % plane] - before.data[i % plane];
        *sample = (*sample + change).clamp(0.0, 1.0);
    }
    out
}

#[cfg(test)]
mod tests;

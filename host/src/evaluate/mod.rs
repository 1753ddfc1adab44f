//! How good restorers are on pairs of degraded and sharp pictures, what they cost, and whether the
//! board put out what the workstation predicts.
//!
//! Everything is compared on the student's own planes, rounded to bytes as a screen shows them: RGB,
//! or full-range luma for students that leave chroma alone.

pub mod figure;
mod font;
pub mod honed;
pub mod pairs;
pub mod summary;
pub mod unsharp;

use std::time::{Duration, Instant};

use hone_shared::student::Colour;

use crate::metric::{METRICS, Metric, Scores, Summary, ssim_gaussian};
use crate::picture::Picture;
use crate::restore::Restore;
pub use pairs::Pair;

/// One restorer's results over all pairs.
#[derive(Debug, Clone)]
pub struct Row {
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
    /// Median time of a picture in milliseconds; `None` for the input itself.
    pub ms_per_frame: Option<f64>,
    /// Times at standard sizes.
    pub speed: Vec<Speed>,
}

/// Time for a frame of one size.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Speed {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Median time in milliseconds.
    pub ms: f64,
    /// Frames in a second at that time.
    pub fps: f64,
}

/// One restorer on one pair.
#[derive(Debug, Clone)]
pub struct PairResult {
    /// PSNR in dB on the compared planes; infinite for equal pictures.
    pub psnr: f64,
    /// SSIM (11x11 Gaussian) on the compared planes; `None` for pictures smaller than the window.
    pub ssim: Option<f64>,
    /// Published metrics of the RGB picture.
    pub scores: Scores,
    /// The restored planes.
    pub restored: Picture,
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

    /// A published metric over all pairs.
    pub fn metric(&self, name: &str) -> Option<Summary> {
        Summary::of(self.results.iter().filter_map(|r| r.scores.get(name)))
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

/// Runs one restorer over all pairs; `progress` is called after each.
///
/// # Errors
/// When the restorer fails or a pair's pictures differ in size.
pub fn evaluate(
    method: &mut dyn Restore,
    pairs: &[Pair],
    colour: Colour,
    mut progress: impl FnMut(),
) -> anyhow::Result<Row> {
    let mut results = Vec::with_capacity(pairs.len());
    let mut times = Vec::with_capacity(pairs.len());
    for (i, pair) in pairs.iter().enumerate() {
        let (seen, colours) = (planes(&pair.input, colour), colour == Colour::Luma);
        let narrow = colours && method.takes_luma();
        let input = if narrow { &seen } else { &pair.input };
        if i == 0 {
            // The first run loads caches and starts threads.
            method.restore(input)?;
        }
        let start = Instant::now();
        let output = method.restore(input)?;
        times.push(method.elapsed().unwrap_or_else(|| start.elapsed()));
        let restored = planes(&output, colour);
        let rgb = if narrow {
            recolour(&pair.input, &seen, &restored)
        } else {
            planes(&output, Colour::Rgb)
        };
        let truth = planes(&pair.truth, colour);
        results.push(compare(&truth, restored, &pair.truth, &rgb)?);
        progress();
    }
    let timed = method.name() != Unchanged.name();
    Ok(Row {
        name: method.name(),
        results,
        macs_per_pixel: method.macs_per_pixel(),
        parameters: method.parameters(),
        file_bytes: method.file_bytes(),
        ms_per_frame: timed.then(|| median_ms(&mut times)),
        speed: Vec::new(),
    })
}

/// Compares the restored planes with the true ones, and the RGB pictures by every metric.
pub(crate) fn compare(
    truth: &Picture,
    restored: Picture,
    truth_rgb: &Picture,
    restored_rgb: &Picture,
) -> anyhow::Result<PairResult> {
    let metrics: Vec<&'static Metric> = METRICS.iter().collect();
    Ok(PairResult {
        psnr: Metric::named("psnr_rgb")?.compute(truth, &restored)?,
        ssim: ssim_gaussian(truth, &restored).ok(),
        scores: Scores::measure(&metrics, truth_rgb, restored_rgb)?,
        restored,
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

/// Times a restorer on frames of `width` x `height`, made by repeating `sample`.
///
/// # Errors
/// When the restorer fails.
pub fn speed(
    method: &mut dyn Restore,
    sample: &Picture,
    width: usize,
    height: usize,
) -> anyhow::Result<Speed> {
    let mut frame = Picture::new(sample.channels, height, width);
    for (i, value) in frame.data.iter_mut().enumerate() {
        let (c, y, x) = (i / (width * height), i / width % height, i % width);
        let row = c * sample.height + y % sample.height;
        *value = sample.data[row * sample.width + x % sample.width];
    }
    method.restore(&frame)?;
    let mut times = Vec::new();
    let begun = Instant::now();
    while times.len() < 3 || (times.len() < 20 && begun.elapsed() < Duration::from_secs(1)) {
        let start = Instant::now();
        method.restore(&frame)?;
        times.push(method.elapsed().unwrap_or_else(|| start.elapsed()));
    }
    let ms = median_ms(&mut times);
    Ok(Speed {
        width,
        height,
        ms,
        fps: 1000.0 / ms,
    })
}

fn median_ms(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .map_or(f64::NAN, |time| 1000.0 * time.as_secs_f64())
}

#[cfg(test)]
mod tests;

//! One evaluation as data; `table` makes text of the same numbers.

use std::collections::BTreeMap;

use hone_shared::student::Colour;
use serde::Serialize;

use super::honed::Agreement;
use super::unsharp::Unsharp;
use super::{PairSet, Row, Speed};
use crate::data::degrade::Degradation;
use crate::metric::{MetricSet, Summary, Temporal};

/// Everything an evaluation found.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluation {
    /// Version of the program.
    pub hone: &'static str,
    /// Planes on which `psnr_db` and `ssim` are measured.
    pub colour: Colour,
    /// What degraded sharp pictures, when the pairs were made so.
    pub degradation: Option<Degradation>,
    /// Names of the pairs, in order.
    pub pairs: Vec<String>,
    /// Width of the first pair in pixels.
    pub width: usize,
    /// Height of the first pair in pixels.
    pub height: usize,
    /// Cores of the machine that took the times.
    pub cores: usize,
    /// The tuned unsharp mask.
    pub unsharp: Option<Tuned>,
    /// One entry for each restorer.
    pub rows: Vec<Entry>,
    /// How `honed` agrees with the prediction.
    pub honed: Option<Agreement>,
    /// Pairs by the last student's gain over the input, largest first.
    pub ranking: Vec<Gain>,
}

/// The unsharp mask and the pictures it was tuned on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tuned {
    /// The mask.
    #[serde(flatten)]
    pub mask: Unsharp,
    /// Which pictures.
    pub on: TunedOn,
}

/// Pictures that the unsharp mask was tuned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TunedOn {
    /// Training pictures of the data.
    Training,
    /// Patches of the data that the student's recipe names.
    Recipe,
    /// The evaluated pictures themselves, for want of others: in the mask's favour.
    Evaluated,
}

/// One restorer's figures.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// What the tables call it.
    pub name: String,
    /// PSNR in dB on the compared planes.
    pub psnr_db: Option<Summary>,
    /// SSIM (11x11 Gaussian) on the compared planes.
    pub ssim: Option<Summary>,
    /// PSNR gain over the input in dB.
    pub gain_db: Option<f64>,
    /// `(this - input) / (teacher - input)` in PSNR.
    pub retention: Option<f64>,
    /// Multiply-accumulates per pixel.
    pub macs_per_pixel: Option<f64>,
    /// Weights and biases.
    pub parameters: Option<usize>,
    /// Bytes of the model file.
    pub file_bytes: Option<u64>,
    /// Median time of a picture of the pairs' size in milliseconds.
    pub ms_per_frame: Option<f64>,
    /// Times at standard sizes; `null` where one would take too long.
    pub speed: Vec<Option<Speed>>,
    /// Published metrics of the RGB pictures.
    pub metrics: BTreeMap<&'static str, Option<Summary>>,
    /// Flicker and repeated frames, for consecutive frames.
    pub temporal: Option<Temporal>,
    /// PSNR of each pair in dB, `null` for equal pictures.
    pub psnr_of_pairs: Vec<f64>,
    /// SSIM of each pair.
    pub ssim_of_pairs: Vec<Option<f64>>,
}

/// Gain in PSNR on one pair.
#[derive(Debug, Clone, Serialize)]
pub struct Gain {
    /// Name of the pair.
    pub name: String,
    /// Its place among the pairs, from 0.
    pub pair: usize,
    /// Restored less input, in dB.
    pub gain_db: f64,
}

impl Evaluation {
    /// Sums rows up. The row named `input` is what gains refer to, the one named `teacher` what
    /// retention refers to; `ranked` names the row by which pairs are ranked.
    ///
    /// # Errors
    /// When the first pair cannot be loaded.
    pub fn new(
        colour: Colour,
        pairs: &PairSet,
        rows: &[Row],
        ranked: &str,
        metrics: &MetricSet,
    ) -> anyhow::Result<Self> {
        let mean = |name: &str| {
            let row = rows.iter().find(|row| row.name == name)?;
            row.psnr().map(|psnr| psnr.mean)
        };
        let (input, teacher) = (mean("input"), mean("teacher"));
        let names = metrics.names();
        let entries = rows.iter().map(|row| {
            let gain = row.psnr().zip(input).map(|(psnr, input)| psnr.mean - input);
            let teacher_gain = teacher.zip(input).map(|(teacher, input)| teacher - input);
            let retention = gain
                .zip(teacher_gain)
                .filter(|(_, teacher)| *teacher > 0.0 && row.name != "input")
                .map(|(gain, teacher)| gain / teacher);
            Entry {
                name: row.name.clone(),
                psnr_db: row.psnr(),
                ssim: row.ssim(),
                gain_db: gain,
                retention,
                macs_per_pixel: row.macs_per_pixel,
                parameters: row.parameters,
                file_bytes: row.file_bytes,
                ms_per_frame: row.ms_per_frame,
                speed: row.speed.clone(),
                metrics: names.iter().map(|name| (*name, row.metric(name))).collect(),
                temporal: row.temporal,
                psnr_of_pairs: row.results.iter().map(|r| r.psnr).collect(),
                ssim_of_pairs: row.results.iter().map(|r| r.ssim).collect(),
            }
        });
        let first = pairs.get(0)?;
        Ok(Self {
            hone: env!("CARGO_PKG_VERSION"),
            colour,
            degradation: None,
            pairs: pairs.names(),
            width: first.input.width,
            height: first.input.height,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            unsharp: None,
            rows: entries.collect(),
            honed: None,
            ranking: ranking(&pairs.names(), rows, ranked),
        })
    }
}

fn ranking(names: &[String], rows: &[Row], ranked: &str) -> Vec<Gain> {
    let row = |name: &str| rows.iter().find(|row| row.name == name);
    let (Some(input), Some(best)) = (row("input"), row(ranked)) else {
        return Vec::new();
    };
    let results = best.results.iter().zip(&input.results);
    let mut gains: Vec<Gain> = names
        .iter()
        .zip(results)
        .enumerate()
        .map(|(pair, (name, (after, before)))| Gain {
            name: name.clone(),
            pair,
            gain_db: after.psnr - before.psnr,
        })
        .collect();
    gains.sort_by(|a, b| b.gain_db.total_cmp(&a.gain_db));
    gains
}

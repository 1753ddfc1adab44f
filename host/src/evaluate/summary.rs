//! One evaluation as data; `table` makes text of the same numbers.

use std::collections::BTreeMap;

use hone_shared::student::Colour;
use serde::Serialize;

use super::figures::Figures;
use super::honed::Agreement;
use super::unsharp::Tuning;
use super::{PairSet, Role, Row};
use crate::data::degrade::Degradation;
use crate::data::index::Split;
use crate::metric::{MetricSet, Summary, Temporal};

/// A teacher that gains less than this, in dB, tells nothing of what a student keeps of it.
const TELLING_DB: f64 = 0.1;

/// Everything an evaluation found.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluation {
    /// Version of the program.
    pub hone: &'static str,
    /// Planes on which `psnr_db` and `ssim` are measured.
    pub colour: Colour,
    /// What degraded sharp pictures, when the pairs were made so.
    pub degradation: Option<Degradation>,
    /// What its parameters were drawn from.
    pub seed: Option<u64>,
    /// Architecture of the teacher whose answers stand for the truth; none where the truth is known.
    pub answered_by: Option<String>,
    /// Names of the pairs, in order.
    pub pairs: Vec<String>,
    /// Which pictures of the data those are, where it has several kinds.
    pub split: Option<Split>,
    /// Pairs that some row gives exactly: left out of PSNR in every row.
    pub equal: usize,
    /// How many sizes the pairs have.
    pub sizes: usize,
    /// Width and height of the smallest pair, by area, and of the largest.
    pub size_range: [(usize, usize); 2],
    /// Width of the first pair in pixels, whose size `ms_per_frame` is of.
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
    /// Name of the row by which pairs are ranked.
    pub ranked: String,
    /// Pairs by that row's gain over the input, largest first.
    pub ranking: Vec<Gain>,
}

/// The unsharp mask and the pictures it was tuned on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tuned {
    /// The mask, and why it may add nothing.
    #[serde(flatten)]
    pub found: Tuning,
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

/// One restorer's figures, and those of every pair.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// What it stands for.
    #[serde(skip)]
    pub role: Role,
    /// What the main table shows.
    #[serde(flatten)]
    pub figures: Figures,
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
    /// Sums rows up. Gains refer to the row of the input, retention to that of the teacher; pairs are ranked by
    /// row `ranked`. PSNR and every metric are averaged over the pairs on which they are finite in every row, so
    /// that all means are of the same pictures.
    ///
    /// # Errors
    /// When the first pair cannot be loaded.
    pub fn new(
        colour: Colour,
        pairs: &PairSet,
        rows: &[Row],
        ranked: usize,
        metrics: &MetricSet,
    ) -> anyhow::Result<Self> {
        let (counted, of_psnr) = means(rows, pairs.len(), |row, i| Some(row.results[i].psnr));
        let mean = |role: Role| {
            let at = rows.iter().position(|row| row.role == role)?;
            of_psnr[at].map(|psnr| psnr.mean)
        };
        let (input, teacher) = (mean(Role::Input), mean(Role::Teacher));
        let of_metric = |name| means(rows, pairs.len(), |row, i| row.results[i].scores.get(name)).1;
        let names = metrics.names().into_iter();
        let of_metrics: Vec<_> = names.map(|name| (name, of_metric(name))).collect();
        let entries = rows.iter().enumerate().map(|(at, row)| {
            let psnr = of_psnr[at];
            let gain = psnr.zip(input).map(|(psnr, input)| psnr.mean - input);
            let teacher_gain = teacher.zip(input).map(|(teacher, input)| teacher - input);
            let retention = gain
                .zip(teacher_gain)
                .filter(|(_, teacher)| *teacher >= TELLING_DB && row.role != Role::Input)
                .map(|(gain, teacher)| gain / teacher);
            Entry {
                role: row.role,
                figures: Figures {
                    name: row.name.clone(),
                    psnr_db: psnr,
                    ssim: row.ssim(),
                    gain_db: gain,
                    retention,
                    macs_per_pixel: row.macs_per_pixel,
                    parameters: row.parameters,
                    file_bytes: row.file_bytes,
                    device: row.device.clone(),
                    ms_per_frame: row.ms_per_frame,
                    speed: row.speed.clone(),
                },
                metrics: of_metrics
                    .iter()
                    .map(|(name, means)| (*name, means[at]))
                    .collect(),
                temporal: row.temporal,
                psnr_of_pairs: row.results.iter().map(|r| r.psnr).collect(),
                ssim_of_pairs: row.results.iter().map(|r| r.ssim).collect(),
            }
        });
        let first = pairs.get(0)?;
        let own = (first.input.width, first.input.height);
        let results = rows.first().map_or(&[][..], |row| &row.results);
        let mut sizes: Vec<(usize, usize)> = results.iter().map(|r| r.size).collect();
        sizes.push(own);
        sizes.sort_unstable_by_key(|&(width, height)| (width * height, width));
        sizes.dedup();
        Ok(Self {
            hone: env!("CARGO_PKG_VERSION"),
            colour,
            degradation: None,
            seed: None,
            answered_by: None,
            pairs: pairs.names(),
            split: None,
            equal: pairs.len() - counted,
            sizes: sizes.len(),
            size_range: [sizes[0], sizes[sizes.len() - 1]],
            width: own.0,
            height: own.1,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            unsharp: None,
            rows: entries.collect(),
            honed: None,
            ranked: rows
                .get(ranked)
                .map_or_else(String::new, |row| row.name.clone()),
            ranking: ranking(&pairs.names(), rows, ranked),
        })
    }
}

/// On how many of so many `pairs` a `value` is finite in every row, and its mean over those, one for each row.
fn means(
    rows: &[Row],
    pairs: usize,
    value: impl Fn(&Row, usize) -> Option<f64>,
) -> (usize, Vec<Option<Summary>>) {
    let finite = |row: &Row, i: usize| value(row, i).is_some_and(f64::is_finite);
    let counted = (0..pairs).filter(|&i| rows.iter().all(|row| finite(row, i)));
    let counted: Vec<usize> = counted.collect();
    let mean = |row| Summary::of(counted.iter().filter_map(|&i| value(row, i)));
    (counted.len(), rows.iter().map(mean).collect())
}

fn ranking(names: &[String], rows: &[Row], ranked: usize) -> Vec<Gain> {
    let input = rows.iter().find(|row| row.role == Role::Input);
    let (Some(input), Some(best)) = (input, rows.get(ranked)) else {
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
    gains.retain(|gain| gain.gain_db.is_finite());
    gains.sort_by(|a, b| b.gain_db.total_cmp(&a.gain_db));
    gains
}

#[cfg(test)]
mod tests;

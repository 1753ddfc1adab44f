//! One evaluation as data, as a table for people and as Markdown. All show the same numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use hone_shared::student::Colour;
use serde::Serialize;

use super::honed::Agreement;
use super::unsharp::Unsharp;
use super::{Pair, Row, Speed};
use crate::metric::{METRICS, Summary};

/// Everything an evaluation found.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluation {
    /// Version of the program.
    pub hone: &'static str,
    /// Planes on which `psnr_db` and `ssim` are measured.
    pub colour: Colour,
    /// Names of the pairs, in order.
    pub pairs: Vec<String>,
    /// Width of the first pair in pixels.
    pub width: usize,
    /// Height of the first pair in pixels.
    pub height: usize,
    /// Cores of the machine that took the times.
    pub cores: usize,
    /// The tuned unsharp mask.
    pub unsharp: Option<Unsharp>,
    /// One entry for each restorer.
    pub rows: Vec<Entry>,
    /// How `honed` agrees with the prediction.
    pub honed: Option<Agreement>,
    /// Pairs by the last student's gain over the input, largest first.
    pub ranking: Vec<Gain>,
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
    /// Gain over the teacher's gain.
    pub retention: Option<f64>,
    /// Multiply-accumulates per pixel.
    pub macs_per_pixel: Option<f64>,
    /// Weights and biases.
    pub parameters: Option<usize>,
    /// Bytes of the model file.
    pub file_bytes: Option<u64>,
    /// Median time of a picture of the pairs' size in milliseconds.
    pub ms_per_frame: Option<f64>,
    /// Times at standard sizes.
    pub speed: Vec<Speed>,
    /// Published metrics of the RGB pictures.
    pub metrics: BTreeMap<&'static str, Option<Summary>>,
    /// PSNR of each pair in dB, `null` for equal pictures.
    pub psnr_of_pairs: Vec<f64>,
}

/// Gain in PSNR on one pair.
#[derive(Debug, Clone, Serialize)]
pub struct Gain {
    /// Name of the pair.
    pub name: String,
    /// Restored less input, in dB.
    pub gain_db: f64,
}

impl Evaluation {
    /// Sums rows up. The row named `input` is what gains refer to, the one named `teacher` what
    /// retention refers to; `ranked` names the row by which pairs are ranked.
    pub fn new(colour: Colour, pairs: &[Pair], rows: &[Row], ranked: &str) -> Self {
        let mean = |name: &str| {
            let row = rows.iter().find(|row| row.name == name)?;
            row.psnr().map(|psnr| psnr.mean)
        };
        let (input, teacher) = (mean("input"), mean("teacher"));
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
                metrics: METRICS
                    .iter()
                    .map(|metric| (metric.name, row.metric(metric.name)))
                    .collect(),
                psnr_of_pairs: row.results.iter().map(|r| r.psnr).collect(),
            }
        });
        let first = pairs.first();
        Self {
            hone: env!("CARGO_PKG_VERSION"),
            colour,
            pairs: pairs.iter().map(|pair| pair.name.clone()).collect(),
            width: first.map_or(0, |pair| pair.input.width),
            height: first.map_or(0, |pair| pair.input.height),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            unsharp: None,
            rows: entries.collect(),
            honed: None,
            ranking: ranking(pairs, rows, ranked),
        }
    }

    /// The table for terminals.
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_HORIZONTAL_ONLY);
        table.set_header(self.headings());
        for row in &self.rows {
            table.add_row(self.cells(row));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// The table and its notes as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let headings = self.headings();
        text += &line(&headings);
        text += &line(&vec!["---".to_owned(); headings.len()]);
        for row in &self.rows {
            text += &line(&self.cells(row));
        }
        for note in self.notes() {
            let _ = write!(text, "\n{note}\n");
        }
        text
    }

    /// Sentences below the table.
    pub fn notes(&self) -> Vec<String> {
        let planes = match self.colour {
            Colour::Luma => "full-range BT.601 luma",
            Colour::Rgb => "RGB",
        };
        let mut notes = vec![format!(
            "PSNR and SSIM (11x11 Gaussian) on {planes}, mean over {} pictures of {}x{}; ms/frame is \
             the median at that size on {} cores.",
            self.pairs.len(),
            self.width,
            self.height,
            self.cores
        )];
        if let Some(mask) = self.unsharp {
            notes.push(format!(
                "Unsharp mask tuned on training pictures: sigma {}, amount {}.",
                mask.sigma, mask.amount
            ));
        }
        if let Some(honed) = self.honed {
            notes.push(format!(
                "What honed put out against the prediction: largest difference {}/255, {:.4} % of the \
                 samples equal, over {} frames.",
                honed.max_difference,
                100.0 * honed.equal,
                honed.frames
            ));
        }
        notes
    }

    /// Headings of the table.
    pub fn headings(&self) -> Vec<String> {
        let mut headings = [
            "",
            "PSNR dB",
            "SSIM",
            "gain dB",
            "retention",
            "MAC/px",
            "file kB",
            "ms/frame",
        ]
        .map(str::to_owned)
        .to_vec();
        if let Some(row) = self.rows.iter().find(|row| !row.speed.is_empty()) {
            let sizes = row.speed.iter();
            headings.extend(sizes.map(|s| format!("fps {}x{}", s.width, s.height)));
        }
        headings
    }

    /// A row of the table.
    pub fn cells(&self, row: &Entry) -> Vec<String> {
        let show = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"))
        };
        let spread = |summary: Option<Summary>, digits: usize| {
            summary.map_or_else(
                || "-".to_owned(),
                |s| format!("{:.digits$} ± {:.digits$}", s.mean, s.deviation),
            )
        };
        let mut cells = vec![
            row.name.clone(),
            spread(row.psnr_db, 2),
            spread(row.ssim, 4),
            row.gain_db
                .filter(|_| row.name != "input")
                .map_or_else(|| "-".to_owned(), |gain| format!("{gain:+.2}")),
            row.retention
                .map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", 100.0 * share)),
            show(row.macs_per_pixel, 0),
            show(row.file_bytes.map(|bytes| bytes as f64 / 1000.0), 1),
            show(row.ms_per_frame, 2),
        ];
        let columns = self.headings().len() - cells.len();
        for i in 0..columns {
            cells.push(show(row.speed.get(i).map(|s| s.fps), 1));
        }
        cells
    }
}

fn ranking(pairs: &[Pair], rows: &[Row], ranked: &str) -> Vec<Gain> {
    let row = |name: &str| rows.iter().find(|row| row.name == name);
    let (Some(input), Some(best)) = (row("input"), row(ranked)) else {
        return Vec::new();
    };
    let results = best.results.iter().zip(&input.results);
    let mut gains: Vec<Gain> = pairs
        .iter()
        .zip(results)
        .map(|(pair, (after, before))| Gain {
            name: pair.name.clone(),
            gain_db: after.psnr - before.psnr,
        })
        .collect();
    gains.sort_by(|a, b| b.gain_db.total_cmp(&a.gain_db));
    gains
}

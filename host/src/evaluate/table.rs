//! An evaluation as text: a table for terminals, Markdown, sentences below.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use hone_shared::student::Colour;

use super::summary::{Entry, Evaluation, TunedOn};
use crate::data::degrade::{Degradation, PRESETS, preset};
use crate::metric::{self, Better};

impl Evaluation {
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

    /// Both tables and the notes as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut table = |headings: Vec<String>, rows: Vec<Vec<String>>| {
            text += &line(&headings);
            text += &line(&vec!["---".to_owned(); headings.len()]);
            rows.iter().for_each(|row| text += &line(row));
            text += "\n";
        };
        let rows = self.rows.iter().map(|row| self.cells(row)).collect();
        table(self.headings(), rows);
        let (headings, rows) = self.metrics();
        table(headings, rows);
        for note in self.notes() {
            let _ = write!(text, "{note}\n\n");
        }
        text.truncate(text.trim_end().len());
        text + "\n"
    }

    /// Headings and rows of the table of every metric: a row for each metric, a column for each
    /// restorer, mean and deviation over the pictures.
    pub fn metrics(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let mut headings = vec!["RGB metric".to_owned()];
        headings.extend(self.rows.iter().map(|row| row.name.clone()));
        let names = self.rows.first().into_iter().flat_map(|r| r.metrics.keys());
        let mut rows: Vec<Vec<String>> = names
            .map(|name| {
                let arrow = match metric::better(name) {
                    Better::Higher => "↑",
                    Better::Lower => "↓",
                };
                let cell = |row: &Entry| {
                    let summary = row.metrics.get(name).copied().flatten();
                    summary.map_or_else(
                        || "-".to_owned(),
                        |s| {
                            let show = |v| metric::format(name, v);
                            format!("{} ± {}", show(s.mean), show(s.deviation))
                        },
                    )
                };
                let label = std::iter::once(format!("{name} {arrow}"));
                label.chain(self.rows.iter().map(cell)).collect()
            })
            .collect();
        if self.rows.iter().any(|row| row.temporal.is_some()) {
            let mut add = |label: &str, cell: &dyn Fn(metric::Temporal) -> String| {
                let cells = self
                    .rows
                    .iter()
                    .map(|row| row.temporal.map_or_else(|| "-".to_owned(), cell));
                rows.push(std::iter::once(label.to_owned()).chain(cells).collect());
            };
            add("flicker ↓", &|t| format!("{:.3}", t.flicker));
            add("repeated frames ↓", &|t| t.repeated.to_string());
        }
        (headings, rows)
    }

    /// Sentences below the tables.
    pub fn notes(&self) -> Vec<String> {
        let planes = match self.colour {
            Colour::Luma => "full-range BT.601 luma",
            Colour::Rgb => "RGB",
        };
        let mut notes = vec![format!(
            "PSNR and SSIM (11x11 Gaussian) on {planes}, mean ± standard deviation over {} pictures of \
             {}x{}; ms/frame is the median at that size on {} cores; retention is this gain over the \
             teacher's; bicubic is the input halved and enlarged again.",
            self.pairs.len(),
            self.width,
            self.height,
            self.cores
        )];
        if let Some(degradation) = &self.degradation {
            notes.push(format!(
                "Sharp pictures degraded by: {}.",
                in_words(degradation)
            ));
        }
        if let Some(tuned) = self.unsharp {
            let on = match tuned.on {
                TunedOn::Training => "training pictures of the data",
                TunedOn::Recipe => "pictures of the student's recipe",
                TunedOn::Evaluated => "the evaluated pictures themselves, in its favour",
            };
            notes.push(format!(
                "Unsharp mask tuned on {on}: sigma {}, amount {}.",
                tuned.mask.sigma, tuned.mask.amount
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
        if let (Some(best), Some(worst)) = (self.ranking.first(), self.ranking.last()) {
            notes.push(format!(
                "Best: {} ({:+.2} dB); worst: {} ({:+.2} dB).",
                best.name, best.gain_db, worst.name, worst.gain_db
            ));
        }
        notes
    }

    /// Headings of the main table.
    pub fn headings(&self) -> Vec<String> {
        let mut headings = [
            "",
            "PSNR dB",
            "SSIM",
            "gain dB",
            "retention",
            "parameters",
            "MAC/px",
            "file kB",
            "ms/frame",
        ]
        .map(str::to_owned)
        .to_vec();
        for (width, height) in self.sizes() {
            headings.push(format!("ms {width}x{height}"));
            headings.push("fps".to_owned());
        }
        headings
    }

    /// The standard sizes that were timed.
    fn sizes(&self) -> Vec<(usize, usize)> {
        let speeds = |row: &Entry| {
            row.speed
                .iter()
                .flatten()
                .map(|s| (s.width, s.height))
                .collect()
        };
        let timed: Vec<Vec<_>> = self.rows.iter().map(speeds).collect();
        timed.into_iter().max_by_key(Vec::len).unwrap_or_default()
    }

    /// A row of the main table.
    pub fn cells(&self, row: &Entry) -> Vec<String> {
        let show = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"))
        };
        let spread = |summary: Option<metric::Summary>, digits: usize| {
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
            row.parameters
                .map_or_else(|| "-".to_owned(), |n| n.to_string()),
            show(row.macs_per_pixel, 0),
            show(row.file_bytes.map(|bytes| bytes as f64 / 1000.0), 1),
            show(row.ms_per_frame, 2),
        ];
        for size in self.sizes() {
            let same = |s: &&super::Speed| (s.width, s.height) == size;
            let found = row.speed.iter().flatten().find(same);
            cells.push(show(found.map(|s| s.ms), 1));
            cells.push(show(found.map(|s| s.fps), 1));
        }
        cells
    }
}

/// A degradation's preset, or its steps as JSON.
fn in_words(degradation: &Degradation) -> String {
    let named = PRESETS
        .iter()
        .find(|name| preset(name).as_ref() == Some(degradation));
    named.map_or_else(
        || serde_json::to_string(degradation).unwrap_or_default(),
        |name| (*name).to_owned(),
    )
}

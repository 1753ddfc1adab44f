//! Evaluations of different models side by side, from their `report.json`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::evaluate::figures::{self, Figures};

#[derive(Debug, Deserialize)]
struct Report {
    pairs: Vec<String>,
    rows: Vec<Row>,
    /// Earlier versions did not write all of [`KINDS`].
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Row {
    #[serde(flatten)]
    figures: Figures,
    /// `null` for equal pictures.
    #[serde(default)]
    psnr_of_pairs: Vec<Option<f64>>,
}

/// Inputs whose PSNR differs by more than this, in dB, are other pictures; machines round differently.
const SAME_DB: f64 = 0.01;

/// Keys of a report that tell what was measured, and what to call that.
const KINDS: [(&str, &str); 3] = [
    ("colour", "planes"),
    ("degradation", "degradations"),
    ("seed", "draws of the degradation"),
];

/// A table of the rows of several reports (`report.json`, or the folder it lies in), and a warning
/// when they were not measured on the same pictures, degraded alike, and on the same planes.
///
/// # Errors
/// When a report cannot be read.
pub fn compare(paths: &[PathBuf]) -> anyhow::Result<(Table, Option<String>)> {
    let reports: Vec<Report> = paths.iter().map(|p| read(p)).collect::<Result<_, _>>()?;
    let rows = reports.iter().flat_map(|report| &report.rows);
    let sizes = figures::sizes(rows.map(|row| &row.figures));
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    table.set_header(std::iter::once("report".to_owned()).chain(figures::headings(&sizes)));
    for (path, report) in paths.iter().zip(&reports) {
        for row in &report.rows {
            let report = std::iter::once(path.display().to_string());
            table.add_row(report.chain(row.figures.cells(&sizes)));
        }
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    Ok((table, warning(&reports)))
}

fn warning(reports: &[Report]) -> Option<String> {
    let told_apart = |key: &str| {
        let told = reports.iter().filter_map(|report| report.rest.get(key));
        let told: Vec<&Value> = told.collect();
        told.windows(2).any(|two| two[0] != two[1])
    };
    let kinds = KINDS.iter().filter(|(key, _)| told_apart(key));
    let mut apart: Vec<&str> = kinds.map(|(_, name)| *name).collect();
    let names = reports.windows(2).any(|two| two[0].pairs != two[1].pairs);
    // Frames of two videos bear the same names. Planes and degradations that differ change the inputs as well.
    let inputs = || {
        let inputs: Vec<_> = reports.iter().filter_map(Report::input).collect();
        inputs.windows(2).any(|two| !alike(two[0], two[1]))
    };
    if names || told_apart("size_range") || (apart.is_empty() && inputs()) {
        apart.insert(0, "pictures");
    } else if apart.is_empty() && leave_out_others(reports) {
        return Some(
            "these reports leave different pictures out of PSNR, which some row gives exactly: their figures do \
             not compare"
                .to_owned(),
        );
    }
    (!apart.is_empty()).then(|| {
        format!(
            "these reports are of different {}: their figures do not compare",
            apart.join(", ")
        )
    })
}

impl Report {
    /// PSNR of every input in dB; earlier versions did not write it.
    fn input(&self) -> Option<&[Option<f64>]> {
        let input = self.rows.iter().find(|row| row.figures.is_input())?;
        Some(&input.psnr_of_pairs)
            .filter(|psnr| !psnr.is_empty())
            .map(Vec::as_slice)
    }

    /// Pairs that some row gives exactly.
    fn left_out(&self) -> Vec<usize> {
        let exact = |i: &usize| {
            self.rows
                .iter()
                .any(|row| row.psnr_of_pairs.get(*i) == Some(&None))
        };
        (0..self.pairs.len()).filter(exact).collect()
    }
}

fn leave_out_others(reports: &[Report]) -> bool {
    let told: Vec<&Report> = reports
        .iter()
        .filter(|report| report.input().is_some())
        .collect();
    told.windows(2)
        .any(|two| two[0].left_out() != two[1].left_out())
}

fn alike(one: &[Option<f64>], other: &[Option<f64>]) -> bool {
    let same = |(one, other): (&Option<f64>, &Option<f64>)| match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() <= SAME_DB,
        (one, other) => one == other,
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

fn read(path: &Path) -> anyhow::Result<Report> {
    let path = if path.is_dir() {
        path.join("report.json")
    } else {
        path.to_owned()
    };
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is no report of `hone eval`", path.display()))
}

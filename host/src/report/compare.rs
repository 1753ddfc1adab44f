//! Evaluations of different models side by side, from their `report.json`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Deserialize;

use crate::evaluate::figures::{self, Figures};

#[derive(Debug, Deserialize)]
struct Report {
    pairs: Vec<String>,
    rows: Vec<Figures>,
}

/// A table of the rows of several reports (`report.json`, or the folder it lies in), and a warning
/// when they were not measured on the same pictures.
///
/// # Errors
/// When a report cannot be read.
pub fn compare(paths: &[PathBuf]) -> anyhow::Result<(Table, Option<String>)> {
    let reports: Vec<Report> = paths.iter().map(|p| read(p)).collect::<Result<_, _>>()?;
    let sizes = figures::sizes(reports.iter().flat_map(|report| &report.rows));
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    table.set_header(std::iter::once("report".to_owned()).chain(figures::headings(&sizes)));
    for (path, report) in paths.iter().zip(&reports) {
        for row in &report.rows {
            let report = std::iter::once(path.display().to_string());
            table.add_row(report.chain(row.cells(&sizes)));
        }
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let alike = reports
        .windows(2)
        .all(|pair| pair[0].pairs == pair[1].pairs);
    let warning = (!alike).then(|| {
        "these reports are of different pictures: their figures do not compare".to_owned()
    });
    Ok((table, warning))
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

//! Evaluations of different models side by side, from their `report.json`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Report {
    pairs: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    psnr_db: Option<Mean>,
    ssim: Option<Mean>,
    gain_db: Option<f64>,
    retention: Option<f64>,
    parameters: Option<usize>,
    macs_per_pixel: Option<f64>,
    file_bytes: Option<u64>,
    ms_per_frame: Option<f64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Mean {
    mean: f64,
}

/// A table of the rows of several reports (`report.json`, or the folder it lies in), and a warning
/// when they were not measured on the same pictures.
///
/// # Errors
/// When a report cannot be read.
pub fn compare(paths: &[PathBuf]) -> anyhow::Result<(Table, Option<String>)> {
    let reports: Vec<Report> = paths.iter().map(|p| read(p)).collect::<Result<_, _>>()?;
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "report",
        "",
        "PSNR dB",
        "SSIM",
        "gain dB",
        "retention",
        "parameters",
        "MAC/px",
        "file kB",
        "ms/frame",
    ]);
    for (path, report) in paths.iter().zip(&reports) {
        for row in &report.rows {
            let show = |value: Option<f64>, digits: usize| {
                value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"))
            };
            table.add_row([
                path.display().to_string(),
                row.name.clone(),
                show(row.psnr_db.map(|m| m.mean), 2),
                show(row.ssim.map(|m| m.mean), 4),
                show(row.gain_db, 2),
                show(row.retention, 2),
                show(row.parameters.map(|n| n as f64), 0),
                show(row.macs_per_pixel, 0),
                show(row.file_bytes.map(|b| b as f64 / 1000.0), 1),
                show(row.ms_per_frame, 2),
            ]);
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

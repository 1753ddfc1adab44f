//! `hone harm`: what students do to pictures that need nothing.

use std::path::{Path, PathBuf};

use clap::Args;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use hone_device::engine::EngineOptions;
use serde::Serialize;

use super::restore::share;
use super::restorer::{UNPACK, open_onnx};
use super::{left_out, progress};
use crate::data::index::Problem;
use crate::data::read;
use crate::evaluate::harm::{self, Harm};
use crate::evaluate::labels;
use crate::picture::Picture;
use crate::restore::images_in;

/// Measures what students do to sharp photographs, step edges and flat noise.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  hone harm student.onnx student.int8.onnx --sharp photos")]
pub struct HarmArgs {
    /// Students as ONNX.
    #[arg(required = true, value_name = "ONNX")]
    students: Vec<PathBuf>,
    /// Folder of sharp pictures; without it, edges and noise alone are measured.
    #[arg(long, value_name = "DIR")]
    sharp: Option<PathBuf>,
    /// Share of the restoration that is added, as `honed run --strength`.
    #[arg(long, default_value_t = 1.0, value_parser = share)]
    strength: f32,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    student: String,
    #[serde(flatten)]
    harm: Harm,
}

impl HarmArgs {
    /// Measures and prints.
    ///
    /// # Errors
    /// When a student cannot be read, or no picture of a folder.
    pub fn run(self) -> anyhow::Result<()> {
        let sharp = self.sharp.as_deref().map_or(Ok(Vec::new()), pictures)?;
        let bar = progress::bar(self.students.len() as u64, "students");
        let mut rows = Vec::new();
        let names: Vec<_> = self.students.iter().map(|p| labels::of_path(p)).collect();
        let names = labels::distinct(&names, &[]);
        for (path, student) in self.students.iter().zip(names) {
            let mut model =
                open_onnx(path, EngineOptions::default(), UNPACK)?.with_strength(self.strength);
            let colour = model.colour();
            let pictures = sharp.iter().map(|path| Picture::load(path));
            let harm = harm::measure(&mut model, pictures, colour)?;
            rows.push(Row { student, harm });
            bar.inc(1);
        }
        bar.finish_and_clear();
        if self.json {
            println!("{}", serde_json::to_string_pretty(&rows)?);
        } else {
            println!("{}", table(&rows));
        }
        Ok(())
    }
}

/// The pictures of a folder; what cannot be read is named and left out.
fn pictures(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut problems = Vec::new();
    let mut pictures = images_in(folder)?;
    pictures.retain(|path| match read::check(path) {
        Ok(_) => true,
        Err(error) => {
            problems.push(Problem {
                path: path.display().to_string(),
                reason: error.to_string(),
            });
            false
        }
    });
    left_out::tell(&problems, pictures.len())?;
    Ok(pictures)
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header([
        "student",
        "sharp input dB",
        "worst dB",
        "overshoot %",
        "noise times",
    ]);
    let decibels = |value: Option<f64>| value.map_or("-".into(), |v| format!("{v:.1}"));
    for row in rows {
        let harm = row.harm;
        table.add_row([
            row.student.clone(),
            decibels(harm.sharp_psnr_db),
            decibels(harm.worst_psnr_db),
            format!("{:.1}", harm.overshoot_percent),
            format!("{:.2}", harm.noise_gain),
        ]);
    }
    table
}

//! `hone check`: is an ONNX file a sound student?

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};

use crate::check::{Against, check};
use crate::onnx::RUNTIMES;
use crate::train::run;

/// Checks a student's ONNX file: contract, numbers on hard frames, other runtimes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone check student.int8.onnx
  hone check student.onnx --run out/student
  hone check student.int8.onnx --against student.onnx --json")]
pub struct CheckArgs {
    /// The file.
    #[arg(required_unless_present = "runtimes")]
    model: Option<PathBuf>,
    /// Print which runtimes take which file, and stop.
    #[arg(long, conflicts_with = "model")]
    runtimes: bool,
    /// Another model to compare with, such as the f32 one; told, not judged.
    #[arg(long, value_name = "ONNX")]
    against: Option<PathBuf>,
    /// The run folder that the model was exported from: compares with its weights in torch.
    #[arg(long, value_name = "RUN_DIR")]
    run: Option<PathBuf>,
    /// Leave ONNX Runtime and OpenCV out (they run in the Python environment that `make test` sets up).
    #[arg(long)]
    no_python: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl CheckArgs {
    /// Checks and prints.
    ///
    /// # Errors
    /// When a file is missing or no student, or an executor disagrees with the board's engine.
    pub fn run(self) -> anyhow::Result<()> {
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let Some(path) = &self.model else {
            println!("{}", runtimes());
            return Ok(());
        };
        let model = read(path)?;
        let other = self.against.as_ref().map(read).transpose()?;
        let run = self.run.as_deref().map(run::open).transpose()?;
        let against = Against {
            other: other.as_deref(),
            checkpoint: run.as_ref().map(|run| run.student.as_ref()),
            python: !self.no_python,
        };
        let report = check(&model, against).with_context(|| path.display().to_string())?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            let halo = report
                .halo
                .map_or("whole frame".into(), |h| format!("{h} px"));
            println!(
                "{} {} student, SpaceToDepth {}, halo {halo}, {:.0} MAC/px, {} bytes\nruns on {}",
                report.colour,
                report.precision,
                report.scale,
                report.macs_per_pixel,
                report.bytes,
                report.engine
            );
            let mut table = Table::new();
            table.load_preset(UTF8_HORIZONTAL_ONLY);
            table.set_header(["compared with", "equal bytes", "worst", "on"]);
            for a in &report.agreements {
                table.add_row([
                    a.with.clone(),
                    format!("{:.4} %", 100.0 * a.equal),
                    a.worst.to_string(),
                    a.frame.clone(),
                ]);
            }
            println!("{table}");
            report
                .remarks
                .iter()
                .for_each(|remark| println!("{remark}"));
        }
        if !report.passed() {
            bail!(
                "{}: an executor differs from the board's engine by more than 1 step, or on more than 0.1 % of bytes",
                path.display()
            );
        }
        Ok(())
    }
}

/// Which runtimes take which file.
fn runtimes() -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    table.set_header(["runtime", "f32", "QDQ", "QOperator", "known from"]);
    for r in RUNTIMES {
        table.add_row([r.runtime, r.float, r.qdq, r.qoperator, r.source]);
    }
    table
}

//! `hone check`: is an ONNX file a sound student?

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use hone_shared::bundle::MAGIC;

use super::progress;
use crate::bundle;
use crate::check::{Against, Agreement, OTHER, PartReport, Report, check, check_bundle};
use crate::onnx::{RUNTIMES, RuntimeSupport};
use crate::train::run;

/// Checks a student's ONNX file, or every student of a bundle: contract, numbers on hard frames, other
/// runtimes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone check student.int8.onnx
  hone check student.onnx --run out/student
  hone check student.int8.onnx --against student.onnx --json
  hone check x.hone")]
pub struct CheckArgs {
    /// The file: a student (.onnx), or a bundle (.hone), whose INT8 students are compared with its f32 ones too.
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
        let Some(path) = &self.model else {
            if self.json {
                println!("{}", serde_json::to_string_pretty(&runtimes_as_json())?);
            } else {
                println!("{}", runtimes());
            }
            return Ok(());
        };
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let model = read(path)?;
        // A damaged bundle is told for one by its name.
        if model.starts_with(&MAGIC) || path.extension().is_some_and(|ending| ending == "hone") {
            return self.bundle(path);
        }
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
            print(&report);
        }
        judge(&report, &path.display().to_string())
    }

    fn bundle(&self, path: &Path) -> anyhow::Result<()> {
        ensure!(
            self.against.is_none() && self.run.is_none(),
            "a bundle's INT8 students are compared with its f32 ones: --against and --run go with an ONNX file"
        );
        let opened = bundle::open(path)?;
        let bar = progress::bar(opened.manifest().models.len() as u64, "students");
        let reports = check_bundle(&opened, !self.no_python, || bar.inc(1))
            .with_context(|| path.display().to_string())?;
        bar.finish_and_clear();
        if self.json {
            println!("{}", serde_json::to_string_pretty(&reports)?);
        } else {
            println!("{}", table_of_bundle(&reports));
        }
        for PartReport { student, report } in &reports {
            judge(report, &format!("{}: {student}", path.display()))?;
        }
        Ok(())
    }
}

fn judge(report: &Report, name: &str) -> anyhow::Result<()> {
    if !report.passed() {
        bail!(
            "{name}: an executor differs from the board's engine by more than 1 step, or on more than 0.1 % of bytes"
        );
    }
    Ok(())
}

fn print(report: &Report) {
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

/// One row for each student, one column for each executor that any of them was compared with.
fn table_of_bundle(reports: &[PartReport]) -> Table {
    let mut with: Vec<&str> = Vec::new();
    for agreement in reports.iter().flat_map(|r| &r.report.agreements) {
        if !with.contains(&agreement.with.as_str()) {
            with.push(&agreement.with);
        }
    }
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    let head = ["student", "bytes", "runs on"].into_iter();
    let title = |name: &&str| match *name {
        OTHER => "its f32 (told, not judged)".to_owned(),
        name => name.to_owned(),
    };
    table.set_header(head.map(str::to_owned).chain(with.iter().map(title)));
    for PartReport { student, report } in reports {
        let cell = |name: &&str| {
            let found = report.agreements.iter().find(|a| a.with == *name);
            found.map_or(String::new(), told)
        };
        let head = [
            student.clone(),
            report.bytes.to_string(),
            report.engine.clone(),
        ];
        table.add_row(head.into_iter().chain(with.iter().map(cell)));
    }
    table
}

/// How well an executor agrees, in a few words.
fn told(agreement: &Agreement) -> String {
    match agreement.worst {
        0 => "equal".into(),
        worst => format!("{:.2} % equal, worst {worst}", 100.0 * agreement.equal),
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

/// The same for programs.
fn runtimes_as_json() -> serde_json::Value {
    let runtime = |r: RuntimeSupport| {
        serde_json::json!({
            "runtime": r.runtime, "f32": r.float, "qdq": r.qdq, "qoperator": r.qoperator,
            "known_from": r.source,
        })
    };
    RUNTIMES.into_iter().map(runtime).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_read_the_table_of_runtimes_too() {
        let json = runtimes_as_json();
        let table = runtimes().to_string();
        for (i, r) in RUNTIMES.iter().enumerate() {
            assert_eq!(json[i]["runtime"], r.runtime);
            assert!(json[i]["qdq"].is_string() && table.contains(r.runtime));
        }
    }
}

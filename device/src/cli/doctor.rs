//! `honed doctor`: what this board has, lacks and needs.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;
use comfy_table::{Table, presets};
use hone_shared::config::StudentConfig;

use super::trust::TrustArgs;
use crate::camera::student::Source;
use crate::doctor::{self, Verdict};
use crate::journal::Journal;

const EXAMPLES: &str = "\
Examples:
  honed doctor
  honed doctor --bundle x.hone --trusted-key release.key.pub --json

The exit code is 0 unless something is bad.";

/// Checks board, cameras, GStreamer and student.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Also load and time the students of this bundle.
    #[arg(long, value_name = "X.hone")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Also load and time this student.
    #[arg(long, value_name = "X.onnx", conflicts_with = "bundle")]
    model: Option<PathBuf>,
    /// Print the checks as JSON.
    #[arg(long)]
    json: bool,
}

impl DoctorArgs {
    /// Checks and prints.
    ///
    /// # Errors
    /// When a check is bad: `honed` would not work.
    pub fn run(self) -> anyhow::Result<()> {
        // Not told to clap, whose conditions reach single flags only.
        ensure!(
            self.bundle.is_some() || !self.trust.given(),
            "--trusted-key and --allow-unsigned are for --bundle, which was not given"
        );
        let mut checks = doctor::examine();
        let source = match (self.bundle, self.model) {
            (Some(path), _) => Some(Source::Bundle {
                path,
                policy: self
                    .trust
                    .policy(&StudentConfig::default(), &Journal::default())?,
            }),
            (None, model) => model.map(Source::Model),
        };
        if let Some(source) = &source {
            checks.extend(doctor::examine_student(source));
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&checks)?);
        } else {
            let mut table = Table::new();
            table.load_preset(presets::NOTHING);
            table.set_header(["check", "", "found", "what to do"]);
            for check in &checks {
                table.add_row([
                    &check.what,
                    check.verdict.name(),
                    &check.found,
                    &check.advice,
                ]);
            }
            println!("{table}");
        }
        let bad: Vec<&str> = checks
            .iter()
            .filter(|c| c.verdict == Verdict::Bad)
            .map(|c| c.what.as_str())
            .collect();
        ensure!(
            bad.is_empty(),
            "honed does not work here yet: {}",
            bad.join(", ")
        );
        Ok(())
    }
}

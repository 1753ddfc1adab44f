//! `hone distill`: a recipe becomes a student.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::learning::LearningArgs;
use crate::train::distill::{self, DistillOptions};
use crate::train::dry_run;
use crate::train::interrupt::Interrupt;
use crate::train::run::read_recipe;
use crate::train::trainer::Outcome;

/// Distils a student from a recipe, under a frozen teacher.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone distill models/recipes/demo.toml --teacher out/teacher --out out/student
  hone distill models/recipes/demo.toml --teacher out/teacher --out out/student --resume
  hone distill models/recipes/demo.toml --cache out/cache --out out/student
  hone distill models/recipes/demo.toml --no-teacher --out out/alone --set optimizer.learning_rate=1e-3
  hone distill models/recipes/motion.toml --no-teacher --from models/motion.hone --out out/ours
  hone distill models/recipes/demo.toml --teacher out/teacher --dry-run

Ctrl-C saves the state, as does every epoch and every tenth minute of one; --resume goes on from there, on a
processor to the same bits as an uninterrupted run.")]
pub struct DistillArgs {
    /// Recipe (TOML).
    recipe: PathBuf,
    /// Folder for weights and logs.
    #[arg(long, value_name = "RUN_DIR", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// Start from these weights instead of random ones: an earlier run's best, an f32 ONNX file, or
    /// the f32 student of the recipe's shape in a bundle (.hone).
    #[arg(long, value_name = "RUN_DIR|FILE", conflicts_with = "resume")]
    from: Option<PathBuf>,
    /// Go on with the run in RUN_DIR.
    #[arg(long)]
    resume: bool,
    /// Say what would be done, how long it takes and how much memory, and stop.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    learning: LearningArgs,
    /// Print the outcome as JSON on standard output.
    #[arg(long)]
    json: bool,
}

impl DistillArgs {
    /// Runs the command.
    ///
    /// # Errors
    /// One sentence that says what failed, where, and what to do.
    pub fn run(self) -> anyhow::Result<()> {
        let text = read_recipe(&self.recipe)?;
        let out = self.out.unwrap_or_default();
        let options = DistillOptions {
            resume: self.resume,
            from: self.from,
            interrupt: match self.dry_run {
                true => Interrupt::default(),
                false => Interrupt::on_signals()?,
            },
            ..self.learning.options(text, out.clone())?
        };
        if self.dry_run {
            let plan = dry_run::measure(&options)?;
            if self.json {
                println!("{}", serde_json::to_string_pretty(&plan)?);
            } else {
                println!("{plan}");
            }
            return Ok(());
        }
        finish(
            &distill::run(&options)?,
            &out.display().to_string(),
            self.json,
        )
    }
}

/// Tells how a training ended; an interrupted one is an error, so that scripts stop too.
pub(super) fn finish(outcome: &Outcome, out: &str, json: bool) -> anyhow::Result<()> {
    if outcome.interrupted {
        bail!(
            "stopped in epoch {}; the state is in {out}, --resume goes on",
            outcome.epochs + 1
        );
    }
    if json {
        println!("{}", serde_json::to_string_pretty(outcome)?);
        return Ok(());
    }
    if let Some((epoch, best)) = outcome.best {
        println!(
            "best: epoch {epoch} of {}, {best} ({:+.2} dB PSNR over the input), in {:.0} s\n{out}",
            outcome.epochs,
            best.psnr - outcome.input.psnr,
            outcome.seconds
        );
    }
    Ok(())
}

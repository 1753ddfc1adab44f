//! `hone distill`: a recipe becomes a student.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::torch_device::DeviceChoice;
use crate::recipe::RecipeText;
use crate::train::distill::{self, DistillOptions};
use crate::train::dry_run;
use crate::train::interrupt::Interrupt;
use crate::train::trainer::Outcome;

/// Distils a student from a recipe, under a frozen teacher.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone distill models/recipes/demo.toml --teacher out/teacher --out out/student
  hone distill models/recipes/demo.toml --teacher out/teacher --out out/student --resume
  hone distill models/recipes/demo.toml --cache out/cache --out out/student
  hone distill models/recipes/demo.toml --no-teacher --out out/alone --set optimizer.learning_rate=1e-3
  hone distill models/recipes/demo.toml --teacher out/teacher --dry-run

Ctrl-C saves the state; --resume goes on from there, to the same bits as an uninterrupted run.")]
pub struct DistillArgs {
    /// Recipe (TOML).
    recipe: PathBuf,
    /// Folder for weights and logs.
    #[arg(long, value_name = "RUN_DIR", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// Folder of `hone teacher train`, or a weights file, instead of the recipe's.
    #[arg(long, value_name = "PATH", conflicts_with = "no_teacher")]
    teacher: Option<PathBuf>,
    /// Folder of `hone teacher cache`: patches and answers from there, the teacher itself is not run.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Leave the teacher and every loss that needs it out, for comparison.
    #[arg(long)]
    no_teacher: bool,
    /// Start from the best weights of this earlier run instead of random ones.
    #[arg(long, value_name = "RUN_DIR", conflicts_with = "resume")]
    from: Option<PathBuf>,
    /// Go on with the run in RUN_DIR.
    #[arg(long)]
    resume: bool,
    /// Say what would be done, how long it takes and how much memory, and stop.
    #[arg(long)]
    dry_run: bool,
    /// Change a key of the recipe; lists by index (stage.0.crop=64). May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// cpu, cuda, cuda:N or auto.
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
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
        let mut text = RecipeText::read(&self.recipe)?;
        text.set(&self.set)?;
        if self.no_teacher {
            text.remove_teacher()?;
        }
        let device = self.device.resolve()?;
        if self.dry_run {
            let plan = dry_run::measure(
                &text,
                self.teacher.as_deref(),
                self.cache.as_deref(),
                device,
            )?;
            if self.json {
                println!("{}", serde_json::to_string_pretty(&plan)?);
            } else {
                println!("{plan}");
            }
            return Ok(());
        }
        let Some(out) = self.out else {
            bail!("name a folder with --out");
        };
        let options = DistillOptions {
            text,
            out: out.clone(),
            resume: self.resume,
            from: self.from,
            teacher: self.teacher,
            cache: self.cache,
            device,
            interrupt: Interrupt::on_signals()?,
        };
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
            "best: epoch {epoch} of {}, PSNR {:.2} dB ({:+.2} over the input), SSIM {:.4}, in {:.0} s\n{out}",
            outcome.epochs,
            best.psnr,
            best.psnr - outcome.input.psnr,
            best.ssim,
            outcome.seconds
        );
    }
    Ok(())
}

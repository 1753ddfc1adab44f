//! `hone teacher train`: a recipe becomes a teacher.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::distill::finish;
use super::torch_device::DeviceChoice;
use crate::recipe::RecipeText;
use crate::train::interrupt::Interrupt;
use crate::train::teacher::{self, TeacherOptions};

/// Trains a teacher from a recipe.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone teacher train models/recipes/demo-teacher.toml --out out/teacher
  hone teacher train models/recipes/demo-teacher.toml --out out/teacher --resume
  hone teacher train fine.toml --from motion_deblurring.pth --out out/fine

The folder serves as `hone distill --teacher out/teacher`.")]
pub struct TrainArgs {
    /// Recipe (TOML) with a `[network]` table.
    recipe: PathBuf,
    /// Folder for weights and logs.
    #[arg(long, value_name = "RUN_DIR")]
    out: PathBuf,
    /// Weights to start from instead of random ones: the authors' .pth, or .safetensors.
    #[arg(long, value_name = "WEIGHTS", conflicts_with = "resume")]
    from: Option<PathBuf>,
    /// Go on with the run in RUN_DIR.
    #[arg(long)]
    resume: bool,
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

impl TrainArgs {
    /// Runs the command.
    ///
    /// # Errors
    /// One sentence that says what failed, where, and what to do.
    pub fn run(self) -> anyhow::Result<()> {
        let mut text = RecipeText::read(&self.recipe)?;
        text.set(&self.set)?;
        if let Some(from) = &self.from {
            let from = from
                .canonicalize()
                .with_context(|| format!("cannot read the weights {}", from.display()))?;
            text.set(&[format!("from={}", from.display())])?;
        }
        let options = TeacherOptions {
            text,
            out: self.out.clone(),
            resume: self.resume,
            device: self.device.resolve()?,
            interrupt: Interrupt::on_signals()?,
        };
        finish(
            &teacher::run(&options)?,
            &self.out.display().to_string(),
            self.json,
        )
    }
}

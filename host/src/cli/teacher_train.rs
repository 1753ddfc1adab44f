//! `hone teacher train`: a recipe becomes a teacher.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::distill::finish;
use super::torch_device::DeviceChoice;
use crate::recipe::{RecipeText, TeacherRecipe};
use crate::train::interrupt::Interrupt;
use crate::train::run::{RECIPE, read_recipe};
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
    /// Weights to start from instead of random ones: the authors' .pth, or .safetensors. --resume knows them without.
    #[arg(long, value_name = "WEIGHTS")]
    from: Option<PathBuf>,
    /// Go on with the run in RUN_DIR.
    #[arg(long)]
    resume: bool,
    /// Change a key of the recipe; lists by index (stage.0.crop=64). Relative paths start here, those in the recipe from
    /// its own folder. May be repeated.
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
        let mut text = read_recipe(&self.recipe)?;
        text.set(&self.set)?;
        if let Some(from) = self.start(&text)? {
            text.start_from(&from)?;
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

    /// What `from` of the recipe has to become, if anything: a run that was started by `--from` has it in its recipe.
    fn start(&self, text: &RecipeText) -> anyhow::Result<Option<PathBuf>> {
        if let Some(from) = &self.from {
            let from = from
                .canonicalize()
                .with_context(|| format!("cannot read the weights {}", from.display()))?;
            return Ok(Some(from));
        }
        let kept = self.out.join(RECIPE);
        if !self.resume || !kept.exists() {
            return Ok(None);
        }
        let old = TeacherRecipe::from_text(&RecipeText::read(&kept)?)?.from;
        let new = TeacherRecipe::from_text(text)?.from;
        Ok(match old {
            // As it stands the text is the one that the run was started with.
            Some(from) if new.as_ref() != Some(&from) => Some(from),
            _ => None,
        })
    }
}

//! `hone recipe`: every key there is, and whether a recipe is well.

use std::path::PathBuf;

use clap::Args;

use crate::recipe::{Outline, REFERENCE};
use crate::train::run::read_recipe;

/// Prints every key of a recipe, or checks a recipe.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone recipe > reference.toml
  hone recipe models/recipes/demo.toml
  hone recipe models/recipes/demo.toml --set student.channels=16 --json

Files that a recipe names are not looked at; `hone distill --dry-run` does that, and says how long the training takes.")]
pub struct RecipeArgs {
    /// Recipe (TOML) of a student or a teacher to check. Without it every key is printed, explained, with its default.
    #[arg(value_name = "RECIPE")]
    file: Option<PathBuf>,
    /// Change a key of the recipe; lists by index (stage.0.crop=64). Relative paths start here, those in the recipe from
    /// its own folder. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "file")]
    set: Vec<String>,
    /// Print what it would train as JSON.
    #[arg(long, requires = "file")]
    json: bool,
}

impl RecipeArgs {
    /// Runs the command.
    ///
    /// # Errors
    /// The file and the line at fault, in one sentence.
    pub fn run(self) -> anyhow::Result<()> {
        let Some(file) = self.file else {
            print!("{REFERENCE}");
            return Ok(());
        };
        let mut text = read_recipe(&file)?;
        text.set(&self.set)?;
        let outline = Outline::of(&text)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&outline)?);
        } else {
            println!("{} is well\n{outline}", file.display());
        }
        Ok(())
    }
}

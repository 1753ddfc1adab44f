//! `hone data bench`: the loader's speed, alone and under a training.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::learning::LearningArgs;
use crate::train::feed_bench::{self, FeedBenchOptions};
use crate::train::run::read_recipe;

/// Arguments of `hone data bench`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone data bench models/recipes/ladder-nano.toml --no-teacher --set data.root=photos --set stage.0.crop=128
  hone data bench models/recipes/ladder-nano.toml --set data.root=photos --cache out/cache
  make bench-loader   # beside PyTorch's DataLoader")]
pub struct DataBenchArgs {
    /// Recipe of a student (TOML); its first stage is measured.
    recipe: PathBuf,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// Measure the loader only, no training steps.
    #[arg(long)]
    loader_only: bool,
    #[command(flatten)]
    learning: LearningArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|s| (0.1..=3600.0).contains(s));
    value.ok_or_else(|| format!("'{text}' does not lie in 0.1..3600"))
}

impl DataBenchArgs {
    /// Measures and prints.
    ///
    /// # Errors
    /// When the recipe, its data, its teacher or its cache does not serve.
    pub fn run(self) -> anyhow::Result<()> {
        let text = read_recipe(&self.recipe)?;
        let learning = self.learning.options(text, PathBuf::new())?;
        let measured = feed_bench::measure(&FeedBenchOptions {
            text: learning.text,
            teacher: learning.teacher,
            cache: learning.cache,
            device: learning.device,
            span: Duration::from_secs_f64(self.seconds),
            training: !self.loader_only,
        })?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&measured)?);
        } else {
            println!("{measured}");
        }
        Ok(())
    }
}

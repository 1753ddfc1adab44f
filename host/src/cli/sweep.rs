//! `hone sweep`: a grid of distillations.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;
use comfy_table::Table;

use super::learning::LearningArgs;
use crate::train::cache::Shard;
use crate::train::distill::DistillOptions;
use crate::train::interrupt::Interrupt;
use crate::train::run::read_recipe;
use crate::train::sweep::{self, Axis, SweepRow};

/// Distils once for every combination of a grid of recipe keys.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone sweep models/recipes/demo.toml --no-teacher --grid optimizer.learning_rate=1e-3,2e-3 --grid student.channels=8,16 --out out/sweep
  hone sweep models/recipes/demo.toml --cache out/cache --grid seed=1,2,3 --out out/seeds --shard 2/3

The table is in OUT/sweep.csv too, from the first run that ends. A run that fails is told at the end
and keeps no other from its turn. The same command goes on after Ctrl-C; shards may share OUT.")]
pub struct SweepArgs {
    /// Recipe (TOML).
    recipe: PathBuf,
    /// A key and its values; may be repeated, every combination is trained.
    #[arg(long, value_name = "KEY=VALUE,VALUE", required = true)]
    grid: Vec<Axis>,
    /// Folder of the runs, OUT/001 and so on.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Train part I of N of the runs only, I from 1: one task of a batch system's array.
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    shard: Shard,
    #[command(flatten)]
    learning: LearningArgs,
    /// Print the table as JSON.
    #[arg(long)]
    json: bool,
}

impl SweepArgs {
    /// Runs the command.
    ///
    /// # Errors
    /// One sentence that says what failed, where, and what to do.
    pub fn run(self) -> anyhow::Result<()> {
        let text = read_recipe(&self.recipe)?;
        for axis in &self.grid {
            let loses = |key: &str| {
                let rest = key.strip_prefix(axis.key());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            ensure!(
                !self.learning.keys().any(loses),
                "--set and --grid both give {}: list all of its values in --grid",
                axis.key()
            );
        }
        let options = DistillOptions {
            interrupt: Interrupt::on_signals()?,
            ..self.learning.options(text, self.out)?
        };
        let outcome = sweep::run(&options, &self.grid, self.shard)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&outcome.rows)?);
        } else {
            show(outcome.rows);
        }
        ensure!(
            outcome.failed.is_empty(),
            "{} of the runs failed, and the same command tries them again: {}",
            outcome.failed.len(),
            outcome.failed.join("; ")
        );
        Ok(())
    }
}

/// Prints the table.
fn show(rows: Vec<SweepRow>) {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header([
        "run",
        "settings",
        "best epoch",
        "PSNR dB",
        "SSIM",
        "seconds",
    ]);
    for row in rows {
        let best = row.best.map(|(epoch, s)| (epoch.to_string(), s));
        let (epoch, scores) = best.map_or(("-".to_owned(), None), |(e, s)| (e, Some(s)));
        let number = |value: Option<f64>, digits: usize| {
            value.map_or("-".to_owned(), |v| format!("{v:.digits$}"))
        };
        table.add_row([
            row.run,
            row.settings.join("\n"),
            epoch,
            number(scores.map(|s| s.psnr), 2),
            number(scores.map(|s| s.ssim), 4),
            number(Some(row.seconds), 0),
        ]);
    }
    println!("{table}");
}

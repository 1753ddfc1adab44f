//! `hone teacher cache`: a teacher's answers on disk.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};

use super::torch_device::DeviceChoice;
use crate::data::pool;
use crate::train::cache::{self, CacheOptions, Shard};
use crate::train::interrupt::Interrupt;
use crate::train::run::read_recipe;

/// Makes a fixed pool of degraded patches with the teacher's answers, for `hone distill --cache`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:
  hone teacher cache models/recipes/demo.toml --teacher out/teacher --out out/cache
  hone teacher cache models/recipes/demo.toml --teacher out/teacher --out out/part2 --shard 2/8
  hone teacher cache merge out/part1 out/part2 --out out/cache
  hone distill models/recipes/demo.toml --cache out/cache --out out/student

The recipe's [data] pool says how many patches. Ctrl-C or a crash loses at most 32 of them: the same
command goes on. A cache made from other pictures, another degradation, seed or teacher is refused."
)]
pub struct CacheArgs {
    #[command(subcommand)]
    command: Option<CacheCommand>,
    /// Recipe of a student (TOML): data, crops, teacher, and the feature maps its losses look at.
    #[arg(required = true)]
    recipe: Option<PathBuf>,
    /// Folder of the cache.
    #[arg(long, value_name = "DIR", required = true)]
    out: Option<PathBuf>,
    /// Folder of `hone teacher train`, or a weights file, instead of the recipe's.
    #[arg(long, value_name = "PATH", conflicts_with = "no_teacher")]
    teacher: Option<PathBuf>,
    /// Patches only, no answers.
    #[arg(long)]
    no_teacher: bool,
    /// Make part I of N only, I from 1: one task of a batch system's array.
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    shard: Shard,
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

#[derive(Debug, Subcommand)]
enum CacheCommand {
    /// Join the parts that shards made
    Merge(MergeArgs),
}

/// Joins the parts that shards made into one cache.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  hone teacher cache merge out/part1 out/part2 --out out/cache")]
struct MergeArgs {
    /// Folders that `hone teacher cache --shard` filled.
    #[arg(required = true, value_name = "DIR")]
    parts: Vec<PathBuf>,
    /// Folder of the whole cache.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl CacheArgs {
    /// Runs the command.
    ///
    /// # Errors
    /// One sentence that says what failed, where, and what to do.
    pub fn run(self) -> anyhow::Result<()> {
        if let Some(CacheCommand::Merge(args)) = self.command {
            let copied = pool::merge(&args.parts, &args.out)?;
            println!("{copied} chunks copied\n{}", args.out.display());
            return Ok(());
        }
        let (Some(recipe), Some(out)) = (self.recipe, self.out) else {
            bail!("name a recipe and a folder with --out");
        };
        let mut text = read_recipe(&recipe)?;
        text.set(&self.set)?;
        if self.no_teacher {
            text.remove_teacher()?;
        }
        let outcome = cache::run(&CacheOptions {
            text,
            teacher: self.teacher,
            out: out.clone(),
            shard: self.shard,
            device: self.device.resolve()?,
            interrupt: Interrupt::on_signals()?,
        })?;
        if outcome.interrupted {
            bail!(
                "stopped; {} new patches are in {}, the same command goes on",
                outcome.patches,
                out.display()
            );
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&outcome)?);
        } else {
            println!(
                "{} patches made, {:.1} MB written, {} of {} chunks were there\n{}",
                outcome.patches,
                outcome.bytes as f64 / 1e6,
                outcome.kept,
                outcome.chunks,
                out.display()
            );
        }
        Ok(())
    }
}

//! `hone teacher`: everything about the heavy networks.

use clap::{Args, Subcommand};

use super::teacher_bench::BenchArgs;
use super::teacher_cache::CacheArgs;
use super::teacher_info::InfoArgs;
use super::teacher_list::ListArgs;
use super::teacher_pairs::PairsArgs;
use super::teacher_run::RunArgs;
use super::teacher_train::TrainArgs;

/// Arguments of `hone teacher`.
#[derive(Debug, Args)]
pub struct TeacherArgs {
    /// What to do with a teacher.
    #[command(subcommand)]
    pub command: TeacherCommand,
}

/// Every `hone teacher` command.
#[derive(Debug, Subcommand)]
pub enum TeacherCommand {
    /// The published teachers: size, cost, where their weights are, under which licence
    List(ListArgs),
    /// What a weights file holds, and which architecture and options it fits
    Info(InfoArgs),
    /// Restore an image or a tensor
    Run(RunArgs),
    /// Time the forward pass
    Bench(BenchArgs),
    /// Train a teacher from a recipe
    Train(TrainArgs),
    /// Pair a camera's own frames with a teacher's answers, where nobody has sharp ones
    Pairs(PairsArgs),
    /// Put a teacher's answers on disk, for fast distillation
    Cache(Box<CacheArgs>),
}

impl TeacherArgs {
    /// Runs the chosen command.
    ///
    /// # Errors
    /// One sentence that says what failed, where, and what to do.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            TeacherCommand::List(args) => args.run(),
            TeacherCommand::Info(args) => args.run(),
            TeacherCommand::Run(args) => args.run(),
            TeacherCommand::Bench(args) => args.run(),
            TeacherCommand::Train(args) => args.run(),
            TeacherCommand::Pairs(args) => args.run(),
            TeacherCommand::Cache(args) => args.run(),
        }
    }
}

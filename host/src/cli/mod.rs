//! The command line of `hone`: one file for each command, all the work in the library's modules.

pub mod bundle;
pub mod check;
pub mod data;
pub mod data_bench;
pub mod data_frames;
pub mod data_index;
pub mod data_pairs;
pub mod data_sharpness;
pub mod deploy;
pub mod distill;
pub mod eval;
pub mod export;
pub mod harm;
pub mod learned;
pub mod learning;
pub mod left_out;
pub mod metrics;
pub mod monitor;
pub mod overwrite;
pub mod progress;
pub mod prune;
pub mod quantize;
pub mod recipe;
pub mod report;
pub mod restore;
pub mod restorer;
pub mod size;
pub mod student;
pub mod sweep;
pub mod teacher;
pub mod teacher_bench;
pub mod teacher_cache;
pub mod teacher_info;
pub mod teacher_io;
pub mod teacher_list;
pub mod teacher_pairs;
pub mod teacher_run;
pub mod teacher_train;
pub mod teacher_weights;
pub mod torch_device;

use clap::{Parser, Subcommand};

/// Distils heavy image-restoration networks into tiny students for live video on small boards.
#[derive(Debug, Parser)]
#[command(
    name = "hone",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Every command of `hone`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a trained student as f32 ONNX.
    Export(export::ExportArgs),
    /// Write a trained student as INT8 ONNX.
    Quantize(quantize::QuantizeArgs),
    /// Draw, index, verify and degrade pictures.
    #[command(subcommand)]
    Data(data::DataCommand),
    /// Check a student's ONNX file: contract, numbers, other runtimes.
    Check(check::CheckArgs),
    /// Compare restorers on pairs of degraded and sharp pictures.
    Eval(Box<eval::EvalArgs>),
    /// Measure what students do to pictures that need nothing.
    Harm(harm::HarmArgs),
    /// Print every key of a recipe, or check a recipe.
    Recipe(recipe::RecipeArgs),
    /// Distil a student from a recipe, under a frozen teacher.
    Distill(distill::DistillArgs),
    /// Distil once for every combination of a grid of recipe keys.
    Sweep(sweep::SweepArgs),
    /// Take the weakest channels out of a student and train what is left.
    Prune(prune::PruneArgs),
    /// Keys and bundles: pack, sign, verify, inspect
    Bundle(bundle::BundleArgs),
    /// Bring a bundle to boards over ssh
    Deploy(Box<deploy::DeployArgs>),
    /// Show what runs on boards
    Status(deploy::StatusArgs),
    /// Bring the bundle before back on boards
    Rollback(deploy::RollbackArgs),
    /// Show many boards in one live table
    Monitor(monitor::MonitorArgs),
    /// Measure pictures or videos against their references.
    Metrics(metrics::MetricsArgs),
    /// Make rating pages and score their answers.
    Report(report::ReportArgs),
    /// Restore an image, a folder of images or a video.
    Restore(restore::RestoreArgs),
    /// Students: list their sizes.
    Student(student::StudentCommandArgs),
    /// Teachers: list, inspect, run, train
    Teacher(teacher::TeacherArgs),
}

impl Cli {
    /// Runs the chosen command.
    ///
    /// # Errors
    /// One sentence that says what failed, where, and what to do.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Export(args) => args.run(),
            Command::Quantize(args) => args.run(),
            Command::Data(command) => command.run(),
            Command::Check(args) => args.run(),
            Command::Eval(args) => args.run(),
            Command::Harm(args) => args.run(),
            Command::Recipe(args) => args.run(),
            Command::Distill(args) => args.run(),
            Command::Sweep(args) => args.run(),
            Command::Prune(args) => args.run(),
            Command::Bundle(args) => args.run(),
            Command::Deploy(args) => args.run(),
            Command::Status(args) => args.run(),
            Command::Rollback(args) => args.run(),
            Command::Monitor(args) => args.run(),
            Command::Metrics(args) => args.run(),
            Command::Report(args) => args.run(),
            Command::Restore(args) => args.run(),
            Command::Student(args) => args.run(),
            Command::Teacher(args) => args.run(),
        }
    }
}

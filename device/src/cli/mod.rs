//! The command line of `honed`: one file for each command, all the work in the library's modules.

pub mod bench;
mod choose;
#[cfg(feature = "camera")]
pub mod config;
#[cfg(feature = "camera")]
pub mod doctor;
pub mod inspect;
#[cfg(feature = "camera")]
pub mod run;
#[cfg(feature = "camera")]
mod serve;
#[cfg(feature = "camera")]
pub mod sources;

use clap::{Parser, Subcommand};

/// Sharpens live camera streams on small boards.
#[derive(Debug, Parser)]
#[command(
    name = "honed",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Every command of `honed`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sharpens a camera or a file.
    #[cfg(feature = "camera")]
    Run(Box<run::RunArgs>),
    /// Measures a student on this machine.
    Bench(bench::BenchArgs),
    /// Says what a student is and which executor runs it here.
    Inspect(inspect::InspectArgs),
    /// Prints or checks a configuration.
    #[cfg(feature = "camera")]
    Config(config::ConfigArgs),
    /// Lists the cameras with their modes.
    #[cfg(feature = "camera")]
    Sources(sources::SourcesArgs),
    /// Checks board, cameras, GStreamer and student.
    #[cfg(feature = "camera")]
    Doctor(doctor::DoctorArgs),
}

impl Cli {
    /// Runs the chosen command.
    ///
    /// # Errors
    /// One sentence that says what failed, where, and what to do.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            #[cfg(feature = "camera")]
            Command::Run(args) => args.run(),
            Command::Bench(args) => args.run(),
            Command::Inspect(args) => args.run(),
            #[cfg(feature = "camera")]
            Command::Config(args) => args.run(),
            #[cfg(feature = "camera")]
            Command::Sources(args) => args.run(),
            #[cfg(feature = "camera")]
            Command::Doctor(args) => args.run(),
        }
    }
}

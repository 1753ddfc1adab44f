//! The command line of `honed`: one file for each command, all the work in the library's modules.

pub mod bench;
#[cfg(all(feature = "camera", any(feature = "page", feature = "telemetry")))]
mod beside;
mod choose;
pub mod config;
#[cfg(feature = "camera")]
pub mod doctor;
pub mod inspect;
#[cfg(feature = "camera")]
mod launch;
#[cfg(feature = "camera")]
mod on_trial;
#[cfg(feature = "camera")]
mod outputs;
mod owner;
#[cfg(feature = "page")]
mod page;
#[cfg(feature = "camera")]
mod reload;
#[cfg(feature = "camera")]
pub mod run;
#[cfg(feature = "camera")]
mod serve;
#[cfg(feature = "camera")]
mod signals;
pub mod slots;
#[cfg(feature = "camera")]
pub mod sources;
#[cfg(feature = "camera")]
mod specs;
#[cfg(feature = "camera")]
mod students;
#[cfg(feature = "page")]
pub mod token;
mod trust;
#[cfg(feature = "camera")]
mod unused;
#[cfg(feature = "camera")]
mod wiring;

use std::process::ExitCode;

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
    Config(config::ConfigArgs),
    /// Installs bundles into the slots of this board.
    Slots(slots::SlotsArgs),
    /// Shows the slots of this board.
    Status(slots::StatusArgs),
    /// Goes back to the slot before.
    Rollback(slots::RollbackArgs),
    /// Makes, lists and revokes the page's tokens.
    #[cfg(feature = "page")]
    Token(token::TokenArgs),
    /// Lists the cameras with their modes.
    #[cfg(feature = "camera")]
    Sources(sources::SourcesArgs),
    /// Checks board, cameras, GStreamer and student.
    #[cfg(feature = "camera")]
    Doctor(doctor::DoctorArgs),
}

impl Cli {
    /// Runs the chosen command; what the program ends with.
    ///
    /// # Errors
    /// One sentence that says what failed, where, and what to do.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            #[cfg(feature = "camera")]
            Command::Run(args) => return args.run(),
            Command::Bench(args) => args.run(),
            Command::Inspect(args) => args.run(),
            Command::Config(args) => args.run(),
            Command::Slots(args) => args.run(),
            Command::Status(args) => args.run(),
            Command::Rollback(args) => args.run(),
            #[cfg(feature = "page")]
            Command::Token(args) => args.run(),
            #[cfg(feature = "camera")]
            Command::Sources(args) => args.run(),
            #[cfg(feature = "camera")]
            Command::Doctor(args) => args.run(),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

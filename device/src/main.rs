//! `honed`: sharpens a live camera stream.

use std::process::ExitCode;

use clap::Parser;
use hone_device::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! `hone`: distil, quantise, bundle and deploy tiny restoration networks.

use std::process::ExitCode;

use clap::Parser;
use hone_host::cli::Cli;
use hone_host::closed_pipe;

fn main() -> ExitCode {
    closed_pipe::end_quietly();
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

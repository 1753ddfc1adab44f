//! `hone`: distil, quantise, bundle and deploy tiny restoration networks.

use std::process::ExitCode;

use clap::Parser;
use hone_host::cli::Cli;
use hone_host::train::interrupt::exit_status;
use hone_shared::printable::printable;

fn main() -> ExitCode {
    hone_shared::print::end_when_it_fails();
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", printable(format_args!("{error:#}")));
            // What a signal stopped is no failure of its own.
            exit_status().map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

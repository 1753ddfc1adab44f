//! `honed`: sharpens a live camera stream.

use std::process::ExitCode;

use clap::Parser;
use hone_device::cli::Cli;
use hone_shared::print;

fn main() -> ExitCode {
    print::end_when_it_fails();
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

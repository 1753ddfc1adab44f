//! `honed`: sharpens a live camera stream.

use std::process::ExitCode;

use clap::Parser;
use hone_device::cli::Cli;
use hone_shared::print;
use hone_shared::printable::printable;

fn main() -> ExitCode {
    print::end_when_it_fails();
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", printable(format_args!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

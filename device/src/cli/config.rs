//! `honed config`: the configuration file.

use std::path::PathBuf;

use anyhow::Context;
use clap::{ArgGroup, Args};
use hone_shared::config::{Config, DEFAULT};

use crate::journal::Journal;
#[cfg(feature = "camera")]
use crate::systemd;

const EXAMPLES: &str = "\
Examples:
  honed config --print-default > honed.toml
  honed config --check honed.toml
  honed run --config honed.toml";

/// Prints or checks a configuration.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("action").args(["print_default", "check"]).required(true))]
pub struct ConfigArgs {
    /// Print the default configuration, every key explained.
    #[arg(long)]
    print_default: bool,
    /// Check a configuration file.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

impl ConfigArgs {
    /// Prints or checks.
    ///
    /// # Errors
    /// The file that cannot be read, or its line or key at fault.
    pub fn run(self) -> anyhow::Result<()> {
        if let Some(path) = self.check {
            let config = read(&path)?;
            #[cfg(feature = "camera")]
            super::specs::check(&config).with_context(|| path.display().to_string())?;
            for unused in unused(&config, false) {
                eprintln!("warning: {}: {unused}", path.display());
            }
            println!("{} is a configuration of honed", path.display());
        } else {
            print!("{DEFAULT}");
        }
        Ok(())
    }
}

/// Reads a configuration file.
///
/// # Errors
/// The file that cannot be read, or its line or key at fault.
pub fn read(path: &std::path::Path) -> anyhow::Result<Config> {
    Config::parse(&text(path)?).with_context(|| path.display().to_string())
}

/// Reads a configuration that may be of a later version: what this one does not know is left out and told.
///
/// # Errors
/// As [`read`], for everything else that is wrong.
pub(super) fn read_known(path: &std::path::Path, journal: &Journal) -> anyhow::Result<Config> {
    let (config, left_out) =
        Config::parse_known(&text(path)?).with_context(|| path.display().to_string())?;
    for key in left_out {
        journal.say(format_args!(
            "warning: {}: this version of honed does not know {key} and goes on without it",
            path.display()
        ));
    }
    Ok(config)
}

/// Reads a configuration as `honed run` does: a service must not go dark, or stay as it was, for a key of the version that
/// it went back from; at a terminal such a key is a mistake.
///
/// # Errors
/// As [`read`].
#[cfg(feature = "camera")]
pub(super) fn read_for_run(path: &std::path::Path, journal: &Journal) -> anyhow::Result<Config> {
    match systemd::is_service() {
        true => read_known(path, journal),
        false => read(path),
    }
}

/// What `config` sets without effect; `page` says whether a page is served though the configuration names no address.
pub(super) fn unused(config: &Config, page: bool) -> impl Iterator<Item = &'static str> {
    let of_page = config.page.unused().filter(|_| !page);
    config.gpio.unused().into_iter().chain(of_page)
}

fn text(path: &std::path::Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration {}", path.display()))
}

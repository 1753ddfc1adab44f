//! `honed config`: the configuration file.

use std::path::PathBuf;

use anyhow::Context;
use clap::{ArgGroup, Args};
use hone_shared::config::{Config, DEFAULT};

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
            read(&path)?;
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
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration {}", path.display()))?;
    Config::parse(&text).with_context(|| path.display().to_string())
}

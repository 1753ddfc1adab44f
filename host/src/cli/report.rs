//! `hone report`: rating pages for people, and their results.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use hone_device::atomic::write_bytes;

use super::overwrite;
use crate::report::mos;
use crate::restore::images_in;

/// Arguments of `hone report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// What to make.
    #[command(subcommand)]
    command: ReportCommand,
}

/// Every `hone report` command.
#[derive(Debug, Subcommand)]
enum ReportCommand {
    /// Write a blind, randomised rating page that works offline.
    #[command(after_help = "Example:
  hone report mos --method input=blur/ --method student=restored/ --out rate.html --key rate.key.json")]
    Mos {
        /// A method and the folder of its pictures; repeat for each, all with the same file names.
        #[arg(long, value_name = "NAME=DIR", value_parser = method, required = true)]
        method: Vec<(String, PathBuf)>,
        /// The page for raters.
        #[arg(long)]
        out: PathBuf,
        /// The key that tells methods apart, a new file; keep it from raters.
        #[arg(long)]
        key: PathBuf,
        /// Seed of the numbering.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Turn collected CSV files into mean opinion scores with 95 % confidence intervals.
    #[command(after_help = "Example:
  hone report opinions --key rate.key.json ratings-*.csv")]
    Opinions {
        /// The key of the rating page.
        #[arg(long)]
        key: PathBuf,
        /// The raters' files.
        #[arg(required = true)]
        ratings: Vec<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

fn method(text: &str) -> Result<(String, PathBuf), String> {
    let (name, folder) = text.split_once('=').ok_or("write it as NAME=DIR")?;
    Ok((name.to_owned(), folder.into()))
}

impl ReportArgs {
    /// Runs the chosen command.
    ///
    /// # Errors
    /// When a file cannot be read or written, a key is there already, or a rating is malformed or of another key's page.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            ReportCommand::Mos {
                method,
                out,
                key,
                seed,
            } => {
                overwrite::refuse(&out, [key.as_path()])?;
                ensure!(
                    !key.exists(),
                    "{} is there already, and without it the ratings of its page mean nothing: name a new file with --key",
                    key.display()
                );
                for (_, folder) in &method {
                    for picture in images_in(folder)? {
                        overwrite::refuse(&out, [picture.as_path()])?;
                        overwrite::refuse(&key, [picture.as_path()])?;
                    }
                }
                let (page, items) = mos::kit(&method, seed)?;
                // The key last: where it is there, so is its page.
                write_bytes(&out, page.as_bytes())?;
                write_bytes(&key, &serde_json::to_vec_pretty(&items)?)?;
                Ok(())
            }
            ReportCommand::Opinions { key, ratings, json } => {
                let bytes = std::fs::read(&key)
                    .with_context(|| format!("cannot read {}", key.display()))?;
                let items: Vec<mos::Item> = serde_json::from_slice(&bytes)
                    .with_context(|| format!("{} is no key of a rating page", key.display()))?;
                let opinions = mos::score(&items, &ratings)?;
                if json {
                    println!("{}", serde_json::to_string_pretty(&opinions)?);
                    return Ok(());
                }
                let mut table = Table::new();
                table.load_preset(UTF8_HORIZONTAL_ONLY);
                table.set_header(["method", "MOS", "95 %", "ratings"]);
                for o in opinions {
                    table.add_row([
                        o.method,
                        format!("{:.2}", o.mean),
                        o.interval
                            .0
                            .map_or(String::new(), |half| format!("± {half:.2}")),
                        o.ratings.to_string(),
                    ]);
                }
                println!("{table}");
                Ok(())
            }
        }
    }
}

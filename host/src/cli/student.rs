//! `hone student`: the students there are.

use clap::{Args, Subcommand};
use comfy_table::Table;
use hone_shared::student::{Colour, ConvChain};
use tch::nn::VarStore;
use tch::{Device, Tensor};

use crate::student::{build, catalogue};

/// Students: list their sizes.
#[derive(Debug, Args)]
pub struct StudentCommandArgs {
    /// What to do.
    #[command(subcommand)]
    command: StudentCommand,
}

#[derive(Debug, Subcommand)]
enum StudentCommand {
    /// Every student with its parameters and cost.
    List(ListArgs),
}

/// Lists every student with its parameters and cost.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hone student list\n  hone student list --json")]
struct ListArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl StudentCommandArgs {
    /// Runs the command.
    ///
    /// # Errors
    /// One sentence that says what failed, where, and what to do.
    pub fn run(self) -> anyhow::Result<()> {
        let StudentCommand::List(args) = self.command;
        let mut rows = Vec::new();
        for (name, colour, config) in catalogue() {
            let store = VarStore::new(Device::Cpu);
            let student = build(&config, colour, &store.root())?;
            let chain = student.fold().ok();
            let learned = store.trainable_variables().iter().map(Tensor::numel).sum();
            let parameters = chain.as_ref().map_or(learned, ConvChain::parameters);
            let halo = chain.as_ref().map(ConvChain::halo);
            let macs = student.macs_per_pixel()?;
            let architecture = match config.seen() {
                1 => config.architecture().to_owned(),
                _ => format!("{}, temporal", config.architecture()),
            };
            rows.push((name, architecture, colour, parameters, macs, halo));
        }
        if args.json {
            let list: Vec<_> = rows
                .iter()
                .map(|(name, architecture, colour, parameters, macs, halo)| {
                    serde_json::json!({
                        "name": name,
                        "architecture": architecture,
                        "colour": Colour::name(*colour),
                        "parameters": parameters,
                        "macs_per_pixel": macs,
                        "halo": halo,
                    })
                })
                .collect();
            println!("{}", serde_json::to_string_pretty(&list)?);
            return Ok(());
        }
        let mut table = Table::new();
        table.load_preset(comfy_table::presets::UTF8_FULL_CONDENSED);
        table.set_header([
            "student",
            "architecture",
            "colour",
            "parameters",
            "MAC/pixel",
            "halo",
        ]);
        for (name, architecture, colour, parameters, macs, halo) in rows {
            table.add_row([
                name.to_owned(),
                architecture,
                colour.to_string(),
                parameters.to_string(),
                format!("{macs:.0}"),
                halo.map_or("-".to_owned(), |h| h.to_string()),
            ]);
        }
        println!("{table}");
        Ok(())
    }
}

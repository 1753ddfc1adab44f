//! `hone teacher list`.

use clap::Args;
use comfy_table::{CellAlignment, Table};

use crate::teacher::catalogue;

/// Arguments of `hone teacher list`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hone teacher list\n  hone teacher list --json")]
pub struct ListArgs {
    /// Print JSON, with every option of each configuration
    #[arg(long)]
    json: bool,
}

impl ListArgs {
    /// Prints the catalogue.
    ///
    /// # Errors
    /// When the output cannot be written as JSON.
    pub fn run(self) -> anyhow::Result<()> {
        let all = catalogue::all();
        if self.json {
            println!("{}", serde_json::to_string_pretty(&all)?);
            return Ok(());
        }
        let mut table = Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        table.set_header(["teacher", "parameters", "MAC/pixel", "pads to", "licence"]);
        for t in &all {
            table.add_row([
                t.name.to_owned(),
                t.parameters.to_string(),
                t.macs_per_pixel.to_string(),
                t.multiple.to_string(),
                t.licence.to_owned(),
            ]);
        }
        for column in [1, 2, 3] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        println!("{table}\n\nwhere their authors publish weights");
        for t in &all {
            println!("  {:24}{}", t.name, t.weights);
        }
        Ok(())
    }
}

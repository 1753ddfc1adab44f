//! `hone teacher info`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use comfy_table::Table;
use hone_shared::printable::printable;
use tch::{Device, nn};

use crate::checkpoint;
use crate::teacher::{infer, layer, load};

/// Arguments of `hone teacher info`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hone teacher info --weights motion_deblurring.pth\n  hone teacher info --weights W.pth --json > config.json"
)]
pub struct InfoArgs {
    /// Weights: .pth/.pt/.ckpt of torch.save, or .safetensors
    #[arg(long)]
    weights: PathBuf,
    /// Nesting key inside the file; found by itself when absent
    #[arg(long)]
    key: Option<String>,
    /// List every entry, as a table
    #[arg(long, conflicts_with = "json")]
    entries: bool,
    /// Print the configuration as JSON, as --config takes it
    #[arg(long)]
    json: bool,
}

impl InfoArgs {
    /// Prints what is in the file and which architecture it fits.
    ///
    /// # Errors
    /// When the file cannot be read, or fits no known architecture.
    pub fn run(self) -> anyhow::Result<()> {
        let file = checkpoint::read(&self.weights, self.key.as_deref())?;
        let mut table = Table::new();
        table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["entry", "type", "shape"]);
        for e in &file.entries {
            table.add_row([
                e.name.clone(),
                format!("{:?}", e.element),
                format!("{:?}", e.shape),
            ]);
        }
        if self.entries {
            println!("{}", printable(&table));
        }
        let config = infer::infer(&file.entries).with_context(|| {
            format!(
                "{}: {} entries that fit no known architecture\n{table}",
                self.weights.display(),
                file.entries.len()
            )
        })?;
        let vs = nn::VarStore::new(Device::Cpu);
        let teacher = load::filled(&config, &file.entries, &vs).with_context(|| {
            format!(
                "{} looks like {} but does not fit",
                self.weights.display(),
                config.name()
            )
        })?;
        let mut options = serde_json::to_value(&config)?;
        if let Some((key, table)) = file.key.as_ref().zip(options.as_object_mut()) {
            table.insert("checkpoint_key".to_owned(), key.clone().into());
        }
        let options = serde_json::to_string_pretty(&options)?;
        if self.json {
            println!("{options}");
            return Ok(());
        }
        println!("file        {} ({})", self.weights.display(), file.format);
        let key = file.key.as_deref().unwrap_or("nothing");
        println!("nested in   {}", printable(key));
        println!("entries     {}", file.entries.len());
        println!("fits        {}", config.name());
        println!("parameters  {}", layer::parameters(&vs));
        println!("MAC/pixel   {}", teacher.macs_per_pixel(Device::Cpu));
        println!("pads to     multiples of {}", teacher.multiple());
        println!("options     {options}");
        Ok(())
    }
}

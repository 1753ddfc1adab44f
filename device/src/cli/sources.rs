//! `honed sources`: the cameras of this machine.

use clap::Args;
use comfy_table::{Table, presets};

use crate::camera::{discovery, elements};

const EXAMPLES: &str = "\
Examples:
  honed sources
  honed run --source v4l2:/dev/video0 --sink display";

/// Lists the cameras with their modes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SourcesArgs {
    /// Print them as JSON.
    #[arg(long)]
    json: bool,
}

impl SourcesArgs {
    /// Prints what GStreamer finds.
    ///
    /// # Errors
    /// When GStreamer does not start.
    pub fn run(self) -> anyhow::Result<()> {
        elements::start()?;
        let cameras = discovery::cameras();
        if self.json {
            println!("{}", serde_json::to_string_pretty(&cameras)?);
            return Ok(());
        }
        if cameras.is_empty() {
            println!(
                "no camera found; `honed doctor` says what may be missing. The source `test` needs none."
            );
            return Ok(());
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header(["source", "camera", "modes"]);
        for camera in &cameras {
            table.add_row([&camera.source, &camera.name, &camera.modes.join("\n")]);
        }
        println!("{table}");
        Ok(())
    }
}

//! `honed inspect`: what a model is and how this machine would run it.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::engine::{Isa, describe};

/// Says what a student is and which executor runs it here, and why.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  honed inspect small.int8.onnx")]
pub struct InspectArgs {
    /// An ONNX student.
    #[arg(value_name = "X.onnx")]
    model: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl InspectArgs {
    /// Reads the model and prints.
    ///
    /// # Errors
    /// When the file cannot be read or is no student.
    pub fn run(self) -> anyhow::Result<()> {
        let path = self.model.display();
        let model = std::fs::read(&self.model).with_context(|| format!("cannot read {path}"))?;
        let found = describe(&model).with_context(|| path.to_string())?;
        let (student, isa) = (&found.student, Isa::choose()?);
        let reason = found.layers.as_ref().err();
        if self.json {
            let json = serde_json::json!({
                "colour": student.colour,
                "precision": student.precision,
                "scale": student.scale,
                "halo": student.halo,
                "macs_per_pixel": student.macs_per_pixel,
                "fused": reason.is_none(),
                "tract_because": reason,
                "layers": found.layers.as_ref().ok(),
                "isa": isa.name(),
            });
            println!("{}", serde_json::to_string_pretty(&json)?);
            return Ok(());
        }
        let halo = student
            .halo
            .map_or("the whole frame".into(), |h| format!("{h} pixels around"));
        println!(
            "{} student in {}, SpaceToDepth {}, {:.0} MAC/pixel, looks at {halo}",
            student.colour,
            student.precision.name(),
            student.scale,
            student.macs_per_pixel
        );
        match &found.layers {
            Ok(layers) => println!("fused with {}: {}", isa.name(), layers.join(", ")),
            Err(reason) => println!("runs on tract: {reason}"),
        }
        Ok(())
    }
}

//! `hone export`: a trained student as f32 ONNX.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::onnx::{Metadata, write_chain_f32};
use crate::train::run;

/// Writes the best weights of a distillation as an f32 ONNX file.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  hone export out/student --out student.onnx")]
pub struct ExportArgs {
    /// Folder of `hone distill`.
    run_dir: PathBuf,
    /// The ONNX file.
    #[arg(long, value_name = "ONNX")]
    out: PathBuf,
}

impl ExportArgs {
    /// Folds the student and writes it.
    ///
    /// # Errors
    /// When the run has no weights, the student is no chain, or the file cannot be written.
    pub fn run(self) -> anyhow::Result<()> {
        let run = run::open(&self.run_dir)?;
        let chain = run.student.fold()?;
        let metadata = Metadata {
            name: run.recipe.name.clone(),
            recipe_sha256: Some(run.inputs.recipe_sha256.clone()),
            scale: chain.scale,
            halo: Some(chain.halo()),
        };
        let bytes = write_chain_f32(&chain, &metadata);
        hone_device::atomic::write_bytes(&self.out, &bytes)
            .with_context(|| "the student is not exported")?;
        println!(
            "{}: {} f32 student, {} parameters, {} bytes",
            self.out.display(),
            chain.colour,
            chain.parameters(),
            bytes.len()
        );
        Ok(())
    }
}

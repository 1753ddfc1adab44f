//! `hone export`: a trained student as f32 ONNX.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::overwrite;
use crate::onnx;
use crate::train::run;

/// Writes the best weights of a distillation as an f32 ONNX file.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone export out/student --out student.onnx
  hone export out/nafnet --out nafnet.onnx --simplify")]
pub struct ExportArgs {
    /// Folder of `hone distill`.
    run_dir: PathBuf,
    /// The ONNX file.
    #[arg(long, value_name = "ONNX")]
    out: PathBuf,
    /// Fold factors and offsets of channels into the convolutions beside them, store equal weights once.
    #[arg(long)]
    simplify: bool,
}

impl ExportArgs {
    /// Folds the student and writes it.
    ///
    /// # Errors
    /// When the run has no weights, or the file cannot be written or is one of the run's own.
    pub fn run(self) -> anyhow::Result<()> {
        overwrite::refuse_run(&self.out, &self.run_dir)?;
        let run = run::open(&self.run_dir)?;
        let mut bytes = onnx::of_run(&run)?;
        if self.simplify {
            bytes = onnx::simplify(&bytes)?;
        }
        hone_device::atomic::write_bytes(&self.out, &bytes)
            .with_context(|| "the student is not exported")?;
        println!(
            "{}: {} f32 student, {} parameters, {} bytes",
            self.out.display(),
            run.recipe.colour,
            onnx::parameters(&bytes).unwrap_or(0),
            bytes.len()
        );
        Ok(())
    }
}

//! `hone quantize`: a trained student as INT8 ONNX.

use std::path::PathBuf;

use clap::Args;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};

use super::progress;
use crate::data;
use crate::onnx::{Format, Metadata};
use crate::quantise::{
    Calibration, LayerLoss, MixedChain, QatConfig, QuantiseConfig, calibration_pairs, fine_tune_on,
    quantise, sensitivity,
};
use crate::train::run;

/// Quantises the best weights of a distillation, calibrated on its recipe's data.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone quantize out/student --out student.int8.onnx
  hone quantize out/student --out student.int8.onnx --qat --sensitivity
  hone quantize out/student --out student.int8.onnx --calibration percentile --keep-float 0")]
pub struct QuantizeArgs {
    /// Folder of `hone distill`.
    run_dir: PathBuf,
    /// The ONNX file.
    #[arg(long, value_name = "ONNX")]
    out: PathBuf,
    /// How ranges of activations are chosen.
    #[arg(long, value_enum, default_value = "mse")]
    calibration: Calibration,
    /// Share of values inside the range, for percentile, in percent.
    #[arg(long, default_value = "99.99")]
    percentile: f64,
    /// Patches to calibrate on.
    #[arg(long, default_value = "16")]
    pictures: usize,
    /// Leave out balancing channels between layers.
    #[arg(long)]
    no_equalise: bool,
    /// Leave out correcting biases.
    #[arg(long)]
    no_bias_correction: bool,
    /// Keep this layer (from 0) in f32; may be repeated.
    #[arg(long, value_name = "LAYER")]
    keep_float: Vec<usize>,
    /// Fine-tune with the board's arithmetic in the loop.
    #[arg(long, conflicts_with = "keep_float")]
    qat: bool,
    /// Updates of --qat.
    #[arg(long, default_value = "400", requires = "qat")]
    qat_steps: u64,
    /// Spelling of the arithmetic.
    #[arg(long, value_enum, default_value = "qdq")]
    format: Format,
    /// Print what each layer loses when it alone is INT8.
    #[arg(long)]
    sensitivity: bool,
    /// Print the sensitivity table as JSON.
    #[arg(long, requires = "sensitivity")]
    json: bool,
}

impl QuantizeArgs {
    /// Quantises and writes.
    ///
    /// # Errors
    /// When the run has no weights, its data cannot be read, or the file cannot be written.
    pub fn run(self) -> anyhow::Result<()> {
        let run = run::open(&self.run_dir)?;
        let chain = run.student.fold()?;
        let source = data::open(&run.recipe.data, &run.text.base)?;
        let config = QuantiseConfig {
            calibration: self.calibration,
            percentile: self.percentile,
            pictures: self.pictures,
            equalise: !self.no_equalise,
            correct_bias: !self.no_bias_correction,
            keep_float: self.keep_float,
            qat: self.qat,
        };
        let seed = run.recipe.seed;
        let pairs = calibration_pairs(source.as_ref(), chain.colour, config.pictures, seed)?;
        let frames: Vec<_> = pairs.iter().map(|p| p.0.shallow_clone()).collect();
        let mut mixed = quantise(&chain, &frames, &config)?;
        if let (true, Some(start)) = (config.qat, mixed.int8()) {
            let bar = progress::bar(self.qat_steps, "fine-tuning");
            let steps = QatConfig {
                steps: self.qat_steps,
                ..QatConfig::default()
            };
            let tuned = fine_tune_on(&source, &chain, &start, &steps, seed, |step, loss| {
                bar.set_position(step);
                bar.set_message(format!("loss {loss:.5}"));
            })?;
            bar.finish_and_clear();
            mixed = MixedChain::from_int8(&tuned);
        }
        let metadata = Metadata {
            name: run.recipe.name.clone(),
            recipe_sha256: Some(run.inputs.recipe_sha256.clone()),
            scale: chain.scale,
            halo: Some(chain.halo()),
        };
        let bytes = mixed.write(self.format, &metadata);
        hone_device::atomic::write_bytes(&self.out, &bytes)?;
        if self.sensitivity {
            let rows = sensitivity(&chain, &mixed, &pairs, &config)?;
            if self.json {
                println!("{}", serde_json::to_string_pretty(&rows)?);
                return Ok(());
            }
            println!("{}", table(&rows));
        }
        println!(
            "{}: {} INT8 student, {} bytes",
            self.out.display(),
            chain.colour,
            bytes.len()
        );
        Ok(())
    }
}

fn table(rows: &[LayerLoss]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    table.set_header(["INT8 layer", "PSNR f32", "PSNR", "lost"]);
    for row in rows {
        table.add_row([
            row.layer
                .map_or("all, as written".to_owned(), |l| l.to_string()),
            format!("{:.3} dB", row.float_db),
            format!("{:.3} dB", row.int8_db),
            format!("{:+.3} dB", row.loss_db()),
        ]);
    }
    table
}

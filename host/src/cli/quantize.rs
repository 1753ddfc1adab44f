//! `hone quantize`: a trained student as INT8 ONNX.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::Args;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use hone_device::engine;

use super::{overwrite, progress};
use crate::onnx::Format;
use crate::quantise::{self, Calibration, LayerLoss, Progress, QuantiseConfig};
use crate::train::run;

/// Quantises the best weights of a distillation, calibrated on its recipe's data. The recipe's
/// [quantise] table says how; options take the place of its keys. Students that are no chains of
/// convolutions (dsunet, nafnet-lite) get INT8 convolutions with f32 operations between them: a file a
/// quarter of the size, which boards run through tract, slower than in f32; and so do students with a layer kept in f32, and
/// those in QOperator form.
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
    /// How ranges of activations are chosen [default: the recipe's, else search].
    #[arg(long, value_enum)]
    calibration: Option<Calibration>,
    /// Share of values inside the range, for percentile, in percent [default: the recipe's, else 99.99].
    #[arg(long)]
    percentile: Option<f64>,
    /// Patches to calibrate on [default: the recipe's, else 64 for search, 16 for the others].
    #[arg(long)]
    pictures: Option<usize>,
    /// Leave out balancing channels between layers.
    #[arg(long)]
    no_equalise: bool,
    /// Leave out correcting biases.
    #[arg(long)]
    no_bias_correction: bool,
    /// Keep this layer (from 0) in f32; may be repeated.
    #[arg(long, value_name = "LAYER")]
    keep_float: Vec<usize>,
    /// Fine-tune with the board's arithmetic in the loop, whatever the recipe says.
    #[arg(long, conflicts_with_all = ["keep_float", "no_qat"])]
    qat: bool,
    /// Do not fine-tune, whatever the recipe says.
    #[arg(long)]
    no_qat: bool,
    /// Updates of the fine-tuning [default: the recipe's, else 400].
    #[arg(long, value_name = "STEPS")]
    qat_steps: Option<u64>,
    /// Learning rate of the fine-tuning at its start [default: the recipe's, else 1e-4].
    #[arg(long, value_name = "RATE")]
    qat_learning_rate: Option<f64>,
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
    /// When the run has no weights, its data cannot be read, its student has no such form, or the file
    /// cannot be written or is one of the run's own.
    pub fn run(self) -> anyhow::Result<()> {
        overwrite::refuse_run(&self.out, &self.run_dir)?;
        // Told before minutes of calibration.
        let folder = self.out.parent().filter(|f| !f.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        ensure!(
            folder.is_dir(),
            "cannot write {}: there is no folder {}, so make it first",
            self.out.display(),
            folder.display()
        );
        let run = run::open(&self.run_dir)?;
        quantise::check_format(&run, self.format)?;
        let config = self.config(run.recipe.quantise.clone())?;
        let bar = progress::bar(if config.qat { config.qat_steps } else { 0 }, "quantising");
        let quantised = quantise::of_run(&run, &config, |progress| match progress {
            Progress::Layers { done, of } => {
                bar.set_length(of);
                bar.set_position(done);
            }
            Progress::Updates { done, loss } => {
                bar.set_position(done);
                bar.set_message(format!("fine-tuning, loss {loss:.5}"));
            }
        })?;
        bar.finish_and_clear();
        let bytes = quantised.write(self.format)?;
        hone_device::atomic::write_bytes(&self.out, &bytes)?;
        let remarks = remarks(&bytes, quantised.fine_tuning_was_worse())?;
        if self.sensitivity {
            let bar = progress::bar(quantised.layers() as u64, "layers");
            let rows = quantised.sensitivity(|done| bar.set_position(done))?;
            bar.finish_and_clear();
            if self.json {
                println!("{}", serde_json::to_string_pretty(&rows)?);
                remarks.iter().for_each(|remark| eprintln!("{remark}"));
                return Ok(());
            }
            println!("{}", table(&rows));
        }
        println!(
            "{}: {} INT8 student, {} bytes",
            self.out.display(),
            quantised.colour(),
            bytes.len()
        );
        remarks.iter().for_each(|remark| println!("{remark}"));
        Ok(())
    }

    /// The recipe's table with the options in place of its keys.
    ///
    /// # Errors
    /// When an option would change nothing, because of what the recipe and the others say.
    fn config(&self, recipe: QuantiseConfig) -> anyhow::Result<QuantiseConfig> {
        let keep_float = if self.keep_float.is_empty() {
            recipe.keep_float
        } else {
            self.keep_float.clone()
        };
        let config = QuantiseConfig {
            calibration: self.calibration.unwrap_or(recipe.calibration),
            percentile: self.percentile.unwrap_or(recipe.percentile),
            pictures: self.pictures.or(recipe.pictures),
            equalise: recipe.equalise && !self.no_equalise,
            correct_bias: recipe.correct_bias && !self.no_bias_correction,
            qat: (recipe.qat || self.qat) && !self.no_qat && self.keep_float.is_empty(),
            qat_steps: self.qat_steps.unwrap_or(recipe.qat_steps),
            qat_learning_rate: self.qat_learning_rate.unwrap_or(recipe.qat_learning_rate),
            keep_float,
        };
        ensure!(
            config.qat || self.qat_steps.is_none() && self.qat_learning_rate.is_none(),
            "--qat-steps and --qat-learning-rate are for fine-tuning, which neither the recipe nor the options ask \
             for: add --qat, or leave them out"
        );
        ensure!(
            config.calibration == Calibration::Percentile || self.percentile.is_none(),
            "--percentile is for another calibration than this one: add --calibration percentile, or leave it out"
        );
        Ok(config)
    }
}

/// What whoever quantised should know of the file.
fn remarks(model: &[u8], fine_tuning_was_worse: bool) -> anyhow::Result<Vec<String>> {
    let tuning = fine_tuning_was_worse.then(|| {
        "fine-tuning came out worse on patches that neither had seen: this is the student that calibration alone gave"
            .to_owned()
    });
    let reason = engine::describe(model)?.layers.err();
    let slow = reason.map(|reason| {
        format!("smaller than f32, but slower: hone and honed run this student through tract, in f32 ({reason})")
    });
    Ok(tuning.into_iter().chain(slow).collect())
}

fn table(rows: &[LayerLoss]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    table.set_header(["INT8 layer", "", "PSNR f32", "PSNR", "lost"]);
    for row in rows {
        table.add_row([
            row.layer.map_or(String::new(), |l| l.to_string()),
            row.what.clone(),
            format!("{:.3} dB", row.float_db),
            format!("{:.3} dB", row.int8_db),
            format!("{:+.3} dB", row.loss_db()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use hone_shared::student::Colour;
    use tch::Tensor;

    use super::*;
    use crate::onnx::Metadata;
    use crate::onnx::tests::float_chain;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        quantize: QuantizeArgs,
    }

    #[test]
    fn a_folder_that_is_missing_is_told_first() {
        let words = ["quantize", "no-run", "--out", "no-folder/x.onnx"];
        let command = Command::try_parse_from(words).unwrap();
        let error = command.quantize.run().unwrap_err().to_string();
        assert!(error.contains("no folder no-folder,"), "{error}");
    }

    #[test]
    fn what_is_not_computed_in_integers_is_called_slower() {
        let chain = float_chain(Colour::Luma, 2, &[3, 3], 3);
        let frames = [Tensor::rand([1, 1, 32, 32], tch::kind::FLOAT_CPU)];
        let remarks = |keep_float: &[usize], format, worse| {
            let config = QuantiseConfig {
                keep_float: keep_float.to_vec(),
                ..QuantiseConfig::default()
            };
            let int8 = quantise::quantise(&chain, &frames, &config).unwrap();
            let metadata = Metadata {
                scale: 2,
                ..Metadata::default()
            };
            remarks(&int8.write(format, &metadata), worse).unwrap()
        };
        assert_eq!(remarks(&[], Format::Qdq, false), [""; 0]);
        assert!(remarks(&[], Format::Qdq, true)[0].contains("came out worse"));
        for slow in [
            remarks(&[0], Format::Qdq, false),
            remarks(&[], Format::Qoperator, false),
        ] {
            assert!(slow[0].contains("but slower"), "{slow:?}");
        }
    }

    #[test]
    fn options_that_would_change_nothing_are_refused() {
        let config = |options: &str, recipe: &QuantiseConfig| {
            let words = format!("quantize run --out x.onnx {options}");
            let command = Command::try_parse_from(words.split_whitespace()).unwrap();
            let config = command.quantize.config(recipe.clone());
            config.map_err(|error| error.to_string())
        };
        let plain = QuantiseConfig::default();
        let tuned = QuantiseConfig {
            qat: true,
            ..plain.clone()
        };
        for options in ["--qat-steps 9", "--qat-learning-rate 1e-3"] {
            let error = config(options, &plain).unwrap_err();
            assert!(error.contains("add --qat"), "{error}");
            assert!(config(&format!("{options} --no-qat"), &tuned).is_err());
            assert!(config(&format!("{options} --keep-float 0"), &tuned).is_err());
            assert!(config(&format!("{options} --qat"), &plain).is_ok());
            assert!(config(options, &tuned).is_ok());
        }
        let error = config("--percentile 99", &plain).unwrap_err();
        assert!(error.contains("--calibration percentile"), "{error}");
        let with = config("--percentile 99 --calibration percentile", &plain);
        assert_eq!(with.unwrap().percentile, 99.0);
    }
}

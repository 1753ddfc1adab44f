//! `hone prune`: a trained student becomes a narrower one.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::learning::LearningArgs;
use crate::train::distill::DistillOptions;
use crate::train::interrupt::Interrupt;
use crate::train::prune::{self, PruneOptions};

/// Takes the weakest channels out of a `plain` student and trains what is left.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone prune out/student --keep 0.5 --out out/narrow --teacher out/teacher
  hone prune out/student --keep 0.75 --out out/narrow --no-teacher --set stage.0.epochs=4 --set optimizer.learning_rate=5e-4
  hone export out/narrow --out narrow.onnx

The new run uses the old one's recipe, without training branches; --set shortens the fine-tuning.")]
pub struct PruneArgs {
    /// Folder of `hone distill`.
    run: PathBuf,
    /// Part of every layer's channels that stays.
    #[arg(long, value_name = "0..1")]
    keep: f64,
    /// Channels stay in multiples of this, which keeps the board's vector units full.
    #[arg(long, default_value_t = 4)]
    multiple: usize,
    /// Folder of the new run.
    #[arg(long, value_name = "RUN_DIR")]
    out: PathBuf,
    /// Go on with the fine-tuning in RUN_DIR.
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    learning: LearningArgs,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

impl PruneArgs {
    /// Runs the command.
    ///
    /// # Errors
    /// One sentence that says what failed, where, and what to do.
    pub fn run(self) -> anyhow::Result<()> {
        let of_student = |key: &&str| *key == "student" || key.starts_with("student.");
        if let Some(key) = self.learning.keys().find(of_student) {
            bail!(
                "--set {key}: --keep alone decides what the pruned student is; leave the key out"
            );
        }
        let text = prune::recipe(&self.run)?;
        let options = DistillOptions {
            resume: self.resume,
            interrupt: Interrupt::on_signals()?,
            ..self.learning.options(text, self.out.clone())?
        };
        let amount = PruneOptions {
            keep: self.keep,
            multiple: self.multiple,
        };
        let pruned = prune::run(&self.run, amount, &options)?;
        if pruned.outcome.interrupted {
            bail!(
                "stopped; the state is in {}, --resume goes on",
                self.out.display()
            );
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&pruned)?);
            return Ok(());
        }
        println!(
            "channels {:?} -> {:?}, {:.0} -> {:.0} MAC/pixel",
            pruned.before, pruned.after, pruned.macs_before, pruned.macs_after
        );
        if let Some((epoch, best)) = pruned.outcome.best {
            println!(
                "best: epoch {epoch}, PSNR {:.2} dB, SSIM {:.4}\n{}",
                best.psnr,
                best.ssim,
                self.out.display()
            );
        }
        Ok(())
    }
}

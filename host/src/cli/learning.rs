//! Options that all commands which train students share.

use std::path::PathBuf;

use clap::Args;

use super::torch_device::DeviceChoice;
use crate::recipe::RecipeText;
use crate::train::distill::DistillOptions;
use crate::train::interrupt::Interrupt;

/// Whom a student learns from, changes to its recipe, and where to compute.
#[derive(Debug, Args)]
pub struct LearningArgs {
    /// Folder of `hone teacher train`, or a weights file, instead of the recipe's.
    #[arg(long, value_name = "PATH", conflicts_with = "no_teacher")]
    teacher: Option<PathBuf>,
    /// Folder of `hone teacher cache`: patches and answers from there, the teacher itself is not run.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Leave the teacher and every loss that needs it out, for comparison.
    #[arg(long)]
    no_teacher: bool,
    /// Change a key of the recipe; lists by index (stage.0.crop=64). Relative paths start here, those in the recipe from
    /// its own folder. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// cpu, cuda, cuda:N or auto.
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
}

impl LearningArgs {
    /// The keys that `--set` changes.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let key = |pair: &str| pair.find('=').unwrap_or(pair.len());
        self.set.iter().map(move |pair| pair[..key(pair)].trim())
    }

    /// A training of the changed recipe into `out`, from the start. Commands that look at the interrupt put
    /// `Interrupt::on_signals` in its place: in all others Ctrl-C has to end them at once.
    ///
    /// # Errors
    /// When a change does not fit the recipe or the device is not there.
    pub fn options(self, mut text: RecipeText, out: PathBuf) -> anyhow::Result<DistillOptions> {
        text.set(&self.set)?;
        if self.no_teacher {
            text.remove_teacher()?;
        }
        Ok(DistillOptions {
            text,
            out,
            resume: false,
            from: None,
            teacher: self.teacher,
            cache: self.cache,
            device: self.device.resolve()?,
            interrupt: Interrupt::default(),
        })
    }
}

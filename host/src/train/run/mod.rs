//! RUN_DIR: everything that one training leaves behind.
//!
//! ```text
//! RUN_DIR/
//!   recipe.toml           the recipe, overrides applied
//!   run.json              hashes of what went in (RunInputs): recipe, list of pictures, teacher weights, version
//!   last.safetensors      the whole state, replaced after every epoch and every tenth minute of one; --resume reads it
//!   best.safetensors      the best weights so far, f32, under the network's own names
//!   epoch-0010.safetensors  kept weights (training.checkpoint_every)
//!   teacher.json          a teacher's architecture; only in runs of `hone teacher train`
//!   log.jsonl             one line an epoch: losses apart, PSNR, SSIM, rate, speed
//!   log.csv               the same as a table
//!   tensorboard/          the same as event files
//!   samples/epoch-0010.png  input | student | teacher | truth (training.samples_every)
//!   start/best.safetensors  what a run of `hone prune` started from
//!   curves.svg            losses and scores over the epochs, when the training has ended
//! ```
//!
//! Every file is replaced as a whole, so a run can be killed at any moment. One process at a time trains in it.

mod folder;
mod inputs;
mod lock;

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tch::Device;
use tch::nn::VarStore;

use super::checkpoint::Checkpoint;
use super::state::{STATE_KEY, Scores, State};
use crate::recipe::{Recipe, RecipeText};
use crate::student::{self, Student};

pub use folder::RunFolder;
pub(crate) use folder::{BEST, LOG, RECIPE};
use folder::{INPUTS, LAST};
pub use inputs::{RunInputs, RunKind, TeacherInput, read_inputs, read_recipe};
pub use lock::{HeldElsewhere, take_turn};

/// Metadata key of [`WeightsCard`] in weight files.
const CARD_KEY: &str = "hone.card";

/// Where weights come from; metadata of weight files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightsCard {
    /// From 1.
    pub epoch: u64,
    /// Scores on the validation pictures.
    pub validation: Scores,
    /// SHA-256 of the recipe.
    pub recipe_sha256: String,
}

/// A finished, or at least started, distillation.
pub struct LoadedRun {
    /// The recipe.
    pub recipe: Recipe,
    /// Its text and the folder of its relative paths.
    pub text: RecipeText,
    /// What went in.
    pub inputs: RunInputs,
    /// Which epoch's weights these are, and their scores.
    pub card: WeightsCard,
    /// The student with its best weights, on the CPU.
    pub student: Box<dyn Student>,
    /// The student's variables.
    pub network: VarStore,
}

/// Opens a RUN_DIR of `hone distill` with its best weights.
///
/// # Errors
/// When the folder holds no run of a student, no weights yet, or damaged ones.
pub fn open(path: &Path) -> Result<LoadedRun> {
    let inputs = read_inputs(path)?;
    if inputs.kind != RunKind::Student {
        bail!(
            "{} holds a teacher; a student's run is needed here",
            path.display()
        );
    }
    let file = path.join(RECIPE);
    let text = read_recipe(&file)?;
    if text.hash() != inputs.recipe_sha256 {
        bail!("{} was changed after the run began", file.display());
    }
    let recipe = Recipe::from_text(&text)?;
    let mut network = VarStore::new(Device::Cpu);
    let student = student::build(&recipe.student, recipe.colour, &network.root())?;
    let weights = path.join(BEST);
    if !weights.exists() {
        bail!(
            "{} has no weights yet: let its first epoch finish",
            path.display()
        );
    }
    let checkpoint = Checkpoint::read(&weights)?;
    let unfit = || format!("{} does not fit its recipe", weights.display());
    checkpoint.fill("", &network).with_context(unfit)?;
    let card = checkpoint.metadata.get(CARD_KEY).with_context(unfit)?;
    let card = serde_json::from_str(card).with_context(unfit)?;
    network.freeze();
    Ok(LoadedRun {
        recipe,
        text,
        inputs,
        card,
        student,
        network,
    })
}

/// The last checkpoint's state of the run in `path`; none where there is no run, or one that stopped before its first.
///
/// # Errors
/// When its checkpoint is damaged.
pub fn state(path: &Path) -> Result<Option<State>> {
    let last = path.join(LAST);
    if !last.exists() {
        return Ok(None);
    }
    let checkpoint = Checkpoint::read(&last)?;
    let text = checkpoint.metadata.get(STATE_KEY);
    let text = text.with_context(|| format!("{} holds no state", last.display()))?;
    State::from_text(text).map(Some)
}

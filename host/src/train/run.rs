//! RUN_DIR: everything that one training leaves behind.
//!
//! ```text
//! RUN_DIR/
//!   recipe.toml           the recipe, overrides applied
//!   run.json              hashes of what went in (RunInputs): recipe, teacher weights, version
//!   last.safetensors      the whole state, replaced after every epoch; --resume reads it
//!   best.safetensors      the best weights so far, f32, under the network's own names
//!   epoch-0010.safetensors  kept weights (training.checkpoint_every)
//!   teacher.json          a teacher's architecture; only in runs of `hone teacher train`
//!   log.jsonl             one line an epoch: losses apart, PSNR, SSIM, rate, speed
//!   log.csv               the same as a table
//!   tensorboard/          the same as event files
//!   samples/epoch-0010.png  input | student | teacher | truth (training.samples_every)
//!   curves.svg            losses and scores over the epochs, when the training has ended
//! ```
//!
//! Every file is replaced as a whole, so a run can be killed at any moment.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tch::Device;
use tch::nn::VarStore;

use super::checkpoint::Checkpoint;
use super::state::{STATE_KEY, Scores, State};
use crate::recipe::{Recipe, RecipeText};
use crate::student::{self, Student};

/// Version of the folder's layout.
const FORMAT: u32 = 1;
/// Metadata key of [`WeightsCard`] in weight files.
const CARD_KEY: &str = "hone.card";

/// `run.json`: what went into a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunInputs {
    /// Version of this layout.
    pub format: u32,
    /// Version of hone.
    pub hone: String,
    /// What was trained.
    pub kind: RunKind,
    /// SHA-256 of `recipe.toml`.
    pub recipe_sha256: String,
    /// Folder that the recipe's relative paths belong to.
    pub base: PathBuf,
    /// The teacher that a student learnt from, or whose weights a teacher started from.
    pub teacher: Option<TeacherInput>,
    /// Key of the pool of patches that it was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// SHA-256 of the weights that it started from, when not from random ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_sha256: Option<String>,
}

/// What a run trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// `hone distill`.
    Student,
    /// `hone teacher train`.
    Teacher,
}

/// A teacher as provenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherInput {
    /// Its architecture.
    pub architecture: String,
    /// SHA-256 of its weights file.
    pub weights_sha256: String,
}

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

impl RunInputs {
    /// The inputs of a run of this version of hone.
    pub fn new(kind: RunKind, text: &RecipeText, teacher: Option<TeacherInput>) -> Self {
        Self {
            format: FORMAT,
            hone: env!("CARGO_PKG_VERSION").to_owned(),
            kind,
            recipe_sha256: text.hash(),
            base: text.base.clone(),
            teacher,
            pool: None,
            start_sha256: None,
        }
    }

    /// The same, started from weights of this SHA-256.
    pub fn started_from(mut self, sha256: Option<String>) -> Self {
        self.start_sha256 = sha256;
        self
    }
}

/// The folder of a run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    recipe_sha256: String,
}

impl RunFolder {
    /// Starts a run in `path`, or goes on with the one in it when `resume`.
    ///
    /// # Errors
    /// When a run is there and `resume` is not asked for, when it is asked for and none is there,
    /// or when the recipe or the teacher is another one.
    pub fn prepare(
        path: &Path,
        text: &RecipeText,
        inputs: &RunInputs,
        resume: bool,
    ) -> Result<Self> {
        let folder = Self {
            path: path.to_path_buf(),
            recipe_sha256: inputs.recipe_sha256.clone(),
        };
        let there = folder.inputs_path().exists();
        let name = path.display();
        match (there, resume) {
            (true, false) => {
                bail!("{name} holds a run already: add --resume, or choose another --out")
            }
            (false, true) => {
                bail!("{name} holds no run to resume: leave --resume away to start one")
            }
            (true, true) => {
                let old = read_inputs(path)?;
                if old.recipe_sha256 != inputs.recipe_sha256 {
                    bail!("{name} was started with another recipe: resume with {name}/recipe.toml");
                }
                if old.teacher != inputs.teacher {
                    bail!(
                        "{name} was started with another teacher, so it cannot be resumed exactly"
                    );
                }
                if old.pool != inputs.pool {
                    bail!(
                        "{name} was started with another --cache, so it cannot be resumed exactly"
                    );
                }
                if !folder.last().exists() {
                    bail!("{name} stopped before its first checkpoint: remove it and start again");
                }
            }
            (false, false) => {
                std::fs::create_dir_all(path).with_context(|| format!("cannot create {name}"))?;
                let json = serde_json::to_vec_pretty(inputs)?;
                hone_device::atomic::write_bytes(&path.join("recipe.toml"), text.text.as_bytes())?;
                hone_device::atomic::write_bytes(&folder.inputs_path(), &json)?;
            }
        }
        Ok(folder)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole state.
    pub fn last(&self) -> PathBuf {
        self.path.join("last.safetensors")
    }

    /// The best weights.
    pub fn best(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    /// Weights kept after `epoch`.
    pub fn kept(&self, epoch: u64) -> PathBuf {
        self.path.join(format!("epoch-{epoch:04}.safetensors"))
    }

    /// The log.
    pub fn log(&self) -> PathBuf {
        self.path.join("log.jsonl")
    }

    /// The log as a table for spreadsheets.
    pub fn table(&self) -> PathBuf {
        self.path.join("log.csv")
    }

    /// TensorBoard's folder.
    pub fn tensorboard(&self) -> PathBuf {
        self.path.join("tensorboard")
    }

    /// Curves of a finished training.
    pub fn curves(&self) -> PathBuf {
        self.path.join("curves.svg")
    }

    /// The sample grid after `epoch`; its folder is made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn samples(&self, epoch: u64) -> Result<PathBuf> {
        let folder = self.path.join("samples");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder.join(format!("epoch-{epoch:04}.png")))
    }

    fn inputs_path(&self) -> PathBuf {
        self.path.join("run.json")
    }

    /// Writes the weights of `network` with a card.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_weights(
        &self,
        path: &Path,
        network: &VarStore,
        epoch: u64,
        validation: Scores,
    ) -> Result<()> {
        let mut checkpoint = Checkpoint::default();
        checkpoint.add("", network);
        let recipe_sha256 = self.recipe_sha256.clone();
        let card = WeightsCard {
            epoch,
            validation,
            recipe_sha256,
        };
        checkpoint
            .metadata
            .insert(CARD_KEY.into(), serde_json::to_string(&card)?);
        checkpoint.write(path)
    }
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
    let file = path.join("recipe.toml");
    let mut text = RecipeText::read(&file)?;
    text.base.clone_from(&inputs.base);
    if text.hash() != inputs.recipe_sha256 {
        bail!("{} was changed after the run began", file.display());
    }
    let recipe = Recipe::from_text(&text)?;
    let mut network = VarStore::new(Device::Cpu);
    let student = student::build(&recipe.student, recipe.colour, &network.root())?;
    let weights = path.join("best.safetensors");
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

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    /// There is none, or it stopped before its first checkpoint.
    None,
    /// It can be resumed.
    Started,
    /// It ended.
    Finished,
}

/// How far the run in `path` is.
///
/// # Errors
/// When its checkpoint is damaged.
pub fn status(path: &Path) -> Result<RunStatus> {
    let last = path.join("last.safetensors");
    if !last.exists() {
        return Ok(RunStatus::None);
    }
    let checkpoint = Checkpoint::read(&last)?;
    let text = checkpoint.metadata.get(STATE_KEY);
    let text = text.with_context(|| format!("{} holds no state", last.display()))?;
    Ok(match State::from_text(text)?.finished {
        true => RunStatus::Finished,
        false => RunStatus::Started,
    })
}

/// Reads `run.json`.
///
/// # Errors
/// When `path` holds no run, or one of a newer version of hone.
pub fn read_inputs(path: &Path) -> Result<RunInputs> {
    let file = path.join("run.json");
    let bytes = std::fs::read(&file)
        .with_context(|| format!("{} holds no run (no readable run.json)", path.display()))?;
    let inputs: RunInputs = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is damaged or of another version", file.display()))?;
    if inputs.format > FORMAT {
        bail!("{} was written by a newer version of hone", file.display());
    }
    Ok(inputs)
}

//! The folder of a run: where its files lie, and who may write there.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tch::nn::VarStore;

use super::lock::hold;
use super::{CARD_KEY, RunInputs, WeightsCard, read_inputs};
use crate::recipe::RecipeText;
use crate::train::checkpoint::Checkpoint;
use crate::train::log;
use crate::train::state::Scores;

/// The file that makes a folder a run.
pub(super) const INPUTS: &str = "run.json";
/// The recipe.
pub(crate) const RECIPE: &str = "recipe.toml";
/// The whole state.
pub(super) const LAST: &str = "last.safetensors";
/// The best weights.
pub(crate) const BEST: &str = "best.safetensors";
/// Further files that every run writes or may write.
const OTHERS: [&str; 4] = ["teacher.json", LOG, "log.csv", CURVES];
/// The log.
pub(crate) const LOG: &str = "log.jsonl";
/// What only a training that ended leaves.
const CURVES: &str = "curves.svg";

/// The folder of a run, held against other processes.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    recipe_sha256: String,
    _held: Option<File>,
}

impl RunFolder {
    /// Starts a run in `path`, or goes on with the one in it when `resume`. What was killed before its first checkpoint
    /// is started again.
    ///
    /// # Errors
    /// When a run or a file of the same name as one of a run's is there and `resume` is not asked for, when it is asked for
    /// and no run is there, when the recipe, its folder, its pictures or the teacher is another one, or when another process
    /// trains there.
    pub fn prepare(
        path: &Path,
        text: &RecipeText,
        inputs: &RunInputs,
        resume: bool,
    ) -> Result<Self> {
        if !resume {
            std::fs::create_dir_all(path)
                .with_context(|| format!("cannot create {}", path.display()))?;
        }
        // Before anything is looked at: what lies there may be half of what another process has just begun.
        let folder = Self {
            path: path.to_path_buf(),
            recipe_sha256: inputs.recipe_sha256.clone(),
            _held: hold(path)?,
        };
        if resume {
            folder.check_resume(inputs)?;
            return Ok(folder);
        }
        Self::check_files(path, text)?;
        // Of a beginning, perhaps under another teacher.
        if folder.best().exists() {
            std::fs::remove_file(folder.best())
                .with_context(|| format!("cannot replace {}", folder.best().display()))?;
        }
        let json = serde_json::to_vec_pretty(inputs)?;
        hone_device::atomic::write_bytes(&path.join(RECIPE), text.text.as_bytes())?;
        hone_device::atomic::write_bytes(&folder.inputs_path(), &json)?;
        Ok(folder)
    }

    /// Refuses a folder that holds a run, or a user's own files, which a new run of the recipe `text` must not overwrite.
    ///
    /// # Errors
    /// As said, and when another process trains there.
    pub fn check_free(path: &Path, text: &RecipeText) -> Result<()> {
        let _held = hold(path)?;
        Self::check_files(path, text)
    }

    fn check_files(path: &Path, text: &RecipeText) -> Result<()> {
        let name = path.display();
        let there = |file: &str| path.join(file).exists();
        if Self::is_run(path) {
            ensure!(
                !there(LAST),
                "{name} holds a run already: add --resume, or choose another --out"
            );
            ensure!(
                read_inputs(path)?.recipe_sha256 == text.hash(),
                "{name} holds the beginning of a run of another recipe: remove it, or choose another --out"
            );
            return Self::check_beginning(path);
        }
        let same = std::fs::read(path.join(RECIPE)).is_ok_and(|old| old == text.text.as_bytes());
        let recipe = (!same).then_some(RECIPE);
        let mut names = recipe.into_iter().chain([LAST, BEST]).chain(OTHERS);
        if let Some(file) = names.find(|file| there(file)) {
            bail!("a run in {name} would overwrite {file} there: choose another --out");
        }
        Ok(())
    }

    /// Refuses what is left of a run that went on after its first checkpoint: to start it again would cost its weights.
    fn check_beginning(path: &Path) -> Result<()> {
        let file = path.join(LOG);
        let epochs = match file.exists() {
            true => log::read(&file)?.len(),
            false => 0,
        };
        ensure!(
            epochs < 2 && !path.join(CURVES).exists(),
            "{} holds a run without its {LAST}, which can neither go on nor be started again: choose another --out",
            path.display()
        );
        Ok(())
    }

    /// Whether `path` holds a run, however far it is.
    pub fn is_run(path: &Path) -> bool {
        path.join(INPUTS).exists()
    }

    /// The files of a run in `path`, there or still to come, that no other output may replace.
    pub fn files(path: &Path) -> Vec<PathBuf> {
        let kept = std::fs::read_dir(path).into_iter().flatten().flatten();
        let kept = kept
            .map(|entry| entry.path())
            .filter(|file| file.extension().is_some_and(|e| e == "safetensors"));
        [INPUTS, RECIPE, LAST, BEST]
            .into_iter()
            .chain(OTHERS)
            .map(|name| path.join(name))
            .chain(kept)
            .collect()
    }

    /// Refuses to go on with anything but the run that was started here.
    fn check_resume(&self, inputs: &RunInputs) -> Result<()> {
        let name = self.path.display();
        ensure!(
            self.inputs_path().exists(),
            "{name} holds no run to resume: leave --resume away to start one"
        );
        let old = read_inputs(&self.path)?;
        let own = self.path.join(RECIPE);
        ensure!(
            old.recipe_sha256 == inputs.recipe_sha256
                || RecipeText::read(&own).is_ok_and(|text| text.hash() == old.recipe_sha256),
            "{} was changed after the run began: bring it back as it was, or start a run of its own with another --out",
            own.display()
        );
        ensure!(
            old.recipe_sha256 == inputs.recipe_sha256,
            "{name} was started with another recipe: resume with {name}/recipe.toml"
        );
        // A folder that is gone was moved, with all that is in it.
        ensure!(
            old.base == inputs.base || !old.base.exists(),
            "{name} was started with a recipe in {}, where its paths lead to other files than in {}: resume with {name}/recipe.toml",
            old.base.display(),
            inputs.base.display()
        );
        ensure!(
            old.teacher == inputs.teacher,
            "{name} was started with another teacher, so it cannot be resumed exactly"
        );
        ensure!(
            old.pool == inputs.pool,
            "{name} was started with another --cache, so it cannot be resumed exactly"
        );
        // Runs of earlier versions do not know theirs.
        ensure!(
            old.pictures.is_none() || old.pictures == inputs.pictures,
            "{name} was started with other pictures under data.root (names, lengths or splits), so it cannot be resumed \
             exactly: bring those back, or start a run of its own with another --out"
        );
        ensure!(
            old.loss_weights.is_empty() || old.loss_weights == inputs.loss_weights,
            "{name} was started with other weights of a perceptual loss, so it cannot be resumed exactly: bring that file \
             back, or start a run of its own with another --out"
        );
        if !self.last().exists() {
            Self::check_beginning(&self.path)?;
            bail!(
                "{name} stopped before its first checkpoint: leave --resume away to start it again"
            );
        }
        Ok(())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole state.
    pub fn last(&self) -> PathBuf {
        self.path.join(LAST)
    }

    /// The best weights.
    pub fn best(&self) -> PathBuf {
        self.path.join(BEST)
    }

    /// Weights kept after `epoch`.
    pub fn kept(&self, epoch: u64) -> PathBuf {
        self.path.join(format!("epoch-{epoch:04}.safetensors"))
    }

    /// Keeps the weights that the run starts from, where no other file does.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn save_start(&self, weights: &Checkpoint) -> Result<()> {
        let start = self.path.join("start");
        std::fs::create_dir_all(&start)
            .with_context(|| format!("cannot create {}", start.display()))?;
        weights.write(&start.join(BEST))
    }

    /// The log.
    pub fn log(&self) -> PathBuf {
        self.path.join(LOG)
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
        self.path.join(CURVES)
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
        self.path.join(INPUTS)
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

//! The folder of a run: where its files lie, and who may write there.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tch::nn::VarStore;

use super::lock::hold;
use super::{CARD_KEY, RunInputs, WeightsCard, read_inputs};
use crate::recipe::RecipeText;
use crate::train::checkpoint::Checkpoint;
use crate::train::state::Scores;

/// The file that makes a folder a run.
const INPUTS: &str = "run.json";
/// The whole state.
const LAST: &str = "last.safetensors";

/// The folder of a run, held against other processes.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    recipe_sha256: String,
    _held: Option<File>,
}

impl RunFolder {
    /// Starts a run in `path`, or goes on with the one in it when `resume`.
    ///
    /// # Errors
    /// When a run is there and `resume` is not asked for, when it is asked for and none is there,
    /// when the recipe or the teacher is another one, or when another process trains there.
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
        Self::check_free(path)?;
        let json = serde_json::to_vec_pretty(inputs)?;
        hone_device::atomic::write_bytes(&path.join("recipe.toml"), text.text.as_bytes())?;
        hone_device::atomic::write_bytes(&folder.inputs_path(), &json)?;
        Ok(folder)
    }

    /// Refuses a folder that holds a run, which a new one must not overwrite.
    ///
    /// # Errors
    /// As said.
    pub fn check_free(path: &Path) -> Result<()> {
        ensure!(
            !Self::is_run(path),
            "{} holds a run already: add --resume, or choose another --out",
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
        let names = [
            INPUTS,
            "recipe.toml",
            LAST,
            "best.safetensors",
            "teacher.json",
            "log.jsonl",
            "log.csv",
            "curves.svg",
        ];
        let kept = std::fs::read_dir(path).into_iter().flatten().flatten();
        let kept = kept
            .map(|entry| entry.path())
            .filter(|file| file.extension().is_some_and(|e| e == "safetensors"));
        names
            .iter()
            .map(|name| path.join(name))
            .chain(kept)
            .collect()
    }

    /// Empties the folder of a run that was killed before its first checkpoint: there is nothing in it to go on from.
    ///
    /// # Errors
    /// When another process trains there, or something in it cannot be removed.
    pub fn clear_unstarted(path: &Path) -> Result<()> {
        let _held = hold(path)?;
        if !Self::is_run(path) || path.join(LAST).exists() {
            return Ok(());
        }
        let clear = || -> std::io::Result<()> {
            for entry in std::fs::read_dir(path)? {
                let entry = entry?;
                match entry.file_type()?.is_dir() {
                    true => std::fs::remove_dir_all(entry.path())?,
                    false => std::fs::remove_file(entry.path())?,
                }
            }
            Ok(())
        };
        clear().with_context(|| format!("cannot clear {}", path.display()))
    }

    /// Refuses to go on with anything but the run that was started here.
    fn check_resume(&self, inputs: &RunInputs) -> Result<()> {
        let name = self.path.display();
        ensure!(
            self.inputs_path().exists(),
            "{name} holds no run to resume: leave --resume away to start one"
        );
        let old = read_inputs(&self.path)?;
        ensure!(
            old.recipe_sha256 == inputs.recipe_sha256,
            "{name} was started with another recipe: resume with {name}/recipe.toml"
        );
        ensure!(
            old.teacher == inputs.teacher,
            "{name} was started with another teacher, so it cannot be resumed exactly"
        );
        ensure!(
            old.pool == inputs.pool,
            "{name} was started with another --cache, so it cannot be resumed exactly"
        );
        ensure!(
            self.last().exists(),
            "{name} stopped before its first checkpoint: remove it and start again"
        );
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
        self.path.join("best.safetensors")
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
        weights.write(&start.join("best.safetensors"))
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

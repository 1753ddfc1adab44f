//! `run.json`: what went into a run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{INPUTS, RECIPE, RunFolder};
use crate::data::index;
use crate::data::source::PairSource;
use crate::loss::LossConfig;
use crate::recipe::RecipeText;

/// Version of the folder's layout.
const FORMAT: u32 = 1;

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
    /// SHA-256 over names, lengths and splits of its pictures; none of drawn scenes, and in runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<String>,
    /// SHA-256 of the weights that its losses look through, in the recipe's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loss_weights: Vec<String>,
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
            pictures: None,
            loss_weights: Vec::new(),
            start_sha256: None,
        }
    }

    /// The same, of these pictures.
    pub fn of_pictures(mut self, source: &dyn PairSource) -> Self {
        self.pictures = source.listing().map(str::to_owned);
        self
    }

    /// The same, with `losses` whose weight files are relative to `base`.
    ///
    /// # Errors
    /// When such a file cannot be read.
    pub fn with_losses(mut self, losses: &[LossConfig], base: &Path) -> Result<Self> {
        let files = losses.iter().filter_map(LossConfig::weight_file);
        let hashes = files.map(|file| index::sha256(&base.join(file)));
        self.loss_weights = hashes.collect::<Result<_>>()?;
        Ok(self)
    }

    /// The same, started from weights of this SHA-256.
    pub fn started_from(mut self, sha256: Option<String>) -> Self {
        self.start_sha256 = sha256;
        self
    }
}

/// Reads a recipe. Relative paths in a run's own belong to the folder that it was started from.
///
/// # Errors
/// As [`RecipeText::read`], and when `run.json` beside it is damaged.
pub fn read_recipe(path: &Path) -> Result<RecipeText> {
    let mut text = RecipeText::read(path)?;
    let run = path.parent().unwrap_or(Path::new(""));
    if path.file_name().is_some_and(|name| name == RECIPE) && RunFolder::is_run(run) {
        let base = read_inputs(run)?.base;
        // One that is gone was moved.
        if base.is_dir() {
            text.base = base;
        }
    }
    Ok(text)
}

/// Reads `run.json`.
///
/// # Errors
/// When `path` holds no run, or one of a newer version of hone.
pub fn read_inputs(path: &Path) -> Result<RunInputs> {
    let file = path.join(INPUTS);
    let bytes = std::fs::read(&file)
        .with_context(|| format!("{} holds no run (no readable run.json)", path.display()))?;
    let inputs: RunInputs = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is damaged or of another version", file.display()))?;
    if inputs.format > FORMAT {
        bail!("{} was written by a newer version of hone", file.display());
    }
    Ok(inputs)
}

//! Which teacher a recipe means: a folder of `hone teacher train` or a published weights file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tch::{Device, Kind};

use super::run::{BEST, TeacherInput};
use crate::data::answers::Answers;
use crate::data::index;
use crate::data::pool::PoolTeacher;
use crate::recipe::{Recipe, RecipeText, TeacherSource, TrainPrecision, sha256};
use crate::teacher::{self, LoadOptions, Teacher, TeacherConfig};

/// Refuses a teacher `instead` of the recipe's where that has none to learn from: it would be named in vain.
///
/// # Errors
/// As said.
pub(super) fn check_instead(recipe: &Recipe, instead: Option<&Path>) -> Result<()> {
    ensure!(
        instead.is_none() || recipe.teacher.is_some(),
        "the recipe has no [teacher] table, so --teacher has no effect: add the table, or leave --teacher out"
    );
    Ok(())
}

/// A teacher that was found but not loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundTeacher {
    config: TeacherConfig,
    weights: PathBuf,
    /// Hashes of its options and weights.
    pub identity: PoolTeacher,
}

impl FoundTeacher {
    /// Finds the recipe's teacher, or the one in `instead`.
    ///
    /// # Errors
    /// When neither names one, or what is named cannot be read.
    pub fn find(source: &TeacherSource, text: &RecipeText, instead: Option<&Path>) -> Result<Self> {
        let from = match (instead, &source.from) {
            (Some(path), _) => path.to_path_buf(),
            (None, Some(path)) => text.require(path)?,
            (None, None) => bail!(
                "the recipe's [teacher] has no 'from': name its weights there or with --teacher, \
                 or train without one by --no-teacher"
            ),
        };
        let (config, weights) = if from.is_dir() {
            let (weights, config) = trained(&from);
            let config = teacher::config::read_file(&config)
                .with_context(|| format!("{} holds no trained teacher", from.display()))?;
            (config.config, weights)
        } else {
            let network = source.network.clone().with_context(|| {
                let file = from.display();
                format!(
                    "{file} is no folder of hone teacher train; describe it in [teacher.network]"
                )
            })?;
            (network, from)
        };
        Ok(Self {
            identity: identity(&config, &weights)?,
            config,
            weights,
        })
    }

    /// The teacher as provenance.
    pub fn input(&self) -> TeacherInput {
        provenance(&self.identity)
    }

    /// Loads it, on a GPU to compute in the training's precision.
    ///
    /// # Errors
    /// When its weights do not fit its options.
    pub fn load(&self, device: Device, precision: TrainPrecision) -> Result<Box<dyn Teacher>> {
        // Processors gain nothing from half precision, GPUs do.
        let kind = match device {
            Device::Cpu => Kind::Float,
            _ => precision.kind(),
        };
        let options = LoadOptions {
            device,
            kind,
            ..LoadOptions::default()
        };
        teacher::load_with(&self.config, &self.weights, &options)
    }
}

/// The weights and the configuration in a folder of `hone teacher train`.
pub fn trained(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join(BEST), folder.join("teacher.json"))
}

/// Hashes of a teacher's options and weights.
///
/// # Errors
/// When the weights cannot be read.
pub fn identity(config: &TeacherConfig, weights: &Path) -> Result<PoolTeacher> {
    let weights_sha256 = index::sha256(weights)
        .with_context(|| format!("cannot read the teacher's weights {}", weights.display()))?;
    Ok(PoolTeacher {
        architecture: config.name().to_owned(),
        options_sha256: sha256(&serde_json::to_vec(config)?),
        weights_sha256,
    })
}

/// Whose answers the recipe's pairs hold in place of sharp pictures (`hone teacher pairs`), where they do.
///
/// # Errors
/// When what their folder says of itself is damaged.
pub fn answered(recipe: &Recipe, text: &RecipeText) -> Result<Option<TeacherInput>> {
    let Some(root) = &recipe.data.root else {
        return Ok(None);
    };
    let answers = Answers::read(&text.base.join(root))?;
    Ok(answers.map(|answers| provenance(&answers.teacher)))
}

/// A pool's teacher as provenance.
pub fn provenance(teacher: &PoolTeacher) -> TeacherInput {
    TeacherInput {
        architecture: teacher.architecture.clone(),
        weights_sha256: teacher.weights_sha256.clone(),
    }
}

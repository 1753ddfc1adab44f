//! Which teacher a recipe means: a folder of `hone teacher train` or a published weights file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tch::{Device, Kind};

use super::run::TeacherInput;
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
            let config = teacher::config::read_file(&from.join("teacher.json"))
                .with_context(|| format!("{} holds no trained teacher", from.display()))?;
            (config.config, from.join("best.safetensors"))
        } else {
            let network = source.network.clone().with_context(|| {
                let file = from.display();
                format!(
                    "{file} is no folder of hone teacher train; describe it in [teacher.network]"
                )
            })?;
            (network, from)
        };
        let weights_sha256 = index::sha256(&weights)
            .with_context(|| format!("cannot read the teacher's weights {}", weights.display()))?;
        let identity = PoolTeacher {
            architecture: config.name().to_owned(),
            options_sha256: sha256(&serde_json::to_vec(&config)?),
            weights_sha256,
        };
        Ok(Self {
            config,
            weights,
            identity,
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

/// A pool's teacher as provenance.
pub fn provenance(teacher: &PoolTeacher) -> TeacherInput {
    TeacherInput {
        architecture: teacher.architecture.clone(),
        weights_sha256: teacher.weights_sha256.clone(),
    }
}

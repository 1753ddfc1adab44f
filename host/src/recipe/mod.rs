//! Recipes: typed TOML files that say how a student, or a teacher, is trained.
//!
//! An unknown key, a wrong type or an impossible combination is refused with the line it stands on.

mod fault;
mod outline;
mod read;
mod stage;
mod teacher;

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use hone_shared::student::Colour;
use serde::{Deserialize, Serialize};

use crate::data::config::DataConfig;
use crate::loss::{LossConfig, WeightingConfig};
use crate::quantise::QuantiseConfig;
use crate::student::StudentConfig;
use crate::teacher::TeacherConfig;
use crate::train::optimizer::OptimizerConfig;
use crate::train::schedule::ScheduleConfig;

use fault::{Fault, Place};
pub use outline::{Outline, Trained};
pub use read::{RecipeText, sha256};
pub use stage::{BestBy, Stage, TrainPrecision, TrainingConfig};
pub use teacher::TeacherRecipe;

/// Every key of a student's and of a teacher's recipe, explained; it reads as a student's.
pub const REFERENCE: &str = include_str!("reference.toml");

/// How a student is distilled.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the student, in tables and in the ONNX metadata.
    pub name: String,
    /// Seed of weights, patches and augmentation.
    #[serde(default)]
    pub seed: u64,
    /// Planes that the student restores.
    pub colour: Colour,
    /// Pictures to train and validate on.
    pub data: DataConfig,
    /// The network to train.
    pub student: StudentConfig,
    /// The network to learn from.
    pub teacher: Option<TeacherSource>,
    /// Terms of the loss.
    #[serde(rename = "loss")]
    pub losses: Vec<LossConfig>,
    /// How the terms' weights are used.
    #[serde(default)]
    pub weighting: WeightingConfig,
    /// The update.
    pub optimizer: OptimizerConfig,
    /// The learning rate over time.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// The curriculum, stage after stage.
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
    /// Everything else about the training.
    #[serde(default)]
    pub training: TrainingConfig,
    /// How the trained student becomes INT8.
    #[serde(default)]
    pub quantise: QuantiseConfig,
}

/// The `[teacher]` table of a student's recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherSource {
    /// A folder of `hone teacher train`, or a weights file, relative to the recipe; `--teacher`
    /// takes its place.
    pub from: Option<PathBuf>,
    /// The architecture, needed with a weights file.
    pub network: Option<TeacherConfig>,
    /// A folder of `hone teacher cache` with the teacher's answers, relative to the recipe;
    /// `--cache` takes its place.
    pub cache: Option<PathBuf>,
}

impl Recipe {
    /// Reads a student's recipe and checks it.
    ///
    /// # Errors
    /// One sentence with the file and the line.
    pub fn from_text(text: &RecipeText) -> Result<Self> {
        let recipe: Self = text.parse()?;
        recipe.check().map_err(|fault| text.blame(fault))?;
        Ok(recipe)
    }

    fn check(&self) -> Result<(), Fault> {
        if self.name.is_empty() {
            return Err(Place::Table("name")
                .fault(anyhow!("name is empty; ONNX files take none without one")));
        }
        let of = |name| move |error| Place::Table(name).fault(error);
        self.data.check().map_err(of("data"))?;
        self.student.validate().map_err(of("student"))?;
        let network = self.teacher.as_ref().and_then(|t| t.network.as_ref());
        if let Some(network) = network {
            teacher::planned(network).map_err(of("teacher"))?;
        }
        self.weighting.validate().map_err(of("weighting"))?;
        self.quantise.validate().map_err(of("quantise"))?;
        check_losses(&self.losses, self.colour, &self.stages)?;
        check_training(
            &self.optimizer,
            &self.schedule,
            &self.stages,
            &self.training,
        )?;
        let multiple = self.student.multiple();
        if let Some(at) = self.stages.iter().position(|s| s.crop % multiple != 0) {
            let crop = self.stages[at].crop;
            return Err(Place::Nth("stage", at).fault(anyhow!(
                "a stage crops {crop} pixels; this student needs a multiple of {multiple}"
            )));
        }
        self.check_temporal()?;
        let guided = self.losses.iter().position(LossConfig::needs_teacher);
        match (&self.teacher, guided) {
            (None, Some(at)) => Err(Place::Nth("loss", at).fault(anyhow!(
                "loss '{}' compares with a teacher, but there is no [teacher] table",
                self.losses[at].label()
            ))),
            (Some(_), None) => Err(Place::Table("teacher").fault(anyhow!(
                "there is a [teacher], but no loss of kind 'teacher' or 'feature' uses it"
            ))),
            _ => Ok(()),
        }
    }
}

impl Recipe {
    /// Refuses what a student that sees sequences cannot be trained with.
    fn check_temporal(&self) -> Result<(), Fault> {
        if self.student.unrolled() == 1 {
            return Ok(());
        }
        let looks_twice = |l: &LossConfig| l.second_look().is_some();
        if let Some(at) = self.losses.iter().position(looks_twice) {
            return Err(Place::Nth("loss", at).fault(anyhow!(
                "loss 'temporal' looks twice at single frames; this student sees sequences: leave it away"
            )));
        }
        if self.quantise.qat {
            return Err(Place::Table("quantise").fault(anyhow!(
                "quantise.qat fine-tunes on single frames; this student sees sequences: leave it away"
            )));
        }
        Ok(())
    }
}

fn check_losses(losses: &[LossConfig], colour: Colour, stages: &[Stage]) -> Result<(), Fault> {
    if !losses.iter().any(|l| l.weight() > 0.0) {
        return Err(Place::Whole.fault(anyhow!("no [[loss]] has a weight above 0")));
    }
    let mut second_look = None;
    for (at, loss) in losses.iter().enumerate() {
        if let Some(noise) = loss.second_look()
            && *second_look.get_or_insert(noise) != noise
        {
            return Err(Place::Nth("loss", at).fault(anyhow!(
                "loss '{}' wants another noise than the one before; all of them look at the same patch",
                loss.label()
            )));
        }
        let here = Place::Nth("loss", at);
        loss.validate().map_err(|error| here.fault(error))?;
        let (label, smallest) = (loss.label(), loss.smallest_crop());
        if loss.needs_rgb() && colour != Colour::Rgb {
            return Err(here.fault(anyhow!("loss '{label}' needs colour = \"rgb\"")));
        }
        if let Some(stage) = stages.iter().find(|s| s.crop < smallest) {
            let crop = stage.crop;
            return Err(here.fault(anyhow!(
                "loss '{label}' needs crops of at least {smallest} pixels; a stage crops {crop}"
            )));
        }
    }
    Ok(())
}

fn check_training(
    optimizer: &OptimizerConfig,
    schedule: &ScheduleConfig,
    stages: &[Stage],
    training: &TrainingConfig,
) -> Result<(), Fault> {
    let of = |name| move |error| Place::Table(name).fault(error);
    optimizer.validate().map_err(of("optimizer"))?;
    schedule.validate().map_err(of("schedule"))?;
    training.validate().map_err(of("training"))?;
    if stages.is_empty() {
        return Err(Place::Whole.fault(anyhow!("there is no [[stage]]")));
    }
    for (at, stage) in stages.iter().enumerate() {
        let here = |error| Place::Nth("stage", at).fault(error);
        stage.validate().map_err(here)?;
    }
    Ok(())
}

#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod tests;

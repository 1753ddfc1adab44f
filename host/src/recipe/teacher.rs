//! A teacher's recipe.

use std::path::PathBuf;

use anyhow::{Result, anyhow, ensure};
use hone_shared::student::Colour;
use serde::Deserialize;
use tch::Device;
use tch::nn::VarStore;

use super::fault::{Fault, Place};
use super::{RecipeText, Stage, TrainingConfig, check_losses, check_training};
use crate::data::config::DataConfig;
use crate::loss::{LossConfig, WeightingConfig};
use crate::teacher::layer::count_parameters;
use crate::teacher::{self, Teacher, TeacherConfig};
use crate::train::optimizer::OptimizerConfig;
use crate::train::schedule::ScheduleConfig;

/// How a teacher is trained.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherRecipe {
    /// Name of the teacher in tables.
    pub name: String,
    /// Seed of weights, patches and augmentation.
    #[serde(default)]
    pub seed: u64,
    /// Pictures to train and validate on.
    pub data: DataConfig,
    /// The network to train; its channels decide between luma and RGB.
    pub network: TeacherConfig,
    /// Weights to start from (.pth or .safetensors), relative to the recipe; random without.
    #[serde(default)]
    pub from: Option<PathBuf>,
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
}

impl TeacherRecipe {
    /// Reads a teacher's recipe and checks it.
    ///
    /// # Errors
    /// One sentence with the file and the line.
    pub fn from_text(text: &RecipeText) -> Result<Self> {
        let recipe: Self = text.parse()?;
        recipe.check().map_err(|fault| text.blame(fault))?;
        Ok(recipe)
    }

    /// What the network's channels stand for.
    ///
    /// # Errors
    /// When its options are none that can be trained.
    pub fn colour(&self) -> Result<Colour> {
        let network = planned(&self.network)?;
        let (channels, scale) = (network.channels(), network.scale());
        ensure!(
            scale == 1 && [1, 3].contains(&channels),
            "{} of {channels} channels that enlarges {scale} times cannot be trained: pictures are luma or RGB, and \
             input and truth have the same size",
            network.name()
        );
        Ok(if channels == 1 {
            Colour::Luma
        } else {
            Colour::Rgb
        })
    }

    fn check(&self) -> Result<(), Fault> {
        let of = |name| move |error| Place::Table(name).fault(error);
        self.data.check().map_err(of("data"))?;
        self.weighting.validate().map_err(of("weighting"))?;
        if let Some(at) = self.losses.iter().position(LossConfig::needs_teacher) {
            return Err(Place::Nth("loss", at).fault(anyhow!(
                "loss '{}' compares with a teacher; a teacher has none",
                self.losses[at].label()
            )));
        }
        let colour = self.colour().map_err(of("network"))?;
        let coloured = self.losses.iter().position(LossConfig::needs_rgb);
        if let Some(at) = coloured.filter(|_| colour == Colour::Luma) {
            return Err(Place::Nth("loss", at).fault(anyhow!(
                "loss '{}' looks at colours, and [network] has one channel: leave the loss out, or set network.channels = 3",
                self.losses[at].label()
            )));
        }
        check_losses(&self.losses, colour, &self.stages)?;
        check_training(
            &self.optimizer,
            &self.schedule,
            &self.stages,
            &self.training,
        )
    }
}

/// A teacher without weights, to see whether its options are in range.
///
/// # Errors
/// When they are not.
pub(super) fn planned(config: &TeacherConfig) -> Result<Box<dyn Teacher>> {
    let nothing = VarStore::new(Device::Cpu);
    count_parameters(|| teacher::build(config, &nothing.root())).0
}

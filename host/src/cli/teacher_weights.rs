//! `--weights`, `--config`, `--key` ...: the teacher that several commands run.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use tch::Kind;

use super::torch_device::DeviceChoice;
use crate::checkpoint::{self, Checkpoint, Entry};
use crate::data::pool::PoolTeacher;
use crate::teacher::config::read_file;
use crate::teacher::load::from_entries;
use crate::teacher::{LoadOptions, Teacher, TeacherConfig, infer};
use crate::train::teacher_source::{self, trained};

/// What the network computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TorchPrecision {
    /// 32-bit floats
    F32,
    /// bfloat16
    Bf16,
    /// 16-bit floats (for GPUs)
    F16,
}

impl std::fmt::Display for TorchPrecision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
}

impl From<TorchPrecision> for Kind {
    fn from(precision: TorchPrecision) -> Self {
        match precision {
            TorchPrecision::F32 => Kind::Float,
            TorchPrecision::Bf16 => Kind::BFloat16,
            TorchPrecision::F16 => Kind::Half,
        }
    }
}

/// Arguments that name a teacher.
#[derive(Debug, Args)]
pub struct WeightsArgs {
    /// Weights: .pth/.pt/.ckpt of torch.save, .safetensors, or a folder of `hone teacher train`
    #[arg(long)]
    pub weights: PathBuf,
    /// Architecture and options (JSON or TOML); told from the weights' shapes when absent
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Nesting key inside the weights file, e.g. params; found by itself when absent
    #[arg(long)]
    pub key: Option<String>,
    /// Pool NAFNet locally with this window, in pixels (384 for the published networks)
    #[arg(long, value_name = "PIXELS")]
    pub local_window: Option<i64>,
    /// cpu, cuda, cuda:N or auto
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
    /// What the network computes in
    #[arg(long, value_enum, default_value = "f32")]
    pub precision: TorchPrecision,
}

/// A teacher that the command line named.
#[derive(Debug)]
pub struct Loaded {
    /// Its options.
    pub config: TeacherConfig,
    /// The network.
    pub teacher: Box<dyn Teacher>,
    /// Where it computes.
    pub device: tch::Device,
    /// The file of its weights.
    pub weights: PathBuf,
    /// The nesting key that they were found under.
    pub key: Option<String>,
    /// Hashes of options and file.
    pub identity: PoolTeacher,
}

impl WeightsArgs {
    /// Loads the teacher.
    ///
    /// # Errors
    /// When the weights cannot be read, their architecture is unknown, or they do not fit.
    pub fn load(&self) -> anyhow::Result<Loaded> {
        let (weights, config) = self.files();
        let file = config.as_deref().map(read_file).transpose()?;
        let key = self
            .key
            .as_deref()
            .or_else(|| file.as_ref().and_then(|f| f.checkpoint_key.as_deref()))
            .filter(|_| weights.extension().is_none_or(|e| e != "safetensors"));
        let Checkpoint { entries, key, .. } = checkpoint::read(&weights, key)?;
        let mut config = self.choose(file.map(|f| f.config), &entries)?;
        match (&mut config, self.local_window) {
            (_, None) => (),
            (TeacherConfig::NafNet(options), window) => options.local_window = window,
            (other, Some(_)) => bail!("--local-window is for nafnet, and this is {}", other.name()),
        }
        let device = self.device.resolve()?;
        let options = LoadOptions {
            device,
            kind: self.precision.into(),
            key: None,
        };
        let teacher = from_entries(&config, &entries, &options)
            .with_context(|| format!("{} does not fit {}", weights.display(), config.name()))?;
        Ok(Loaded {
            teacher,
            identity: teacher_source::identity(&config, &weights)?,
            config,
            weights,
            key,
            device,
        })
    }

    /// The files of weights and configuration, where a folder may stand for both.
    pub fn files(&self) -> (PathBuf, Option<PathBuf>) {
        if !self.weights.is_dir() {
            return (self.weights.clone(), self.config.clone());
        }
        let (weights, config) = trained(&self.weights);
        (weights, Some(self.config.clone().unwrap_or(config)))
    }

    /// The given configuration, or else the one that the shapes tell.
    fn choose(
        &self,
        given: Option<TeacherConfig>,
        entries: &[Entry],
    ) -> anyhow::Result<TeacherConfig> {
        let weights = self.weights.display();
        match (given, infer::infer(entries)) {
            (Some(given), Some(told)) if given.name() != told.name() => bail!(
                "{weights} holds weights of {}, and the configuration is for {}: give the right \
                 --config, or none",
                told.name(),
                given.name()
            ),
            (Some(given), _) => Ok(given),
            (None, told) => told.with_context(|| {
                format!(
                    "{weights}: no known architecture has these entries; see hone teacher info \
                     --weights {weights} --entries"
                )
            }),
        }
    }
}

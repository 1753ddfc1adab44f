//! A teacher on the workstation: torch, given whole pictures.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use tch::{Device, Kind, Tensor};

use super::Restore;
use super::tiles::{self, Tiling};
use crate::picture::Picture;
use crate::teacher::layer::count_parameters;
use crate::teacher::{self, LoadOptions, Teacher, TeacherConfig, config};

/// Pixels that neighbouring tiles share on each side; they fade into each other over twice that.
const OVERLAP: usize = 32;

/// A loaded teacher.
pub struct TeacherRestorer {
    teacher: Box<dyn Teacher>,
    device: Device,
    bytes: u64,
    parameters: usize,
    strength: f32,
    tile: usize,
    elapsed: Duration,
}

impl TeacherRestorer {
    /// Loads a teacher: its configuration (.json or .toml) and its weights.
    ///
    /// # Errors
    /// When a file cannot be read, they do not fit each other, or the teacher changes the size.
    pub fn open(config: &Path, weights: &Path, device: Device) -> anyhow::Result<Self> {
        let file = config::read_file(config)?;
        let options = LoadOptions {
            device,
            key: file.checkpoint_key,
            ..LoadOptions::default()
        };
        let teacher = teacher::load_with(&file.config, weights, &options)?;
        Self::new(teacher, &file.config, weights, device)
    }

    /// Takes a loaded teacher.
    ///
    /// # Errors
    /// When it changes the size, takes other planes than luma or RGB, or its file is gone.
    pub fn new(
        teacher: Box<dyn Teacher>,
        config: &TeacherConfig,
        weights: &Path,
        device: Device,
    ) -> anyhow::Result<Self> {
        if teacher.scale() != 1 {
            bail!(
                "this {} enlarges pictures {} times; only teachers that keep the size can restore",
                config.name(),
                teacher.scale()
            );
        }
        if ![1, 3].contains(&teacher.channels()) {
            bail!(
                "this {} takes {} channels; only luma and RGB teachers can restore",
                config.name(),
                teacher.channels()
            );
        }
        let nothing = tch::nn::VarStore::new(Device::Cpu);
        let (_, parameters) = count_parameters(|| teacher::build(config, &nothing.root()));
        Ok(Self {
            teacher,
            device,
            parameters: usize::try_from(parameters)?,
            bytes: std::fs::metadata(weights)?.len(),
            strength: 1.0,
            tile: 512,
            elapsed: Duration::ZERO,
        })
    }

    /// Sets the share of the change that is kept, 0..=1.
    #[must_use]
    pub fn with_strength(mut self, strength: f32) -> Self {
        self.strength = strength;
        self
    }

    /// Sets the side of the tiles that larger pictures are cut into; at least 64.
    #[must_use]
    pub fn with_tile(mut self, tile: usize) -> Self {
        self.tile = tile.max(64);
        self
    }

    fn forward(&mut self, input: &Picture) -> anyhow::Result<Picture> {
        let (c, h, w) = (input.channels, input.height, input.width);
        let size = [1, c as i64, h as i64, w as i64];
        let x = Tensor::from_slice(&input.data)
            .view(size)
            .to_device(self.device);
        let y = teacher::checked(tch::no_grad(|| self.teacher.forward(&x)))?;
        let y = (&x + (y - &x) * f64::from(self.strength)).clamp(0.0, 1.0);
        let y = y.to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
        let mut out = Picture::new(c, h, w);
        let samples = out.data.len();
        y.f_copy_data(&mut out.data, samples)?;
        Ok(out)
    }
}

impl Restore for TeacherRestorer {
    fn name(&self) -> String {
        "teacher".into()
    }

    fn restore(&mut self, input: &Picture) -> anyhow::Result<Picture> {
        let start = Instant::now();
        let luma_only = self.teacher.channels() == 1;
        let output = match (input.channels, luma_only) {
            (3, true) => {
                let before = input.luma();
                let after = self.restore(&before)?;
                crate::evaluate::recolour(input, &before, &after)
            }
            (1, false) => bail!("the teacher restores RGB, the picture has one plane"),
            _ if input.width.max(input.height) <= self.tile => self.forward(input)?,
            _ => {
                let multiple = usize::try_from(self.teacher.multiple()).unwrap_or(1);
                let tiling = Tiling {
                    core: self.tile,
                    overlap: OVERLAP.next_multiple_of(multiple),
                    align: multiple,
                    feather: 2 * OVERLAP,
                };
                tiles::restore(input, tiling, |tile| self.forward(tile))?
            }
        };
        self.elapsed = start.elapsed();
        Ok(output)
    }

    fn takes_luma(&self) -> bool {
        self.teacher.channels() == 1
    }

    fn elapsed(&self) -> Option<Duration> {
        Some(self.elapsed)
    }

    fn device(&self) -> Option<String> {
        match self.device {
            Device::Cpu => None,
            Device::Cuda(index) => Some(format!("cuda:{index}")),
            other => Some(format!("{other:?}").to_lowercase()),
        }
    }

    fn macs_per_pixel(&self) -> Option<f64> {
        Some(self.teacher.macs_per_pixel(self.device) as f64)
    }

    fn parameters(&self) -> Option<usize> {
        Some(self.parameters)
    }

    fn file_bytes(&self) -> Option<u64> {
        Some(self.bytes)
    }
}

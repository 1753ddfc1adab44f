//! Arguments that name a student or a teacher.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use hone_device::engine::EngineOptions;
use hone_shared::bundle::MAGIC;
use hone_shared::student::Precision;

use super::torch_device::DeviceChoice;
use crate::restore::{Restore, Student, TeacherRestorer};
use crate::train::teacher_source::trained;

/// Opens a student's ONNX file; `instead` says what to do with a bundle.
///
/// # Errors
/// When the file cannot be read or holds no student.
pub(super) fn open_onnx(
    path: &Path,
    options: EngineOptions,
    instead: &str,
) -> anyhow::Result<Student> {
    let mut head = [0; MAGIC.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    ensure!(
        read.is_err() || head != MAGIC,
        "{} is a bundle: {instead}",
        path.display()
    );
    Student::open(path, options)
}

/// What to do with a bundle where it cannot be taken.
pub(super) const UNPACK: &str = "take its students out first, with `hone bundle unpack`";

/// Which teacher.
#[derive(Debug, Args)]
#[group(skip)]
pub struct TeacherSource {
    /// Run folder of `hone teacher train`.
    #[arg(long, value_name = "DIR", conflicts_with = "teacher")]
    teacher_run: Option<PathBuf>,
    /// Configuration of a teacher (.json or .toml), with --teacher-weights.
    #[arg(long, value_name = "FILE", requires = "teacher_weights")]
    teacher: Option<PathBuf>,
    /// Weights of that teacher (.pth or .safetensors).
    #[arg(long, value_name = "FILE", requires = "teacher")]
    teacher_weights: Option<PathBuf>,
    /// Where the teacher computes: cpu, cuda, cuda:N or auto [default: auto].
    #[arg(long)]
    device: Option<DeviceChoice>,
}

impl TeacherSource {
    /// Loads the teacher, if one was named.
    ///
    /// # Errors
    /// When its files cannot be read or do not fit each other, or a device is named for none.
    pub fn open(&self) -> anyhow::Result<Option<TeacherRestorer>> {
        let (weights, config) = match (&self.teacher_run, &self.teacher, &self.teacher_weights) {
            (Some(run), ..) => trained(run),
            (None, Some(config), Some(weights)) => (weights.clone(), config.clone()),
            _ => {
                ensure!(
                    self.device.is_none(),
                    "--device is for teachers, and students run on the processor: leave it out"
                );
                return Ok(None);
            }
        };
        TeacherRestorer::open(
            &config,
            &weights,
            self.device.unwrap_or_default().resolve()?,
        )
        .map(Some)
    }
}

/// Which student or teacher restores. (clap forgets `requires = "bundle"` beside what conflicts with a bundle: such flags name
/// those conflicts too.)
#[derive(Debug, Args)]
#[group(skip)]
pub struct RestorerSource {
    /// ONNX file of a student.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["bundle", "teacher", "teacher_run"])]
    model: Option<PathBuf>,
    /// Bundle of students (.hone).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["teacher", "teacher_run"])]
    bundle: Option<PathBuf>,
    /// Level of the bundle's ladder; the largest without.
    #[arg(long, requires = "bundle", conflicts_with_all = ["model", "teacher", "teacher_run"])]
    level: Option<String>,
    /// Number format of the bundle's student; the one that boards take without.
    #[arg(long, value_name = "f32|int8", requires = "bundle",
        conflicts_with_all = ["model", "teacher", "teacher_run"])]
    precision: Option<Precision>,
    /// Worker threads of a student; 0 takes one for each core [default: 0].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(..=256),
        conflicts_with_all = ["teacher", "teacher_run"])]
    threads: Option<u16>,
    #[command(flatten)]
    teacher: TeacherSource,
}

impl RestorerSource {
    /// Loads what was named; `strength` is the share of its change that is kept, `tile` the side of
    /// tiles in pixels.
    ///
    /// # Errors
    /// When nothing was named, or a file cannot be read or holds nothing of the kind.
    pub fn open(&self, strength: f32, tile: Option<usize>) -> anyhow::Result<Box<dyn Restore>> {
        if let Some(mut teacher) = self.teacher.open()? {
            if let Some(tile) = tile {
                teacher = teacher.with_tile(tile);
            }
            return Ok(Box::new(teacher.with_strength(strength)));
        }
        let mut student = self.student()?.with_strength(strength);
        if let Some(tile) = tile {
            student = student.with_tile(tile);
        }
        Ok(Box::new(student))
    }

    fn student(&self) -> anyhow::Result<Student> {
        let options = EngineOptions {
            threads: self.threads.map_or(0, usize::from),
            ..EngineOptions::default()
        };
        if let Some(model) = &self.model {
            return open_onnx(model, options, "give it as --bundle");
        }
        let Some(bundle) = &self.bundle else {
            bail!("say what restores: --model, --bundle, --teacher-run or --teacher");
        };
        Student::from_bundle(bundle, self.level.as_deref(), self.precision, options)
            .context("cannot take a student from the bundle")
    }
}

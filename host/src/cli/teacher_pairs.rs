//! `hone teacher pairs`: a camera's own frames, and what a teacher makes of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde::Serialize;
use tch::{Device, Kind, Tensor};

use super::teacher_io::{self, Given};
use super::teacher_tiles::TileArgs;
use super::teacher_weights::WeightsArgs;
use super::{left_out, progress};
use crate::data::answers::{Answers, Place};
use crate::data::config::Layout;
use crate::data::index::{self, FileRecord, Problem};
use crate::teacher::{self, Teacher, TeacherConfig};
use crate::train::interrupt::Interrupt;

/// Arguments of `hone teacher pairs`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone data index clips --frames frames --every 15
  hone teacher pairs frames --weights restormer.pth --tile 512 --out pairs
  hone distill models/recipes/footage.toml --set data.root=pairs --from models/mixed.hone --out out/mine

A student that learns from these pairs learns what the teacher makes of this very camera, whatever its faults are; no
sharp picture is needed. `honed run --strength 0 --sink lossless:clips/one.mkv` keeps what a camera gives; let there be
two clips at least, for frames of one are never parted between training and validation. Ctrl-C loses one frame: the
same command goes on.")]
pub struct PairsArgs {
    /// Folder of the camera's frames.
    frames: PathBuf,
    #[command(flatten)]
    teacher: WeightsArgs,
    /// Folder to fill with input/ and target/; new, empty, or begun by this command.
    #[arg(long)]
    out: PathBuf,
    /// Most frames, spread evenly over the folder.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    #[command(flatten)]
    tiles: TileArgs,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    /// Answers given.
    made: usize,
    /// Those that were there already.
    kept: usize,
    /// Frames that cannot be used.
    left_out: usize,
    out: PathBuf,
}

impl PairsArgs {
    /// Makes the pairs that are missing.
    ///
    /// # Errors
    /// When the teacher cannot be loaded, no frame can be used, OUT holds something else, the memory does not suffice or a
    /// file cannot be written.
    pub fn run(self) -> anyhow::Result<()> {
        self.refuse_nesting()?;
        let index = index::scan(&self.frames, Layout::Sharp, 0, 0.0, false)?;
        let count = index.entries.len();
        let limit = self.limit.map_or(count, |l| (l as usize).min(count));
        let frames = (0..limit).map(|i| index.entries[i * count / limit].truth.clone());
        let frames: Vec<FileRecord> = frames.collect();
        refuse_twins(&frames)?;
        let (config, teacher, device) = self.teacher.load()?;
        let identity = self.teacher.identity(&config)?;
        let precision = self.teacher.precision.to_string();
        Answers::new(identity, precision, self.tiles.sides()?, &frames).claim(&self.out)?;
        let interrupt = Interrupt::on_signals()?;
        let mut problems = index.problems;
        let mut outcome = Outcome {
            out: self.out.clone(),
            ..Outcome::default()
        };
        let bar = progress::bar(frames.len() as u64, "frames");
        for frame in &frames {
            if interrupt.is_set() {
                bar.abandon();
                bail!(
                    "stopped; {} new pairs are in {}, the same command goes on",
                    outcome.made,
                    self.out.display()
                );
            }
            let place = Place::of(&self.out, &frame.path);
            let path = self.frames.join(&frame.path);
            if place.target.is_file() {
                outcome.kept += 1;
            } else {
                match Given::read(&path) {
                    Ok(given) => {
                        let answer = self.ask(&config, teacher.as_ref(), device, given)?;
                        keep(&place, &path, &answer)?;
                        outcome.made += 1;
                    }
                    Err(error) => problems.push(Problem {
                        path: frame.path.clone(),
                        reason: error.root_cause().to_string(),
                    }),
                }
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        outcome.left_out = problems.len();
        left_out::tell(&problems, outcome.made + outcome.kept)
            .with_context(|| format!("{} makes no pairs", self.frames.display()))?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&outcome)?);
        } else {
            println!(
                "{}: {} pairs made, {} were there",
                self.out.display(),
                outcome.made,
                outcome.kept
            );
        }
        Ok(())
    }

    /// The teacher's answer `[1,C,H,W]` about one frame, f32 on the processor.
    fn ask(
        &self,
        config: &TeacherConfig,
        teacher: &dyn Teacher,
        device: Device,
        frame: Given,
    ) -> anyhow::Result<Tensor> {
        let kind = self.teacher.precision.into();
        let x = frame.into_tensor(teacher.channels())?.to_device(device);
        let y = self.tiles.restore((config, teacher), kind, &x, |_| ())?;
        let y = teacher::checked(y)?;
        Ok(y.to_device(Device::Cpu).to_kind(Kind::Float).contiguous())
    }

    /// What this command writes would be frames to it the next time.
    fn refuse_nesting(&self) -> anyhow::Result<()> {
        let whole = |path: &Path| std::path::absolute(path).map(|p| p.canonicalize().unwrap_or(p));
        let (frames, out) = (whole(&self.frames)?, whole(&self.out)?);
        ensure!(
            !out.starts_with(&frames),
            "{} lies in {}, the folder of the frames: name a folder elsewhere",
            self.out.display(),
            self.frames.display()
        );
        Ok(())
    }
}

/// Two frames of one name and different endings would be one pair.
fn refuse_twins(frames: &[FileRecord]) -> anyhow::Result<()> {
    let mut names = BTreeSet::new();
    for frame in frames {
        let name = Path::new(&frame.path).with_extension("");
        ensure!(
            names.insert(name.clone()),
            "two frames are called {}: their answers would overwrite each other",
            name.display()
        );
    }
    Ok(())
}

/// Writes the frame as it is, then the answer.
fn keep(place: &Place, frame: &Path, answer: &Tensor) -> anyhow::Result<()> {
    place.prepare()?;
    let bytes = std::fs::read(frame).with_context(|| format!("cannot read {}", frame.display()))?;
    hone_device::atomic::write_bytes(&place.input, &bytes)?;
    teacher_io::write(&place.target, answer)
}

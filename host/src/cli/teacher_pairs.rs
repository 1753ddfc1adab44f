//! `hone teacher pairs`: a camera's own frames, and what a teacher makes of them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde::Serialize;

use super::teacher_weights::{Loaded, WeightsArgs};
use super::{left_out, progress};
use crate::data::answers::{self, Answers, Place};
use crate::data::index::{FileRecord, Problem, planned};
use crate::data::source::spread;
use crate::picture::Picture;
use crate::restore::{Restore, TeacherRestorer};
use crate::train::interrupt::Interrupt;

/// Arguments of `hone teacher pairs`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone data index clips --frames frames --every 15
  hone teacher pairs frames --weights restormer.pth --out pairs
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
    /// Side of the tiles that larger frames are cut into, in pixels; at least 64.
    #[arg(long, value_name = "PIXELS", default_value_t = 512, value_parser = clap::value_parser!(u16).range(64..))]
    tile: u16,
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
    /// When the teacher cannot be loaded or changes the size, no frame can be used, OUT holds something else or a file cannot
    /// be written.
    pub fn run(self) -> anyhow::Result<()> {
        let place = hone_device::place::Place::of;
        ensure!(
            !place(&self.out).lies_in(&place(&self.frames)),
            "{} lies in {}, the folder of the frames: name a folder elsewhere",
            self.out.display(),
            self.frames.display()
        );
        let (all, mut problems) = planned::pictures(&self.frames)?;
        let limit = self.limit.map_or(all.len(), |l| l as usize);
        let frames = spread(all.len(), limit).into_iter().map(|i| all[i].clone());
        let frames: Vec<FileRecord> = frames.collect();
        let planned = frames.iter().map(|frame| {
            let place = Place::of(Path::new(""), &frame.path);
            (place.input, place.target)
        });
        // Before hours of work.
        planned::check(&planned.collect::<Vec<_>>())
            .with_context(|| format!("{} makes no data to train on", self.frames.display()))?;
        let loaded = self.teacher.load()?;
        let answers = Answers {
            format: answers::FORMAT,
            teacher: loaded.identity,
            key: loaded.key,
            precision: self.teacher.precision.to_string(),
            tile: self.tile.into(),
            frames_sha256: answers::frames_sha256(&frames),
        };
        let Loaded {
            config,
            teacher,
            weights,
            device,
            ..
        } = loaded;
        let mut restorer =
            TeacherRestorer::new(teacher, &config, &weights, device)?.with_tile(self.tile.into());
        answers.check_free(&self.out)?;
        let interrupt = Interrupt::on_signals()?;
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
                match Picture::load(&path) {
                    Ok(picture) => {
                        let answer = restorer.restore(&picture)?;
                        // Not before: what could not be answered leaves the folder to another attempt.
                        if outcome.made == 0 {
                            answers.claim(&self.out)?;
                        }
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
}

/// Writes the frame as it is, then the answer.
fn keep(place: &Place, frame: &Path, answer: &Picture) -> anyhow::Result<()> {
    place.prepare()?;
    let bytes = std::fs::read(frame).with_context(|| format!("cannot read {}", frame.display()))?;
    hone_device::atomic::write_bytes(&place.input, &bytes)?;
    answer.save(&place.target)
}

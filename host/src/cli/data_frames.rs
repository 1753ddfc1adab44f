//! `hone data frames`: videos as folders of sharp pictures.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::Args;
use hone_shared::print::tell;
use hone_shared::printable::printable;
use indicatif::ProgressBar;

use super::left_out;
use crate::data::clips::{self, BadClip};
use crate::data::index::Problem;

/// Arguments of `hone data frames`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hone data frames clips/a.mp4 clips/b.mp4 --out frames --every 5

A video that is cut off or cannot be decoded is left out, named and counted. The same command given again keeps the
folders that are there, and takes what is missing."
)]
pub struct FramesArgs {
    /// Video files that GStreamer can decode.
    #[arg(required = true)]
    clips: Vec<PathBuf>,
    /// Folder to fill: one sequence OUT/CLIP/NNNNNN.png for each file.
    #[arg(long)]
    out: PathBuf,
    /// Keep every N-th frame.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
}

impl FramesArgs {
    /// Takes the frames.
    ///
    /// # Errors
    /// When a folder holds something else already, a clip is missing, or none can be used.
    pub fn run(self) -> anyhow::Result<()> {
        take(&self.clips, &self.out, self.every, false)
    }
}

/// Takes the frames of `clips` to a folder each under `out`. Clips that cannot be used are left out, named and counted;
/// folders that hold these very frames are kept.
pub(super) fn take(clips: &[PathBuf], out: &Path, every: u64, silent: bool) -> anyhow::Result<()> {
    let every = every as usize;
    let folders = clips::folders(clips, out)?;
    let mut kept = Vec::new();
    // Before hours go into the others.
    for (clip, folder) in clips.iter().zip(&folders) {
        ensure!(clip.is_file(), "{} is no file", clip.display());
        kept.push(clips::kept(clip, folder, every)?);
    }
    let mut problems = Vec::new();
    for ((clip, folder), kept) in clips.iter().zip(&folders).zip(kept) {
        if let Some(frames) = kept {
            say(silent, folder, frames, " were there");
            continue;
        }
        let bar = ProgressBar::new_spinner();
        let told = |n| bar.set_message(format!("{}: frame {n}", clip.display()));
        let taken = clips::extract(clip, folder, every, &told);
        bar.finish_and_clear();
        match taken {
            Ok(taken) => {
                // Not refused: a recording may well begin with a broken picture, and which ones are is not known.
                if let Some(damage) = taken.damage {
                    let words = format_args!("{}: {damage}: look at its frames", clip.display());
                    tell(format_args!("warning: {}", printable(words)));
                }
                say(silent, folder, taken.frames, "");
            }
            Err(error) if error.is::<BadClip>() && clips.len() > 1 => problems.push(Problem {
                path: clip.display().to_string(),
                reason: error.to_string(),
            }),
            Err(error) => return Err(error),
        }
    }
    left_out::tell(&problems, clips.len() - problems.len())
}

fn say(silent: bool, folder: &Path, frames: usize, more: &str) {
    if !silent {
        println!("{}: {frames} frames{more}", folder.display());
    }
}

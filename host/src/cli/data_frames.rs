//! `hone data frames`: videos as folders of sharp pictures.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;

use crate::data::clips;

/// Arguments of `hone data frames`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hone data frames clips/a.mp4 clips/b.mp4 --out frames --every 5"
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
    /// When a folder is there already, or a clip is missing, cut off or cannot be decoded.
    pub fn run(self) -> anyhow::Result<()> {
        take(&self.clips, &self.out, self.every, false)
    }
}

/// Takes the frames of `clips` to a folder each under `out`.
pub(super) fn take(clips: &[PathBuf], out: &Path, every: u64, silent: bool) -> anyhow::Result<()> {
    clips::check(clips)?;
    let folders = clips::folders(clips, out)?;
    for (clip, folder) in clips.iter().zip(folders) {
        let bar = ProgressBar::new_spinner();
        let told = |n| bar.set_message(format!("{}: frame {n}", clip.display()));
        let taken = clips::extract(clip, &folder, every as usize, &told)?;
        bar.finish_and_clear();
        // Not refused: a recording may well begin with a broken picture, and which ones are is not known.
        if let Some(damage) = taken.damage {
            eprintln!("warning: {}: {damage}: look at its frames", clip.display());
        }
        if !silent {
            println!("{}: {} frames", folder.display(), taken.frames);
        }
    }
    Ok(())
}

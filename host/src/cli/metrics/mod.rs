//! `hone metrics`: how far pictures, folders or videos are from their references.

mod measured;
mod videos;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::learned::{self, LearnedMetrics};
use super::{left_out, overwrite, progress};
use crate::data::index::Problem;
use crate::data::read;
use crate::metric::{LEARNED, METRICS, MetricSet};
use crate::picture::Picture;
use crate::restore::{images_in, paired_images, video};
use measured::{Entry, Measured};

/// Measures distorted pictures, folders of pictures, or videos against their references.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone metrics sharp.png restored.png
  hone metrics sharp/ restored/ --json > scores.json
  hone metrics --only psnr_rgb --only ssim_gopro_3d truth.mp4 restored.mp4 --csv frames.csv
  hone metrics sent.mp4 received.mp4 --align
  hone metrics sharp.png restored.png --lpips alex.pth --lpips-backbone alexnet.pth

Pictures are measured to their edges. Published tables of super-resolution cut a border of as many pixels as
they enlarge times off both pictures first: crop them so to compare with those.")]
pub struct MetricsArgs {
    /// The truth: an image, a folder of images, or a video.
    #[arg(required_unless_present = "list")]
    reference: Option<PathBuf>,
    /// What is measured: the same kind; files of folders are paired by name.
    #[arg(required_unless_present = "list")]
    distorted: Option<PathBuf>,
    /// Compute this metric only; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Name all metrics and stop.
    #[arg(long)]
    list: bool,
    /// Of videos, find for each frame the reference's frame that it shows, and name dropped and repeated
    /// ones; done anyway where the two differ in length. Without, frames are compared by number.
    #[arg(long)]
    align: bool,
    /// Write the figures of every picture or frame as a table too.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    learned: LearnedMetrics,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl MetricsArgs {
    /// Measures and prints.
    ///
    /// # Errors
    /// When something cannot be read, sizes differ, or a metric asked for by name is undefined.
    pub fn run(self) -> anyhow::Result<()> {
        if self.list {
            METRICS
                .iter()
                .for_each(|metric| println!("{}", metric.name));
            LEARNED
                .iter()
                .for_each(|name| println!("{name} (needs weights: {})", learned::flags_of(name)));
            return Ok(());
        }
        let (Some(reference), Some(distorted)) = (&self.reference, &self.distorted) else {
            bail!("give a reference and a distorted picture");
        };
        if let Some(path) = &self.csv {
            self.refuse_csv(path, [reference, distorted])?;
        }
        let mut metrics = MetricSet::all(self.learned.vgg()?, self.learned.lpips()?);
        if !self.only.is_empty() {
            metrics = metrics.only(&self.only)?;
        }
        let found = self.measured(reference, distorted, &metrics)?;
        if !self.only.is_empty() {
            // What was asked for by name must exist.
            for entry in &found.entries {
                for (_, value) in &entry.scores.0 {
                    value.clone().with_context(|| entry.name.clone())?;
                }
            }
        }
        if self.json {
            println!("{}", found.json(&metrics.names())?);
        } else {
            println!("{}", found.table(&metrics.names()));
            found.remarks().iter().for_each(|line| println!("{line}"));
        }
        if let Some(path) = &self.csv {
            hone_device::atomic::write_bytes(path, found.csv(&metrics.names()).as_bytes())?;
        }
        Ok(())
    }

    /// Refuses a table that would take the place of what is measured or measures, or has none, before all the work.
    fn refuse_csv(&self, path: &Path, sides: [&PathBuf; 2]) -> anyhow::Result<()> {
        overwrite::refuse_nowhere(path)?;
        overwrite::refuse(path, self.learned.files())?;
        for side in sides {
            overwrite::refuse(path, [side.as_path()])?;
            if side.is_dir() {
                let pictures = images_in(side)?;
                overwrite::refuse(path, pictures.iter().map(PathBuf::as_path))?;
            }
        }
        Ok(())
    }

    fn measured(
        &self,
        reference: &Path,
        distorted: &Path,
        metrics: &MetricSet,
    ) -> anyhow::Result<Measured> {
        if reference.is_dir() != distorted.is_dir() {
            bail!(
                "{} and {} must both be folders or both be files",
                reference.display(),
                distorted.display()
            );
        }
        if video::is_video(reference) != video::is_video(distorted) {
            bail!(
                "{} and {} must both be videos or both be pictures",
                reference.display(),
                distorted.display()
            );
        }
        if reference.is_dir() {
            folders(reference, distorted, metrics)
        } else if video::is_video(reference) {
            videos::measure(reference, distorted, metrics, self.align)
        } else {
            let (a, b) = load(reference, distorted)?;
            let entry = Entry::measure(distorted.display().to_string(), &a, &b, metrics)?;
            Ok(Measured::single(entry))
        }
    }
}

/// Reads both pictures at once.
fn load(reference: &Path, distorted: &Path) -> anyhow::Result<(Picture, Picture)> {
    let (a, b) = rayon::join(|| read::deep(reference), || read::deep(distorted));
    Ok((a?, b?))
}

fn folders(reference: &Path, distorted: &Path, metrics: &MetricSet) -> anyhow::Result<Measured> {
    let pairs = paired_images(reference, distorted)?;
    let bar = progress::bar(pairs.len() as u64, "measuring");
    let mut entries = Vec::with_capacity(pairs.len());
    let mut problems = Vec::new();
    for (a, b) in pairs {
        // With its ending: several pictures of a folder may share a stem.
        let name = a.file_name().unwrap_or_default().to_string_lossy();
        match load(&a, &b) {
            Ok((a, b)) => entries.push(Entry::measure(name.into_owned(), &a, &b, metrics)?),
            Err(error) => problems.push(Problem {
                path: name.into_owned(),
                reason: format!("{error:#}"),
            }),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    left_out::tell(&problems, entries.len())?;
    Ok(Measured::many(entries))
}

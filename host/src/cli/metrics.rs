//! `hone metrics`: how far pictures, folders or videos are from their references.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;

use super::learned::LearnedMetrics;
use crate::metric::{
    self, LEARNED, METRICS, MetricSet, Scores, Sharpness, Summary, Temporal, TemporalMeter,
    sharpness,
};
use crate::picture::Picture;
use crate::restore::{paired_images, video};

/// Measures distorted pictures, folders of pictures, or videos against their references.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone metrics sharp.png restored.png
  hone metrics sharp/ restored/ --json > scores.json
  hone metrics --only psnr_rgb --only ssim_gopro_3d truth.mp4 restored.mp4
  hone metrics sharp.png restored.png --lpips alex.pth --lpips-backbone alexnet.pth")]
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
    #[command(flatten)]
    learned: LearnedMetrics,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One pair of a folder or video.
#[derive(Serialize)]
struct Entry {
    name: String,
    #[serde(flatten)]
    scores: Scores,
    sharpness: [Sharpness; 2],
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
                .for_each(|name| println!("{name} (needs weights: --vgg, --lpips)"));
            return Ok(());
        }
        let (Some(reference), Some(distorted)) = (&self.reference, &self.distorted) else {
            bail!("give a reference and a distorted picture");
        };
        let mut metrics = MetricSet::all(self.learned.vgg()?, self.learned.lpips()?);
        if !self.only.is_empty() {
            metrics = metrics.only(&self.only)?;
        }
        let (entries, temporal) = entries(reference, distorted, &metrics)?;
        if !self.only.is_empty() {
            // What was asked for by name must exist.
            for entry in &entries {
                for (_, value) in &entry.scores.0 {
                    value.clone().with_context(|| entry.name.clone())?;
                }
            }
        }
        let single = reference.is_file() && !video::is_video(reference);
        if self.json {
            print_json(&entries, &metrics.names(), temporal, single)
        } else {
            print_table(&entries, &metrics.names());
            if let Some(found) = temporal {
                println!(
                    "flicker {:.3} (largest {:.3}) of 255, {} repeated frames in {} changes",
                    found.flicker, found.flicker_max, found.repeated, found.changes
                );
            }
            Ok(())
        }
    }
}

fn entries(
    reference: &Path,
    distorted: &Path,
    metrics: &MetricSet,
) -> anyhow::Result<(Vec<Entry>, Option<Temporal>)> {
    let measure = |name: String, a: &Picture, b: &Picture| {
        let scores = metrics.measure(a, b).with_context(|| name.clone())?;
        let sharpness = [sharpness(a), sharpness(b)];
        anyhow::Ok(Entry {
            name,
            scores,
            sharpness,
        })
    };
    if reference.is_dir() != distorted.is_dir() {
        bail!(
            "{} and {} must both be folders or both be files",
            reference.display(),
            distorted.display()
        );
    }
    let (mut entries, mut temporal) = (Vec::new(), None);
    if reference.is_dir() {
        let pairs = paired_images(reference, distorted)?;
        let bar = super::progress::bar(pairs.len() as u64, "measuring");
        for (a, b) in pairs {
            let name = a.file_stem().unwrap_or_default().to_string_lossy();
            entries.push(measure(
                name.into_owned(),
                &Picture::load(&a)?,
                &Picture::load(&b)?,
            )?);
            bar.inc(1);
        }
        bar.finish_and_clear();
    } else if video::is_video(reference) {
        let mut a = video::Reader::open(reference)?;
        let mut b = video::Reader::open(distorted)?;
        let (left, right) = (a.format(), b.format());
        let bar = super::progress::bar(0, "measuring");
        let mut meter = TemporalMeter::default();
        loop {
            match (a.next_frame()?, b.next_frame()?) {
                (Some(x), Some(y)) => {
                    let name = format!("frame {}", entries.len());
                    let (x, y) = (x.to_picture(&left), y.to_picture(&right));
                    entries.push(measure(name, &x, &y)?);
                    meter.push(&x, &y)?;
                    bar.inc(1);
                }
                (None, None) => break,
                (more, _) => bail!(
                    "{} has more frames than {}, which ends after {}",
                    if more.is_some() { reference } else { distorted }.display(),
                    if more.is_some() { distorted } else { reference }.display(),
                    entries.len()
                ),
            }
        }
        bar.finish_and_clear();
        temporal = Some(meter.found());
    } else {
        let (a, b) = (Picture::load(reference)?, Picture::load(distorted)?);
        entries.push(measure(distorted.display().to_string(), &a, &b)?);
    }
    Ok((entries, temporal))
}

fn summary(entries: &[Entry], name: &str) -> Option<Summary> {
    Summary::of(entries.iter().filter_map(|entry| entry.scores.get(name)))
}

fn print_json(
    entries: &[Entry],
    metrics: &[&'static str],
    temporal: Option<Temporal>,
    single: bool,
) -> anyhow::Result<()> {
    let json = match entries {
        [entry] if single => serde_json::to_value(&entry.scores)?,
        _ => {
            let mean: serde_json::Map<_, _> = metrics
                .iter()
                .map(|name| {
                    let value = serde_json::to_value(summary(entries, name))?;
                    Ok(((*name).to_owned(), value))
                })
                .collect::<anyhow::Result<_>>()?;
            serde_json::json!({ "summary": mean, "temporal": temporal, "entries": entries })
        }
    };
    println!("{}", serde_json::to_string_pretty(&json)?);
    Ok(())
}

fn print_table(entries: &[Entry], metrics: &[&'static str]) {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    if let [entry] = entries {
        table.set_header(["metric", "value"]);
        for (name, value) in &entry.scores.0 {
            let text = match value {
                Ok(value) => metric::format(name, *value),
                Err(error) => format!("- ({error})"),
            };
            table.add_row([(*name).to_owned(), text]);
        }
        let [a, b] = entry.sharpness;
        let row = |name: &str, a: f64, b: f64| {
            [
                format!("{name} (reference, distorted)"),
                format!("{a:.1}, {b:.1}"),
            ]
        };
        table.add_row(row("tenengrad", a.tenengrad, b.tenengrad));
        table.add_row(row(
            "laplacian_variance",
            a.laplacian_variance,
            b.laplacian_variance,
        ));
    } else {
        table.set_header(["metric", "mean", "deviation", "min", "max", "pictures"]);
        for name in metrics {
            let Some(s) = summary(entries, name) else {
                table.add_row([*name, "-", "-", "-", "-", "0"]);
                continue;
            };
            let figures = [s.mean, s.deviation, s.min, s.max].map(|v| metric::format(name, v));
            let mut row = vec![(*name).to_owned()];
            row.extend(figures);
            row.push(s.count.to_string());
            table.add_row(row);
        }
    }
    println!("{table}");
}

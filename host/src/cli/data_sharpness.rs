//! `hone data sharpness`: a histogram of how sharp patches are.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::data::config::DataConfig;
use crate::data::source::{quantile, scores};

/// Bars of the histogram, and characters of the longest.
const BARS: usize = 16;
const LONGEST: usize = 48;

/// Arguments of `hone data sharpness`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  hone data sharpness photos --crop 128

The score is the mean Sobel magnitude of the luma, 0..1. In a recipe's [data], min_sharpness = 0.03 has patches
below that score drawn again, drop_flattest = 0.3 those below the 30 % quantile.")]
pub struct SharpnessArgs {
    /// Folder with the pictures, in any layout that `hone data index` knows.
    root: PathBuf,
    /// Side of the patches.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u64).range(8..=4096))]
    crop: u64,
    /// Patches to score.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    patches: u64,
    /// Draws other patches.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print scores and quantiles as JSON.
    #[arg(long)]
    json: bool,
}

impl SharpnessArgs {
    /// Scores patches and prints their histogram.
    ///
    /// # Errors
    /// When the folder has no picture to train on.
    pub fn run(self) -> anyhow::Result<()> {
        let config = DataConfig {
            root: Some(self.root),
            seed: self.seed,
            ..DataConfig::default()
        };
        let scores = scores(&config, Path::new(""), self.crop as usize, self.patches)?;
        let quantiles = [0.1, 0.2, 0.3, 0.5, 0.7, 0.9].map(|part| (part, quantile(&scores, part)));
        if self.json {
            let json = serde_json::json!({ "scores": scores, "quantiles": quantiles });
            println!("{}", serde_json::to_string_pretty(&json)?);
            return Ok(());
        }
        print!("{}", histogram(&scores));
        for (part, score) in quantiles {
            println!("{:3.0} % of the patches are below {score:.4}", part * 100.0);
        }
        Ok(())
    }
}

/// Bars over equal spans up to the 99 % quantile; the last one takes what is above.
fn histogram(scores: &[f32]) -> String {
    let width = (quantile(scores, 0.99) / BARS as f32).max(1e-4);
    let mut counts = [0_usize; BARS];
    for score in scores {
        counts[((score / width) as usize).min(BARS - 1)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let mut text = String::new();
    for (i, count) in counts.into_iter().enumerate() {
        let bar = "#".repeat((count * LONGEST).div_ceil(most));
        let share = 100.0 * count as f32 / scores.len().max(1) as f32;
        text += &format!("{:6.4} {share:5.1} % {bar}\n", i as f32 * width);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_has_its_bar() {
        let scores: Vec<f32> = (0..200).map(|i| i as f32 / 1000.0).collect();
        let text = histogram(&scores);
        assert_eq!(text.lines().count(), BARS);
        let shares: f32 = text
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1)?.parse::<f32>().ok())
            .sum();
        assert!((shares - 100.0).abs() < 1.0, "{text}");
        assert_eq!(
            histogram(&[0.0]).lines().next(),
            Some(format!("0.0000 100.0 % {}", "#".repeat(LONGEST)).as_str())
        );
    }
}

//! Arguments that name the weights of learned metrics.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::metric::{Lpips, VggDistance};

/// Weights for the metrics that have some.
#[derive(Debug, Args)]
#[group(skip)]
pub struct LearnedMetrics {
    /// torchvision's VGG16 or VGG19 weights (.pth or .safetensors): measures vgg_l1.
    #[arg(long, value_name = "FILE")]
    vgg: Option<PathBuf>,
    /// ReLU layers of --vgg; may be repeated.
    #[arg(long, value_name = "NAME", requires = "vgg", default_value = "relu2_2")]
    vgg_layer: Vec<String>,
    /// The linear layers of LPIPS 0.1 (alex.pth or vgg.pth of the `lpips` package).
    #[arg(long, value_name = "FILE", requires = "lpips_backbone")]
    lpips: Option<PathBuf>,
    /// torchvision's weights of LPIPS's network, AlexNet or VGG16.
    #[arg(long, value_name = "FILE", requires = "lpips")]
    lpips_backbone: Option<PathBuf>,
}

/// The flags that the learned metric `name` needs.
pub(super) fn flags_of(name: &str) -> &'static str {
    match name {
        "vgg_l1" => "--vgg",
        _ => "--lpips, --lpips-backbone",
    }
}

impl LearnedMetrics {
    /// The files that are named.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let files = [&self.vgg, &self.lpips, &self.lpips_backbone];
        files.into_iter().flatten().map(PathBuf::as_path)
    }

    /// Loads the VGG, when one is named.
    ///
    /// # Errors
    /// When its file cannot be read or lacks a layer.
    pub fn vgg(&self) -> anyhow::Result<Option<VggDistance>> {
        let load = |path: &PathBuf| VggDistance::load(path, &self.vgg_layer);
        self.vgg.as_ref().map(load).transpose()
    }

    /// Loads LPIPS, when its files are named.
    ///
    /// # Errors
    /// When a file cannot be read or the two do not belong together.
    pub fn lpips(&self) -> anyhow::Result<Option<Lpips>> {
        match (&self.lpips, &self.lpips_backbone) {
            (Some(linear), Some(backbone)) => Lpips::load(linear, backbone).map(Some),
            _ => Ok(None),
        }
    }
}

//! The `[data]` table of a recipe.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::degrade::Degradation;
use super::degrade::preset;

/// Where pictures come from and what is done to them. Unknown keys are errors.
///
/// ```toml
/// [data]
/// root = "photos"              # a folder of photographs, or of pairs in any known layout
/// degradation = "mixed"        # for sharp pictures; pairs bring their own
/// ```
///
/// ```toml
/// [data]
/// layout = "scenes"            # drawn by code, no files
/// count = 200
/// size = [512, 384]
/// degradation = "disc:radius=1..2"
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Folder with the pictures, relative to the recipe's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// Index file made by `hone data index`; found by itself when it lies in `root` as `hone-index.toml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<PathBuf>,
    /// How the folder is read.
    pub layout: Layout,
    /// The camera for sharp pictures.
    pub degradation: Degradation,
    /// Side of the patches that `drop_flattest` is measured on, in pixels; those trained on have their stage's `crop`.
    pub crop: usize,
    /// Seed of splits, scenes and validation degradations.
    pub seed: u64,
    /// Part of the pictures (whole sequences) kept for validation where the folder has no such split.
    pub validation: f32,
    /// Most pictures used for one validation, spread evenly over the split.
    pub validation_images: usize,
    /// Validation pictures are cropped around their middle to this side.
    pub validation_crop: usize,
    /// Patches less sharp (mean Sobel magnitude, 0..1) are drawn again, up to eight times.
    pub min_sharpness: f32,
    /// The flattest part of all patches of side `crop` is drawn again likewise: 0.3 leaves out about the flattest third.
    /// `hone data sharpness` shows what that means for one's own pictures.
    #[serde(skip_serializing_if = "nothing")]
    pub drop_flattest: f32,
    /// Pictures are first made smaller by this factor: 2 trains at half resolution.
    pub reduce: usize,
    /// Patches of each side in a pool of `hone teacher cache`.
    pub pool: usize,
    /// Random flips and quarter turns.
    pub flips: bool,
    /// Random brightness, contrast and colour balance: largest relative change.
    pub jitter: f32,
    /// Memory for decoded pictures, MiB.
    pub memory_mb: usize,
    /// Number of scenes, for `layout = "scenes"`.
    pub count: usize,
    /// Width and height of the scenes.
    pub size: [usize; 2],
}

/// What is not asked for is not written, so that settings of before keep their hash.
fn nothing(part: &f32) -> bool {
    *part == 0.0
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            root: None,
            index: None,
            layout: Layout::Auto,
            degradation: preset("mixed").unwrap_or_default(),
            crop: 128,
            seed: 0,
            validation: 0.1,
            validation_images: 16,
            validation_crop: 384,
            min_sharpness: 0.0,
            drop_flattest: 0.0,
            reduce: 1,
            pool: 4096,
            flips: true,
            jitter: 0.0,
            memory_mb: 1024,
            count: 200,
            size: [512, 384],
        }
    }
}

impl DataConfig {
    /// One sentence about a value out of bounds.
    ///
    /// # Errors
    /// As said.
    pub fn check(&self) -> anyhow::Result<()> {
        let [width, height] = self.size;
        let wrong = if !(8..=4096).contains(&self.crop) {
            format!("crop must lie in 8..4096, got {}", self.crop)
        } else if !(0.0..=0.9).contains(&self.validation) {
            format!("validation must lie in 0..0.9, got {}", self.validation)
        } else if !(0.0..=0.9).contains(&self.jitter) {
            format!("jitter must lie in 0..0.9, got {}", self.jitter)
        } else if !(0.0..=1.0).contains(&self.min_sharpness) {
            format!("min_sharpness must lie in 0..1, got {}", self.min_sharpness)
        } else if !(0.0..=0.9).contains(&self.drop_flattest) {
            format!(
                "drop_flattest must lie in 0..0.9, got {}",
                self.drop_flattest
            )
        } else if !(1..=8).contains(&self.reduce) {
            format!("reduce must lie in 1..8, got {}", self.reduce)
        } else if !(1..=1 << 24).contains(&self.pool) {
            format!("pool must lie in 1..16777216, got {}", self.pool)
        } else if self.validation_images == 0 || self.validation_crop < 8 {
            "validation_images must be at least 1 and validation_crop at least 8".to_owned()
        } else if !(8..=16_384).contains(&width) || !(8..=16_384).contains(&height) {
            format!("size must lie in 8..16384, got {width}x{height}")
        } else if self.layout == Layout::Scenes && self.count == 0 {
            "count must be at least 1".to_owned()
        } else if self.layout == Layout::Scenes && self.root.is_some() {
            "layout 'scenes' reads no files: drop 'root' or choose another layout".to_owned()
        } else if self.layout != Layout::Scenes && self.root.is_none() {
            "'root' is missing: name the folder with the pictures, or set layout = \"scenes\""
                .to_owned()
        } else {
            return Ok(());
        };
        anyhow::bail!("[data]: {wrong}")
    }
}

/// How a folder of pictures is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Pairs where folders (or a list file) say so, else sharp pictures.
    #[default]
    Auto,
    /// Degraded and sharp pictures in folders or list files of known names.
    Pairs,
    /// Every picture is sharp; the degradation makes its partner.
    Sharp,
    /// Scenes drawn by code; no files.
    Scenes,
}

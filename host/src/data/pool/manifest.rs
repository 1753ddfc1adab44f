//! `cache.json`: everything that a pool's patches depend on.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use hone_shared::student::Colour;
use serde::{Deserialize, Serialize};

use super::chunk::CHUNK;
use super::record::RecordLayout;
use crate::data::config::DataConfig;
use crate::data::source::PairSource;
use crate::lock;
use crate::recipe::sha256;

/// Version of the folder's layout and of the records.
const FORMAT: u32 = 1;
/// Name of the manifest's file.
const FILE_NAME: &str = "cache.json";
/// Most patches of one side.
const MAX_COUNT: usize = 1 << 24;
/// Most bytes of one patch with all its maps.
const MAX_BYTES: usize = 1 << 30;

/// What a pool was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this layout.
    pub format: u32,
    /// Planes of the patches.
    pub colour: Colour,
    /// Patches of each side.
    pub count: usize,
    /// Seed of the patches: that of the recipe's `[data]`.
    pub seed: u64,
    /// SHA-256 of the `[data]` table, degradation included; places and memory left out.
    pub data_sha256: String,
    /// SHA-256 over the contents of all training pictures, in their order.
    pub pictures_sha256: String,
    /// Who answered; none in a pool without answers.
    pub teacher: Option<PoolTeacher>,
    /// Sides of the patches, each with the teacher's maps.
    pub crops: Vec<CropMaps>,
}

/// A teacher as part of a pool's key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolTeacher {
    /// Its architecture.
    pub architecture: String,
    /// SHA-256 of its options.
    pub options_sha256: String,
    /// SHA-256 of its weights file.
    pub weights_sha256: String,
}

/// Patches of one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CropMaps {
    /// Side in pixels.
    pub crop: usize,
    /// The teacher's maps for a patch of this side.
    pub maps: Vec<MapShape>,
}

/// A square map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapShape {
    /// The teacher's name for it.
    pub name: String,
    /// Channels.
    pub channels: usize,
    /// Height and width.
    pub side: usize,
}

impl MapShape {
    /// Numbers in the map.
    pub fn values(&self) -> usize {
        self.channels * self.side * self.side
    }
}

impl Manifest {
    /// The manifest of patches of `data`, without a teacher, for patches of `sides`.
    ///
    /// # Errors
    /// When the pictures cannot be read.
    pub fn new(
        data: &DataConfig,
        source: &dyn PairSource,
        colour: Colour,
        sides: &[usize],
    ) -> Result<Self> {
        let mut crops: Vec<CropMaps> = Vec::new();
        for &crop in sides {
            if crops.iter().all(|c| c.crop != crop) {
                let maps = Vec::new();
                crops.push(CropMaps { crop, maps });
            }
        }
        Ok(Self {
            format: FORMAT,
            colour,
            count: data.pool,
            seed: data.seed,
            data_sha256: data_hash(data)?,
            pictures_sha256: source.fingerprint()?,
            teacher: None,
            crops,
        })
    }

    /// Reads the manifest of the pool in `folder`.
    ///
    /// # Errors
    /// When there is none, or its numbers are out of bounds.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE_NAME);
        let name = path.display();
        let bytes = std::fs::read(&path).with_context(|| {
            format!(
                "{} is no teacher cache (no readable {FILE_NAME}): make it with hone teacher cache",
                folder.display()
            )
        })?;
        let manifest: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("{name} is damaged or of another version"))?;
        ensure!(
            manifest.format == FORMAT,
            "{name} is of another version of hone"
        );
        let bounded = (1..=MAX_COUNT).contains(&manifest.count)
            && manifest.crops.iter().all(|c| {
                let small = |m: &MapShape| m.channels <= 4096 && m.side <= 4096 && m.side > 0;
                (8..=4096).contains(&c.crop)
                    && c.maps.len() <= 64
                    && c.maps.iter().all(small)
                    && manifest.layout(c).bytes() <= MAX_BYTES
            });
        ensure!(bounded, "{name} is damaged: a size is out of bounds");
        Ok(manifest)
    }

    /// Makes `folder` the place of this pool, unless it holds another one. Of several processes one does it at a time, until
    /// `stop` ends the wait.
    ///
    /// # Errors
    /// When it does, cannot be written, or the wait was ended.
    pub fn claim(&self, folder: &Path, stop: impl Fn() -> bool) -> Result<()> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let _turn = lock::turn(folder, stop)?;
        if folder.join(FILE_NAME).exists() {
            if let Some(what) = Self::read(folder)?.difference(self) {
                bail!(
                    "{} holds a cache made from other {what}: choose another folder",
                    folder.display()
                );
            }
            return Ok(());
        }
        let json = serde_json::to_vec_pretty(self)?;
        Ok(hone_device::atomic::write_bytes(
            &folder.join(FILE_NAME),
            &json,
        )?)
    }

    /// SHA-256 of everything above.
    ///
    /// # Errors
    /// Never in practice: the manifest is plain data.
    pub fn key(&self) -> Result<String> {
        Ok(sha256(&serde_json::to_vec(self)?))
    }

    /// In what two manifests differ first, for people.
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        [
            (self.format == other.format, "formats"),
            (self.pictures_sha256 == other.pictures_sha256, "pictures"),
            (
                self.data_sha256 == other.data_sha256 && self.seed == other.seed,
                "[data] settings (degradation, seed, pool size)",
            ),
            (self.count == other.count, "pool sizes"),
            (self.colour == other.colour, "colours"),
            (self.teacher == other.teacher, "teachers"),
            (self.crops == other.crops, "crops or feature maps"),
        ]
        .into_iter()
        .find(|(same, _)| !same)
        .map(|(_, what)| what)
    }

    /// Number of chunks of each side.
    pub fn chunks(&self) -> usize {
        self.count.div_ceil(CHUNK)
    }

    /// Patches in chunk `number`.
    pub fn patches_in(&self, number: usize) -> usize {
        (self.count - (number * CHUNK).min(self.count)).min(CHUNK)
    }

    /// Names the walk over the pictures that gives the patches of one side.
    pub fn patch_seed(&self, crop: usize) -> u64 {
        self.seed ^ (crop as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// Sizes of the records of one side.
    pub fn layout(&self, maps: &CropMaps) -> RecordLayout {
        RecordLayout {
            channels: self.colour.channels(),
            side: maps.crop,
            teacher: self.teacher.is_some(),
            maps: maps.maps.clone(),
        }
    }
}

/// Hash of the settings that change patches.
fn data_hash(data: &DataConfig) -> Result<String> {
    let standard = DataConfig::default();
    let part = DataConfig {
        // Pictures count by their contents.
        root: None,
        index: None,
        memory_mb: standard.memory_mb,
        // What is flattest depends on the size of what is looked at.
        crop: match data.drop_flattest > 0.0 {
            true => data.crop,
            false => standard.crop,
        },
        validation_images: standard.validation_images,
        validation_crop: standard.validation_crop,
        ..data.clone()
    };
    let text = toml::to_string(&part).context("the [data] table cannot be hashed")?;
    Ok(sha256(text.as_bytes()))
}

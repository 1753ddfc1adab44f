//! A fixed pool of patches on disk, with a teacher's answers: training reads it instead of cutting,
//! degrading and asking the teacher at every step.
//!
//! ```text
//! DIR/
//!   cache.json              what went in (Manifest); its SHA-256 is the key of every chunk
//!   crop-064/000000.pool    patches 0..32 of side 64: key, lengths, checksums, deflated records
//!   crop-064/000001.pool    ...
//! ```
//!
//! Patch `i` of a crop is a function of the manifest alone. Chunks appear whole or not at all, so a
//! killed or sharded run is finished by running it again, and a chunk of another key is never read.

mod chunk;
mod manifest;
mod record;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, bail, ensure};
use tch::{Kind, Tensor};

use super::loader::Batch;
use super::random::{shuffled, stream};
use super::source::{PairSource, Symmetry};
use crate::lock;

pub use chunk::{CHUNK, write_chunk};
pub use manifest::{CropMaps, Manifest, MapShape, PoolTeacher};
pub use record::{Record, RecordLayout, samples};

/// Purpose of the random stream that draws a patch's symmetry.
const FLIPS: u64 = 0x0066_6c69_7073;

/// How a training walks through a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// Names the order and the flips.
    pub seed: u64,
    /// Side of the patches.
    pub crop: usize,
    /// Patches in a batch.
    pub batch: usize,
    /// Draw one of the eight symmetries of the square anew for every patch.
    pub flips: bool,
    /// Whether the teacher's answers and maps are wanted.
    pub guided: bool,
}

/// An open, complete pool.
#[derive(Debug)]
pub struct Pool {
    folder: PathBuf,
    manifest: Manifest,
    crops: BTreeMap<usize, Crop>,
    /// Bytes of decoded records that may stay in memory, and those that do.
    budget: usize,
    kept: AtomicUsize,
}

#[derive(Debug)]
struct Crop {
    layout: RecordLayout,
    chunks: Vec<chunk::ChunkIndex>,
    decoded: Vec<OnceLock<Arc<Record>>>,
}

impl Pool {
    /// Opens the pool in `folder`; up to `memory_mb` MiB of decoded patches stay in memory.
    ///
    /// # Errors
    /// When there is none, a chunk is missing or damaged, or belongs to another manifest.
    pub fn open(folder: &Path, memory_mb: usize) -> Result<Self> {
        let manifest = Manifest::read(folder)?;
        let key = manifest.key()?;
        let mut crops = BTreeMap::new();
        for maps in &manifest.crops {
            let layout = manifest.layout(maps);
            let mut chunks = Vec::new();
            for number in 0..manifest.chunks() {
                let path = chunk_path(folder, maps.crop, number);
                ensure!(
                    path.exists(),
                    "{} is not complete ({} is missing): run hone teacher cache again, for every \
                     shard, and merge the shards",
                    folder.display(),
                    path.display()
                );
                let count = manifest.patches_in(number);
                chunks.push(chunk::ChunkIndex::open(&path, &key, count, layout.bytes())?);
            }
            let decoded = (0..manifest.count).map(|_| OnceLock::new()).collect();
            let crop = Crop {
                layout,
                chunks,
                decoded,
            };
            crops.insert(maps.crop, crop);
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            manifest,
            crops,
            budget: memory_mb << 20,
            kept: AtomicUsize::new(0),
        })
    }

    /// What went in.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Makes two patches anew and compares them: the last guard against a pool that pictures,
    /// codecs or this program have left behind.
    ///
    /// # Errors
    /// When they are not the stored ones.
    pub fn check_against(&self, source: &dyn PairSource) -> Result<()> {
        for &crop in self.crops.keys() {
            for index in [0, self.manifest.count - 1] {
                let seed = self.manifest.patch_seed(crop);
                let pair = source.patch(seed, index as u64, crop)?;
                let stored = self.record(crop, index)?;
                let colour = self.manifest.colour;
                let same = stored.input == samples(&pair.input, colour)
                    && stored.truth == samples(&pair.truth, colour);
                ensure!(
                    same,
                    "{} is stale: patch {index} of side {crop} comes out differently today; make \
                     the cache again in another folder",
                    self.folder.display()
                );
            }
        }
        Ok(())
    }

    /// The teacher's maps for patches of side `crop`.
    ///
    /// # Errors
    /// When the pool has no such patches.
    pub fn maps(&self, crop: usize) -> Result<&[MapShape]> {
        Ok(&self.crop(crop)?.layout.maps)
    }

    fn crop(&self, crop: usize) -> Result<&Crop> {
        self.crops.get(&crop).with_context(|| {
            let sides: Vec<String> = self.crops.keys().map(usize::to_string).collect();
            format!(
                "{} holds patches of side {}, none of side {crop}",
                self.folder.display(),
                sides.join(", ")
            )
        })
    }

    /// Patch `index` of side `crop`.
    fn record(&self, crop: usize, index: usize) -> Result<Arc<Record>> {
        let of = self.crop(crop)?;
        if let Some(record) = of.decoded[index].get() {
            return Ok(Arc::clone(record));
        }
        let bytes = of.chunks[index / CHUNK].read(index % CHUNK)?;
        let record =
            Arc::new(of.layout.decode(&bytes).with_context(|| {
                format!("patch {index} of {} is damaged", self.folder.display())
            })?);
        self.keep(of, index, &record);
        Ok(record)
    }

    /// Keeps a decoded record while the budget lasts.
    fn keep(&self, of: &Crop, index: usize, record: &Arc<Record>) {
        let size = record.bytes();
        let fits = self.kept.fetch_add(size, Ordering::Relaxed) + size <= self.budget;
        // Another thread may have decoded and kept the same one meanwhile.
        if !fits || of.decoded[index].set(Arc::clone(record)).is_err() {
            self.kept.fetch_sub(size, Ordering::Relaxed);
        }
    }

    /// The batch of one step of a walk: a function of the pool, the walk and the step.
    ///
    /// # Errors
    /// When the pool has no such patches or a record is damaged.
    pub fn batch(&self, walk: Walk, step: u64) -> Result<Batch> {
        let layout = &self.crop(walk.crop)?.layout;
        let (mut input, mut truth, mut teacher) = (Vec::new(), Vec::new(), Vec::new());
        let mut maps: Vec<Vec<u16>> = vec![Vec::new(); layout.maps.len()];
        for i in 0..walk.batch as u64 {
            let turn = step * walk.batch as u64 + i;
            let index = shuffled(walk.seed, turn, self.manifest.count);
            let record = self.record(walk.crop, index)?;
            let mut rng = stream(&[walk.seed, turn, FLIPS]);
            let symmetry = Symmetry::draw(&mut rng, walk.flips);
            let side = layout.side;
            push(&mut input, &record.input_floats(), symmetry, side);
            push(&mut truth, &record.truth_floats(), symmetry, side);
            if walk.guided {
                push(&mut teacher, &record.teacher_floats(), symmetry, side);
                for ((all, map), shape) in maps.iter_mut().zip(&record.maps).zip(&layout.maps) {
                    push(all, map, symmetry, shape.side);
                }
            }
        }
        let n = walk.batch;
        let shape = [n, layout.channels, layout.side, layout.side].map(|s| s as i64);
        let tensor = |data: &[f32]| Tensor::from_slice(data).reshape(shape);
        let mut features = Vec::new();
        if walk.guided {
            for (shape, data) in layout.maps.iter().zip(&maps) {
                let size = [n, shape.channels, shape.side, shape.side].map(|s| s as i64);
                let bytes: Vec<u8> = data.iter().flat_map(|v| v.to_ne_bytes()).collect();
                let map = Tensor::f_from_data_size(&bytes, &size, Kind::Half)?;
                features.push((shape.name.clone(), map.to_kind(Kind::Float)));
            }
        }
        Ok(Batch {
            input: tensor(&input),
            truth: tensor(&truth),
            teacher: (!teacher.is_empty()).then(|| tensor(&teacher)),
            features,
        })
    }
}

/// Appends square planes, turned by `symmetry`.
fn push<T: Copy>(all: &mut Vec<T>, planes: &[T], symmetry: Symmetry, side: usize) {
    let start = all.len();
    all.extend_from_slice(planes);
    symmetry.apply_planes(&mut all[start..], side);
}

/// Where a chunk lies.
pub fn chunk_path(folder: &Path, crop: usize, number: usize) -> PathBuf {
    folder
        .join(format!("crop-{crop:03}"))
        .join(format!("{number:06}.pool"))
}

/// Whether `folder` holds a sound chunk of this manifest already.
pub fn has_chunk(folder: &Path, manifest: &Manifest, maps: &CropMaps, number: usize) -> bool {
    let path = chunk_path(folder, maps.crop, number);
    let count = manifest.patches_in(number);
    let sound = |key: String| {
        chunk::ChunkIndex::open(&path, &key, count, manifest.layout(maps).bytes()).is_ok()
    };
    manifest.key().is_ok_and(sound)
}

/// Joins the chunks of pools of one manifest, made by shards, into `out`; returns how many.
///
/// # Errors
/// When the parts differ in what went in, a chunk is in none of them, or a file cannot be copied.
pub fn merge(parts: &[PathBuf], out: &Path) -> Result<usize> {
    let Some(first) = parts.first() else {
        bail!("name the folders to merge");
    };
    let manifest = Manifest::read(first)?;
    for part in parts {
        if let Some(what) = Manifest::read(part)?.difference(&manifest) {
            bail!(
                "{} and {} were made from different {what}: they do not belong together",
                first.display(),
                part.display()
            );
        }
    }
    // Ctrl-C ends a merge at once, also while it waits.
    manifest.claim(out, || false)?;
    let _turn = lock::turn(out, || false)?;
    let mut copied = 0;
    for maps in &manifest.crops {
        if let Some(place) = chunk_path(out, maps.crop, 0).parent() {
            std::fs::create_dir_all(place)
                .with_context(|| format!("cannot create {}", place.display()))?;
        }
        for number in 0..manifest.chunks() {
            if has_chunk(out, &manifest, maps, number) {
                continue;
            }
            let holds = |part: &&PathBuf| has_chunk(part, &manifest, maps, number);
            let part = parts.iter().find(holds).with_context(|| {
                format!(
                    "chunk {number} of side {} is in none of the folders: run its shard",
                    maps.crop
                )
            })?;
            let bytes = std::fs::read(chunk_path(part, maps.crop, number))?;
            hone_device::atomic::write_bytes(&chunk_path(out, maps.crop, number), &bytes)?;
            copied += 1;
        }
    }
    Ok(copied)
}

#[cfg(test)]
mod tests;

//! `hone teacher cache`: a pool of patches with the teacher's answers, made once for many students.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;
use serde::Serialize;
use tch::{Device, Kind, Tensor};

use super::cached::check_single;
use super::guide::Guide;
use super::interrupt::Interrupt;
use super::teacher_source::{FoundTeacher, check_instead};
use crate::cli::progress;
use crate::data;
use crate::data::pool::{
    self, CHUNK, CropMaps, Manifest, MapShape, Record, RecordLayout, chunk_path, write_chunk,
};
use crate::data::source::{Pair, PairSource};
use crate::loss::LossConfig;
use crate::recipe::{Recipe, RecipeText, TrainPrecision};
use crate::teacher;

/// Patches that the teacher sees at once.
const TEACHER_BATCH: usize = 8;

/// What to make, and where.
#[derive(Debug, Clone)]
pub struct CacheOptions {
    /// The recipe, overrides applied.
    pub text: RecipeText,
    /// Takes the place of the recipe's `teacher.from`.
    pub teacher: Option<PathBuf>,
    /// The pool's folder.
    pub out: PathBuf,
    /// Which part to make.
    pub shard: Shard,
    /// Where the teacher computes.
    pub device: Device,
    /// Ctrl-C.
    pub interrupt: Interrupt,
}

/// `I/N`: every N-th chunk, from the I-th on; I counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// Whether item `number`, from 0, belongs to this shard.
    pub fn takes(&self, number: usize) -> bool {
        number % self.count == self.index - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |text: &str| text.parse().ok();
        let parts = text.split_once('/');
        match parts.and_then(|(i, n)| Some((parse(i)?, parse(n)?))) {
            Some((index, count)) if index >= 1 && index <= count => Ok(Self { index, count }),
            _ => Err(format!(
                "shard '{text}' is not I/N with I from 1 to N, such as 2/8"
            )),
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CacheOutcome {
    /// Chunks of this shard.
    pub chunks: usize,
    /// Those that were there already.
    pub kept: usize,
    /// Patches made.
    pub patches: usize,
    /// Bytes written.
    pub bytes: u64,
    /// Whether a signal stopped it; the same command goes on.
    pub interrupted: bool,
}

/// Makes what is missing of the shard.
///
/// # Errors
/// When the recipe, its data, its teacher or the folder does not serve, or the folder holds a
/// cache of something else.
pub fn run(options: &CacheOptions) -> Result<CacheOutcome> {
    let recipe = Recipe::from_text(&options.text)?;
    check_instead(&recipe, options.teacher.as_deref())?;
    check_single(&recipe)?;
    let goes_on = Manifest::read(&options.out).is_ok();
    let source = data::open_new(&recipe.data, &options.text.base, goes_on)?;
    let sides: Vec<usize> = recipe.stages.iter().map(|s| s.crop).collect();
    let mut manifest = Manifest::new(&recipe.data, source.as_ref(), recipe.colour, &sides)?;
    let wanted = teacher_maps(&recipe.losses);
    let guide = match &recipe.teacher {
        None => None,
        Some(from) => {
            let found = FoundTeacher::find(from, &options.text, options.teacher.as_deref())?;
            let teacher = found.load(options.device, TrainPrecision::F32)?;
            let features = !wanted.is_empty();
            let guide = Guide::new(teacher, features, recipe.colour, &recipe.stages)?;
            manifest.teacher = Some(found.identity);
            for crop in &mut manifest.crops {
                crop.maps = map_shapes(&guide, crop.crop, &wanted, options.device)?;
            }
            Some(guide)
        }
    };
    manifest.claim(&options.out)?;
    let key = manifest.key()?;
    let mut outcome = CacheOutcome::default();
    for maps in &manifest.crops {
        let maker = Maker {
            source: source.as_ref(),
            manifest: &manifest,
            maps,
            layout: manifest.layout(maps),
            guide: guide.as_ref(),
            device: options.device,
        };
        let mine: Vec<usize> = (0..manifest.chunks())
            .filter(|n| options.shard.takes(*n))
            .collect();
        outcome.chunks += mine.len();
        let patches = mine.iter().map(|n| manifest.patches_in(*n) as u64).sum();
        let bar = progress::bar(patches, &format!("patches of {}", maps.crop));
        for number in mine {
            let count = manifest.patches_in(number);
            if pool::has_chunk(&options.out, &manifest, maps, number) {
                outcome.kept += 1;
                bar.inc(count as u64);
                continue;
            }
            let mut records = Vec::with_capacity(count);
            for first in (0..count).step_by(TEACHER_BATCH) {
                if options.interrupt.is_set() {
                    bar.abandon();
                    outcome.interrupted = true;
                    return Ok(outcome);
                }
                let last = (first + TEACHER_BATCH).min(count);
                let start = number * CHUNK;
                records.extend(maker.records(start + first..start + last)?);
                bar.inc((last - first) as u64);
            }
            let path = chunk_path(&options.out, maps.crop, number);
            outcome.bytes += write_chunk(&path, &key, &records)?;
            outcome.patches += count;
        }
        bar.finish_and_clear();
    }
    Ok(outcome)
}

/// The teacher's maps that a recipe's losses look at.
pub fn teacher_maps(losses: &[LossConfig]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for loss in losses {
        if let LossConfig::Feature { pairs, .. } = loss {
            names.extend(pairs.iter().map(|(_, teacher)| teacher.clone()));
        }
    }
    names.sort();
    names.dedup();
    names
}

/// The shapes of the wanted maps for one patch.
fn map_shapes(
    guide: &Guide,
    crop: usize,
    wanted: &[String],
    device: Device,
) -> Result<Vec<MapShape>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let channels = guide.batch_colour().channels();
    let shape = [1, channels, crop, crop].map(|s| s as i64);
    let maps = guide
        .guide(&Tensor::zeros(shape, (Kind::Float, device)))
        .features;
    let one = |name: &String| {
        let found = maps.iter().find(|(n, _)| n == name);
        let (_, map) = found.with_context(|| {
            let known: Vec<&str> = maps.iter().map(|(n, _)| n.as_str()).collect();
            format!(
                "the teacher has no map '{name}'; it has {}",
                known.join(", ")
            )
        })?;
        let size = map.size();
        ensure!(
            size[2] == size[3],
            "the teacher's map '{name}' is not square for crops of {crop}: it cannot be cached"
        );
        Ok(MapShape {
            name: name.clone(),
            channels: size[1] as usize,
            side: size[2] as usize,
        })
    };
    wanted.iter().map(one).collect()
}

/// Makes the records of patches of one side.
struct Maker<'a> {
    source: &'a dyn PairSource,
    manifest: &'a Manifest,
    maps: &'a CropMaps,
    layout: RecordLayout,
    guide: Option<&'a Guide>,
    device: Device,
}

impl Maker<'_> {
    /// Deflated records of these patches.
    fn records(&self, indices: std::ops::Range<usize>) -> Result<Vec<Vec<u8>>> {
        let (crop, colour) = (self.maps.crop, self.manifest.colour);
        // Threads share these; the teacher stays on its own.
        let (source, layout) = (self.source, &self.layout);
        let seed = self.manifest.patch_seed(crop);
        let pairs: Vec<Pair> = indices
            .into_par_iter()
            .map(|index| source.patch(seed, index as u64, crop))
            .collect::<Result<_>>()?;
        let (answers, maps) = match self.guide {
            None => (Vec::new(), Vec::new()),
            Some(guide) => self.ask(guide, &pairs)?,
        };
        let size = self.layout.channels * crop * crop;
        let records: Vec<Record> = pairs
            .iter()
            .enumerate()
            .map(|(i, pair)| {
                let answer = self.guide.map(|_| &answers[i * size..(i + 1) * size]);
                let of_patch = |(all, shape): (&Vec<u16>, &MapShape)| {
                    all[i * shape.values()..(i + 1) * shape.values()].to_vec()
                };
                Record::new(
                    pool::samples(&pair.input, colour),
                    pool::samples(&pair.truth, colour),
                    answer,
                    maps.iter().zip(&self.layout.maps).map(of_patch).collect(),
                )
            })
            .collect();
        records.par_iter().map(|r| layout.encode(r)).collect()
    }

    /// The teacher's answers, and the bits of each wanted map as f16.
    fn ask(&self, guide: &Guide, pairs: &[Pair]) -> Result<(Vec<f32>, Vec<Vec<u16>>)> {
        let crop = self.maps.crop as i64;
        let colour = guide.batch_colour();
        let mut bytes = Vec::new();
        for pair in pairs {
            bytes.extend(pool::samples(&pair.input, colour));
        }
        let shape = [pairs.len() as i64, colour.channels() as i64, crop, crop];
        let input = Tensor::from_slice(&bytes)
            .reshape(shape)
            .to_device(self.device);
        let guidance = guide.guide(&(input.to_kind(Kind::Float) / 255.0));
        let output = teacher::checked(guidance.output)?;
        let answers = Vec::try_from(flat(&output.to_kind(Kind::Float)))?;
        let mut maps = Vec::with_capacity(self.layout.maps.len());
        for shape in &self.layout.maps {
            let found = guidance.features.iter().find(|(n, _)| *n == shape.name);
            let (name, map) = found.context("the teacher lost a map")?;
            let count = pairs.len() * shape.values();
            ensure!(
                map.numel() == count,
                "the teacher's map '{name}' changed its size"
            );
            maps.push(halves(name, map)?);
        }
        Ok((answers, maps))
    }
}

fn flat(tensor: &Tensor) -> Tensor {
    tensor.to_device(Device::Cpu).contiguous().flatten(0, -1)
}

/// The bits of a map as f16.
fn halves(name: &str, map: &Tensor) -> Result<Vec<u16>> {
    let half = flat(&map.to_kind(Kind::Half));
    ensure!(
        half.isfinite().all().int64_value(&[]) != 0,
        "the teacher's map '{name}' has values that a cache cannot hold (beyond 65504, or no numbers): take another map in \
         the recipe's feature loss, or distil without a cache"
    );
    let mut raw = vec![0; 2 * half.numel()];
    half.f_copy_data_u8(&mut raw, half.numel())?;
    let words = raw
        .chunks_exact(2)
        .map(|b| u16::from_ne_bytes([b[0], b[1]]));
    Ok(words.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_that_f16_does_not_hold_is_named() {
        let bits = halves("body", &Tensor::from_slice(&[1.0f32, -65_504.0])).unwrap();
        assert_eq!(bits, [0x3c00, 0xfbff]);
        for value in [7e4, f32::NAN] {
            let error = halves("body", &Tensor::from_slice(&[1.0, value])).unwrap_err();
            assert!(error.to_string().contains("map 'body'"), "{error}");
        }
    }

    #[test]
    fn shards_share_the_work() {
        let shards: Vec<Shard> = (1..=3).map(|i| format!("{i}/3").parse().unwrap()).collect();
        for number in 0..10 {
            assert_eq!(shards.iter().filter(|s| s.takes(number)).count(), 1);
        }
        for wrong in ["0/3", "4/3", "1", "a/b", "1/0", "-1/2"] {
            let error = wrong.parse::<Shard>().unwrap_err();
            assert!(error.contains("I/N"), "{wrong}: {error}");
        }
    }
}

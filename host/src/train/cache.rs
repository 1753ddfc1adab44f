//! `hone teacher cache`: a pool of patches with the teacher's answers, made once for many students.

mod maker;
mod shard;

use std::cell::Cell;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tch::{Device, Kind, Tensor};

use super::cached::check_single;
use super::guide::Guide;
use super::interrupt::Interrupt;
use super::memory;
use super::run::take_turn;
use super::teacher_source::{FoundTeacher, check_instead};
use crate::cli::progress;
use crate::data;
use crate::data::pool::{self, CHUNK, Manifest, MapShape, chunk_path, write_chunk};
use crate::loss::LossConfig;
use crate::recipe::{Recipe, RecipeText, TrainPrecision};
use maker::Maker;
pub use shard::Shard;

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
/// When the recipe, its data, its teacher or the folder does not serve, the folder holds a cache of something else, or another
/// process makes this shard of it.
pub fn run(options: &CacheOptions) -> Result<CacheOutcome> {
    let advice = "free some of it, lower the stages' crops, or compute on another --device";
    memory::demand("this teacher", advice, || make(options))
}

fn make(options: &CacheOptions) -> Result<CacheOutcome> {
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
    manifest.claim(&options.out, || options.interrupt.is_set())?;
    let _held = options.shard.hold(&options.out)?;
    let at_once = Cell::new(TEACHER_BATCH);
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
            at_once: &at_once,
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
            // Of shards counted otherwise, another process may have made the same one.
            let _turn = take_turn(&options.out, &options.interrupt)?;
            if pool::has_chunk(&options.out, &manifest, maps, number) {
                outcome.kept += 1;
                continue;
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

//! `hone distill`: a student under a frozen teacher.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use hone_shared::student::Colour;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

use super::cached::{cache_folder, check_single, kept_maps, open_pool};
use super::checkpoint::Checkpoint;
use super::feed::{DataFeed, FeedSource, PoolFeed, validation_pairs};
use super::guide::Guide;
use super::interrupt::Interrupt;
use super::memory;
use super::plan::Plan;
use super::run::{RunFolder, RunInputs, RunKind, TeacherInput};
use super::samples::{self, Sample};
use super::start;
use super::teacher_source::{FoundTeacher, check_instead, provenance};
use super::trainer::{Outcome, SAVE_EVERY, Trainer};
use super::validate::ValidationPair;
use crate::data;
use crate::data::pool::Pool;
use crate::data::source::PairSource;
use crate::loss::{FeatureShapes, Loss, LossConfig};
use crate::recipe::{Recipe, RecipeText, TeacherSource, TrainPrecision};
use crate::student::{self, Student, StudentOutput};
use crate::teacher::Teacher;
use crate::teacher::layer::computing_in;

/// What to distil, and where to.
#[derive(Debug, Clone)]
pub struct DistillOptions {
    /// The recipe, overrides applied.
    pub text: RecipeText,
    /// RUN_DIR.
    pub out: PathBuf,
    /// Go on with the run in `out`.
    pub resume: bool,
    /// An earlier run of the same student, whose best weights are the start.
    pub from: Option<PathBuf>,
    /// Takes the place of the recipe's `teacher.from`.
    pub teacher: Option<PathBuf>,
    /// A folder of `hone teacher cache`; takes the place of the recipe's `teacher.cache`.
    pub cache: Option<PathBuf>,
    /// Where to compute.
    pub device: Device,
    /// Ctrl-C.
    pub interrupt: Interrupt,
}

/// The parts of a distillation that need no folder and no pictures.
pub struct Apprentice {
    /// The student.
    pub student: Rc<dyn Student>,
    /// Its variables.
    pub network: VarStore,
    /// Variables of the loss.
    pub adaptors: VarStore,
    /// The teacher.
    pub guide: Option<Guide>,
    /// The teacher as provenance.
    pub teacher: Option<TeacherInput>,
    /// The loss.
    pub loss: Loss,
}

/// Distils the recipe's student into `options.out`.
///
/// # Errors
/// When the recipe, its data, its teacher or the folder does not serve; each says what to do.
pub fn run(options: &DistillOptions) -> Result<Outcome> {
    run_from(options, None)
}

/// The same from `weights` that are in no file yet; the run keeps them.
///
/// # Errors
/// As for [`run`].
pub(super) fn run_from(options: &DistillOptions, weights: Option<&Checkpoint>) -> Result<Outcome> {
    memory::demand("this training", memory::ADVICE, || train(options, weights))
}

fn train(options: &DistillOptions, weights: Option<&Checkpoint>) -> Result<Outcome> {
    let recipe = Recipe::from_text(&options.text)?;
    check_instead(&recipe, options.teacher.as_deref())?;
    // A pruned student goes on with its run's data.
    let goes_on = options.resume || weights.is_some();
    let source = data::open_new(&recipe.data, &options.text.base, goes_on)?;
    let cache = cache_folder(&recipe, &options.text, options.cache.as_deref());
    let pool = match &cache {
        Some(folder) => Some(open_pool(folder, &recipe, source.as_ref())?),
        None => None,
    };
    let parts = prepare(
        &recipe,
        &options.text,
        options.teacher.as_deref(),
        pool.as_deref(),
        options.device,
    )?;
    let colour = recipe.colour;
    let batch_colour = parts.guide.as_ref().map_or(colour, Guide::batch_colour);
    let frames = recipe.student.unrolled();
    let validation = validation_pairs(source.as_ref(), colour, frames, options.device)?;
    let samples = match recipe.training.samples_every {
        Some(_) => sample_rows(&recipe, options, source.as_ref(), &validation, &parts)?,
        None => Vec::new(),
    };
    let start = match weights {
        Some(weights) => Some(start::of_weights(&parts.network, weights)?),
        None => start::fill(
            &parts.network,
            parts.student.as_ref(),
            options.from.as_deref(),
        )?,
    };
    // A teacher that gave the pictures their truth is one to learn from, too.
    let answered = || super::teacher_source::answered(&recipe, &options.text);
    let teacher = parts.teacher.map_or_else(answered, |t| Ok(Some(t)))?;
    let mut inputs = RunInputs::new(RunKind::Student, &options.text, teacher)
        .of_pictures(source.as_ref())
        .with_losses(&recipe.losses, &options.text.base)?
        .started_from(start);
    if let Some(pool) = &pool {
        inputs.pool = Some(pool.manifest().key()?);
    }
    let feeds = feed_source(&recipe, source, pool, batch_colour);
    let folder = RunFolder::prepare(&options.out, &options.text, &inputs, options.resume)?;
    if let Some(weights) = weights {
        folder.save_start(weights)?;
    }
    let multiple = parts.student.multiple() as i64;
    let (training, restoring) = (Rc::clone(&parts.student), parts.student);
    let trainer = Trainer {
        multiple,
        frames,
        forward: Box::new(move |x, kind| training.forward_in(x, true, kind)),
        restore: Box::new(move |pair| {
            student::restore_after(restoring.as_ref(), &pair.earlier, &pair.input)
        }),
        network: parts.network,
        adaptors: parts.adaptors,
        guide: parts.guide,
        seed: recipe.seed,
        colour,
        loss: parts.loss,
        optimizer: recipe.optimizer,
        schedule: recipe.schedule,
        plan: Plan::new(&recipe.stages),
        feeds,
        training: recipe.training,
        samples,
        validation,
        folder,
        save_every: SAVE_EVERY,
        interrupt: options.interrupt.clone(),
    };
    trainer.run(options.resume)
}

/// Patches from the pool, where there is one, else from the pictures.
pub(super) fn feed_source(
    recipe: &Recipe,
    source: Arc<dyn PairSource>,
    pool: Option<Arc<Pool>>,
    colour: Colour,
) -> Box<dyn FeedSource> {
    let workers = recipe.training.workers;
    match pool {
        Some(pool) => Box::new(PoolFeed {
            pool,
            seed: recipe.seed,
            flips: recipe.data.flips,
            guided: recipe.teacher.is_some(),
            workers,
        }),
        None => Box::new(DataFeed {
            source,
            seed: recipe.seed,
            colour,
            frames: recipe.student.unrolled(),
            workers,
        }),
    }
}

/// The rows of the sample grids. The teacher of a cache is loaded for them, where it is named.
fn sample_rows(
    recipe: &Recipe,
    options: &DistillOptions,
    source: &dyn PairSource,
    validation: &[ValidationPair],
    parts: &Apprentice,
) -> Result<Vec<Sample>> {
    let named = |s: &&TeacherSource| options.teacher.is_some() || s.from.is_some();
    let loaded = match (&parts.guide, recipe.teacher.as_ref().filter(named)) {
        (None, Some(from)) => {
            let found = FoundTeacher::find(from, &options.text, options.teacher.as_deref())?;
            let teacher = found.load(options.device, TrainPrecision::F32)?;
            Some(Guide::new(teacher, false, recipe.colour, &recipe.stages)?)
        }
        _ => None,
    };
    let Some(guide) = parts.guide.as_ref().or(loaded.as_ref()) else {
        return Ok(samples::choose(validation, None, &[]));
    };
    let frames = recipe.student.unrolled();
    let for_teacher = validation_pairs(source, guide.batch_colour(), frames, options.device)?;
    Ok(samples::choose(validation, Some(guide), &for_teacher))
}

/// Builds student, teacher and loss; with a `pool` the teacher itself stays away.
///
/// # Errors
/// When the teacher cannot be found or loaded, or the loss names a map that is not there.
pub fn prepare(
    recipe: &Recipe,
    text: &RecipeText,
    teacher: Option<&Path>,
    pool: Option<&Pool>,
    device: Device,
) -> Result<Apprentice> {
    for weights in recipe.losses.iter().filter_map(LossConfig::weight_file) {
        text.require(weights)?;
    }
    if pool.is_some() {
        check_single(recipe)?;
    }
    tch::manual_seed(recipe.seed as i64);
    let network = VarStore::new(device);
    let student: Rc<dyn Student> =
        student::build(&recipe.student, recipe.colour, &network.root())?.into();
    let features = recipe
        .losses
        .iter()
        .any(|l| matches!(l, LossConfig::Feature { .. }));
    let (guide, input) = match (&recipe.teacher, pool) {
        (None, _) => (None, None),
        (Some(source), None) => {
            let found = FoundTeacher::find(source, text, teacher)?;
            let guide = Guide::new(
                found.load(device, recipe.training.precision)?,
                features,
                recipe.colour,
                &recipe.stages,
            )?;
            (Some(guide), Some(found.input()))
        }
        (Some(source), Some(pool)) => {
            let cached = pool.manifest().teacher.as_ref().context(
                "the cache holds patches without a teacher's answers: distil with --no-teacher, or \
                 make it with a teacher",
            )?;
            if teacher.is_some() || source.from.is_some() {
                let found = FoundTeacher::find(source, text, teacher)?;
                ensure!(
                    found.identity == *cached,
                    "the cache holds the answers of another teacher (other weights or options): \
                     make it again in another folder"
                );
            }
            (None, Some(provenance(cached)))
        }
    };
    let side = recipe.stages.first().map_or(64, |s| s.crop);
    let crop = side as i64;
    let zeros =
        |channels: usize| Tensor::zeros([1, channels as i64, crop, crop], (Kind::Float, device));
    let of_student = tch::no_grad(|| student.forward(&zeros(recipe.colour.channels()), false));
    let of_teacher = match &guide {
        Some(guide) => {
            guide
                .guide(&zeros(guide.batch_colour().channels()))
                .features
        }
        None => Vec::new(),
    };
    let mut shapes = FeatureShapes::of(&of_student.features, &of_teacher);
    if let Some(pool) = pool {
        shapes.teacher = kept_maps(pool, side, recipe)?;
    }
    let adaptors = VarStore::new(device);
    let loss = Loss::new(
        &recipe.losses,
        &recipe.weighting,
        &shapes,
        &adaptors.root(),
        &text.base,
    )?;
    Ok(Apprentice {
        student,
        network,
        adaptors,
        guide,
        teacher: input,
        loss,
    })
}

/// A teacher as the student of nobody: its own output, no maps.
pub(super) fn teacher_output(teacher: &dyn Teacher, x: &Tensor, kind: Kind) -> StudentOutput {
    StudentOutput {
        restored: computing_in(kind, || teacher.forward(x)).to_kind(Kind::Float),
        features: Vec::new(),
    }
}

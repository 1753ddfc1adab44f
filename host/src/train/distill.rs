//! `hone distill`: a student under a frozen teacher.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

use super::feed::{DataFeed, validation_pairs};
use super::guide::Guide;
use super::interrupt::Interrupt;
use super::plan::Plan;
use super::run::{RunFolder, RunInputs, RunKind, TeacherInput};
use super::trainer::{Outcome, Trainer};
use crate::data;
use crate::loss::{FeatureShapes, Loss, LossConfig};
use crate::recipe::{Recipe, RecipeText, TeacherSource};
use crate::student::{self, Student, StudentOutput};
use crate::teacher::{self, Teacher, TeacherConfig};

/// What to distil, and where to.
#[derive(Debug, Clone)]
pub struct DistillOptions {
    /// The recipe, overrides applied.
    pub text: RecipeText,
    /// RUN_DIR.
    pub out: PathBuf,
    /// Go on with the run in `out`.
    pub resume: bool,
    /// Takes the place of the recipe's `teacher.from`.
    pub teacher: Option<PathBuf>,
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
    let recipe = Recipe::from_text(&options.text)?;
    let source = data::open(&recipe.data, &options.text.base)?;
    let parts = prepare(
        &recipe,
        &options.text,
        options.teacher.as_deref(),
        options.device,
    )?;
    let colour = recipe.colour;
    let batch_colour = parts.guide.as_ref().map_or(colour, Guide::batch_colour);
    let validation = validation_pairs(source.as_ref(), colour, options.device)?;
    let inputs = RunInputs::new(RunKind::Student, &options.text, parts.teacher);
    let folder = RunFolder::prepare(&options.out, &options.text, &inputs, options.resume)?;
    let (training, restoring) = (Rc::clone(&parts.student), parts.student);
    let trainer = Trainer {
        forward: Box::new(move |x, train| training.forward(x, train)),
        restore: Box::new(move |x| student::restore(restoring.as_ref(), x)),
        network: parts.network,
        adaptors: parts.adaptors,
        guide: parts.guide,
        colour,
        loss: parts.loss,
        optimizer: recipe.optimizer,
        schedule: recipe.schedule,
        plan: Plan::new(&recipe.stages),
        feeds: Box::new(DataFeed {
            source,
            seed: recipe.seed,
            colour: batch_colour,
            workers: recipe.training.workers,
            device: options.device,
        }),
        training: recipe.training,
        validation,
        folder,
        interrupt: options.interrupt.clone(),
    };
    trainer.run(options.resume)
}

/// Builds student, teacher and loss.
///
/// # Errors
/// When the teacher cannot be found or loaded, or the loss names a map that is not there.
pub fn prepare(
    recipe: &Recipe,
    text: &RecipeText,
    teacher: Option<&Path>,
    device: Device,
) -> Result<Apprentice> {
    tch::manual_seed(recipe.seed as i64);
    let network = VarStore::new(device);
    let student: Rc<dyn Student> =
        student::build(&recipe.student, recipe.colour, &network.root())?.into();
    let features = recipe
        .losses
        .iter()
        .any(|l| matches!(l, LossConfig::Feature { .. }));
    let (guide, input) = match &recipe.teacher {
        None => (None, None),
        Some(source) => {
            let (teacher, input) = load_teacher(source, text, teacher, device)?;
            (
                Some(Guide::new(teacher, features, recipe.colour)?),
                Some(input),
            )
        }
    };
    let crop = recipe.stages.first().map_or(64, |s| s.crop) as i64;
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
    let shapes = FeatureShapes::of(&of_student.features, &of_teacher);
    let adaptors = VarStore::new(device);
    let loss = Loss::new(&recipe.losses, &shapes, &adaptors.root(), &text.base)?;
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
pub(super) fn teacher_output(teacher: &dyn Teacher, x: &Tensor) -> StudentOutput {
    StudentOutput {
        restored: teacher.forward(x),
        features: Vec::new(),
    }
}

fn load_teacher(
    source: &TeacherSource,
    text: &RecipeText,
    instead: Option<&Path>,
    device: Device,
) -> Result<(Box<dyn Teacher>, TeacherInput)> {
    let from = match (instead, &source.from) {
        (Some(path), _) => path.to_path_buf(),
        (None, Some(path)) => text.base.join(path),
        (None, None) => bail!(
            "the recipe's [teacher] has no 'from': name its weights there or with --teacher, or \
             train without one by --no-teacher"
        ),
    };
    let (config, weights): (TeacherConfig, PathBuf) = if from.is_dir() {
        let config = teacher::config::read_file(&from.join("teacher.json"))
            .with_context(|| format!("{} holds no trained teacher", from.display()))?;
        (config.config, from.join("best.safetensors"))
    } else {
        let network = source.network.clone().with_context(|| {
            let file = from.display();
            format!("{file} is no folder of hone teacher train; describe it in [teacher.network]")
        })?;
        (network, from)
    };
    let weights_sha256 = hash_file(&weights)
        .with_context(|| format!("cannot read the teacher's weights {}", weights.display()))?;
    let input = TeacherInput {
        architecture: config.name().to_owned(),
        weights_sha256,
    };
    Ok((teacher::load(&config, &weights, device)?, input))
}

fn hash_file(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut block)?;
        if count == 0 {
            break;
        }
        hasher.update(&block[..count]);
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect())
}

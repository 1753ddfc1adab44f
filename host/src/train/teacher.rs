//! `hone teacher train`: a teacher on its own.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result};
use tch::Device;
use tch::nn::VarStore;

use super::distill::teacher_output;
use super::feed::{DataFeed, validation_pairs};
use super::interrupt::Interrupt;
use super::memory;
use super::plan::Plan;
use super::run::{RunFolder, RunInputs, RunKind, TeacherInput, read_inputs};
use super::samples;
use super::trainer::{Outcome, SAVE_EVERY, Trainer};
use crate::data::{self, index};
use crate::loss::{FeatureShapes, Loss};
use crate::recipe::{RecipeText, TeacherRecipe};
use crate::teacher::{self, Teacher};

/// What to train, and where to.
#[derive(Debug, Clone)]
pub struct TeacherOptions {
    /// The recipe, overrides applied.
    pub text: RecipeText,
    /// RUN_DIR; `hone distill --teacher` takes it.
    pub out: PathBuf,
    /// Go on with the run in `out`.
    pub resume: bool,
    /// Where to compute.
    pub device: Device,
    /// Ctrl-C.
    pub interrupt: Interrupt,
}

/// Trains the recipe's teacher into `options.out`.
///
/// # Errors
/// When the recipe, its data or the folder does not serve; each says what to do.
pub fn run(options: &TeacherOptions) -> Result<Outcome> {
    memory::demand("this training", memory::ADVICE, || train(options))
}

fn train(options: &TeacherOptions) -> Result<Outcome> {
    let recipe = TeacherRecipe::from_text(&options.text)?;
    let source = data::open_new(&recipe.data, &options.text.base, options.resume)?;
    tch::manual_seed(recipe.seed as i64);
    let network = VarStore::new(options.device);
    let teacher: Rc<dyn Teacher> = teacher::build(&recipe.network, &network.root())?.into();
    let start = recipe
        .from
        .as_deref()
        .map(|from| options.text.base.join(from));
    let start = match start {
        // The checkpoint takes their place: the file may have gone meanwhile.
        Some(_) if options.resume => read_inputs(&options.out)
            .ok()
            .and_then(|inputs| inputs.teacher),
        Some(weights) => Some(start_from(&weights, teacher.as_ref(), &network)?),
        None => None,
    };
    let colour = recipe.colour()?;
    let adaptors = VarStore::new(options.device);
    let loss = Loss::new(
        &recipe.losses,
        &recipe.weighting,
        &FeatureShapes::default(),
        &adaptors.root(),
        &options.text.base,
    )?;
    let validation = validation_pairs(source.as_ref(), colour, 1, options.device)?;
    let inputs = RunInputs::new(RunKind::Teacher, &options.text, start)
        .of_pictures(source.as_ref())
        .with_losses(&recipe.losses, &options.text.base)?;
    let folder = RunFolder::prepare(&options.out, &options.text, &inputs, options.resume)?;
    let config = serde_json::to_vec_pretty(&recipe.network)?;
    hone_device::atomic::write_bytes(&options.out.join("teacher.json"), &config)?;
    // A teacher pads its input itself.
    let multiple = 1;
    let (training, restoring) = (Rc::clone(&teacher), teacher);
    let trainer = Trainer {
        multiple,
        frames: 1,
        forward: Box::new(move |x, kind| teacher_output(training.as_ref(), x, kind)),
        restore: Box::new(move |pair| restoring.forward(&pair.input)),
        network,
        adaptors,
        guide: None,
        seed: recipe.seed,
        colour,
        loss,
        optimizer: recipe.optimizer,
        schedule: recipe.schedule,
        plan: Plan::new(&recipe.stages),
        feeds: Box::new(DataFeed {
            source,
            seed: recipe.seed,
            colour,
            frames: 1,
            workers: recipe.training.workers,
        }),
        training: recipe.training,
        samples: samples::choose(&validation, None, &[]),
        validation,
        folder,
        save_every: SAVE_EVERY,
        interrupt: options.interrupt.clone(),
    };
    trainer.run(options.resume)
}

/// Fills `network` from a weights file; gives its provenance.
fn start_from(weights: &Path, teacher: &dyn Teacher, network: &VarStore) -> Result<TeacherInput> {
    let sentence = || format!("cannot start from {}", weights.display());
    let entries = teacher::load::read_weights(weights, None).with_context(sentence)?;
    teacher::load::fill(teacher, network, &entries).with_context(sentence)?;
    Ok(TeacherInput {
        architecture: teacher.name().to_owned(),
        weights_sha256: index::sha256(weights).with_context(sentence)?,
    })
}

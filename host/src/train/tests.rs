//! The training loop over an in-memory feed.

mod diverged;
mod files;
mod memory;
mod precision;
mod resume;
mod trial;

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use hone_shared::student::Colour;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

use super::checkpoint::Checkpoint;
use super::feed::{Feed, FeedSource, TrainBatch};
use super::guide::Guide;
use super::interrupt::Interrupt;
use super::plan::Plan;
use super::run::{RunFolder, RunInputs, RunKind};
use super::trainer::{Outcome, SAVE_EVERY, Trainer};
use super::validate::ValidationPair;
use super::{log, run, samples};
use crate::loss::{FeatureShapes, Loss};
use crate::recipe::{Recipe, RecipeText, Stage};
use crate::student::{self, Student};

const RECIPE: &str = r#"name = "tiny"
colour = "luma"
data = { root = "." }
student = { architecture = "plain", scale = 2, channels = 8, convs = 3 }
optimizer = { learning_rate = 4e-3 }
schedule = { kind = "cosine", warmup = 3 }
loss = [{ kind = "l1", weight = 1.0 }, { kind = "mse", weight = 0.5 }]
stage = [{ epochs = 2, steps = 6, batch = 2, crop = 32 }, { epochs = 2, steps = 4, batch = 3, crop = 24 }]
training = { ema = 0.9, clip = 1.0, accumulate = 2 }
"#;

/// Held while weights are drawn: all threads share torch's random numbers.
static DRAWING: Mutex<()> = Mutex::new(());

/// Smooth random pictures, blurred by a box; batch n of stage s is a function of both alone.
struct Boxes {
    frames: usize,
    interrupt: Option<(Interrupt, u64)>,
    fails_at: Option<u64>,
}

struct BoxFeed {
    stage: Stage,
    index: usize,
    frames: usize,
    at: u64,
    interrupt: Option<(Interrupt, u64)>,
    fails_at: Option<u64>,
}

fn pair(seed: u64, batch: i64, crop: i64) -> (Tensor, Tensor) {
    let cells = (crop / 4) * (crop / 4) * batch;
    let cell = |i: i64| ((i as u64 + seed * 7919).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32;
    let values: Vec<f32> = (0..cells).map(|i| cell(i) / (1 << 24) as f32).collect();
    let small = Tensor::from_slice(&values).reshape([batch, 1, crop / 4, crop / 4]);
    let truth = small.upsample_nearest2d([crop, crop], None, None);
    let input = truth.replication_pad2d([1, 1, 1, 1]);
    (
        input.avg_pool2d([3, 3], [1, 1], [0, 0], false, true, None),
        truth,
    )
}

impl Feed for BoxFeed {
    fn next(&mut self) -> Result<TrainBatch> {
        ensure!(self.fails_at != Some(self.at), "the disk is gone");
        let seed = self.at * 10 + self.index as u64;
        let (input, truth) = pair(seed, self.stage.batch as i64, self.stage.crop as i64);
        // Frame t lies t pixels further right.
        let moved = |x: &Tensor| {
            let frames: Vec<_> = (0..self.frames as i64).map(|t| x.roll([t], [3])).collect();
            Tensor::cat(&frames, 1)
        };
        let (input, truth) = (moved(&input), moved(&truth));
        self.at += 1;
        if let Some((interrupt, left)) = &mut self.interrupt {
            *left = left.saturating_sub(1);
            if *left == 0 {
                interrupt.set();
            }
        }
        Ok(TrainBatch {
            input,
            truth,
            guidance: None,
        })
    }
}

impl FeedSource for Boxes {
    fn open(&self, index: usize, stage: &Stage, first: u64) -> Result<Box<dyn Feed>> {
        let interrupt = self.interrupt.clone();
        Ok(Box::new(BoxFeed {
            stage: stage.clone(),
            index,
            frames: self.frames,
            at: first,
            interrupt,
            fails_at: self.fails_at,
        }))
    }
}

fn text(recipe: &str) -> RecipeText {
    RecipeText::new("tiny.toml".as_ref(), recipe.into(), "/".as_ref())
}

/// What a training may meet.
struct Trouble {
    /// Ctrl-C while so many batches are drawn.
    stop_after: Option<u64>,
    /// Data that cannot be read from so many batches of a stage on.
    fails_at: Option<u64>,
    /// A GPU whose memory holds so many patches.
    memory: i64,
    /// A rate beyond those that recipes may ask for.
    learning_rate: Option<f64>,
    /// The teacher beside it.
    guide: Option<Guide>,
    /// Done to what the network gives for the n-th batch, from 1.
    trained: fn(u64, Tensor) -> Tensor,
    /// Done to the validation picture in the n-th epoch, from 1.
    restored: fn(u64, Tensor) -> Tensor,
    /// How often the state is saved within an epoch.
    save_every: Duration,
}

impl Default for Trouble {
    fn default() -> Self {
        Self {
            stop_after: None,
            fails_at: None,
            memory: i64::MAX,
            learning_rate: None,
            guide: None,
            trained: |_, restored| restored,
            restored: |_, restored| restored,
            save_every: SAVE_EVERY,
        }
    }
}

/// Numbers calls from 1.
fn numbered(count: &Cell<u64>) -> u64 {
    count.set(count.get() + 1);
    count.get()
}

fn train(out: &Path, recipe: &str, resume: bool, stop_after: Option<u64>) -> Result<Outcome> {
    let trouble = Trouble {
        stop_after,
        ..Trouble::default()
    };
    train_through(out, recipe, resume, trouble)
}

fn train_within(out: &Path, recipe: &str, memory: i64) -> Result<Outcome> {
    let trouble = Trouble {
        memory,
        ..Trouble::default()
    };
    train_through(out, recipe, false, trouble)
}

fn train_through(out: &Path, recipe: &str, resume: bool, trouble: Trouble) -> Result<Outcome> {
    let text = text(recipe);
    let mut recipe = Recipe::from_text(&text)?;
    if let Some(rate) = trouble.learning_rate {
        recipe.optimizer.learning_rate = rate;
    }
    let drawing = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    tch::manual_seed(recipe.seed as i64);
    let network = VarStore::new(Device::Cpu);
    let student: Rc<dyn Student> =
        student::build(&recipe.student, recipe.colour, &network.root())?.into();
    let adaptors = VarStore::new(Device::Cpu);
    let loss = Loss::new(
        &recipe.losses,
        &recipe.weighting,
        &FeatureShapes::default(),
        &adaptors.root(),
        &text.base,
    )?;
    drop(drawing);
    let inputs = RunInputs::new(RunKind::Student, &text, None);
    let interrupt = Interrupt::default();
    let (input, truth) = pair(999, 1, 64);
    let validation = vec![ValidationPair {
        earlier: vec![input.roll([1], [3])],
        input,
        truth,
    }];
    let frames = recipe.student.unrolled();
    let restoring = Rc::clone(&student);
    let (batches, epochs) = (Cell::new(0), Cell::new(0));
    let trainer = Trainer {
        forward: Box::new(move |x, kind| {
            assert!(x.size()[0] <= trouble.memory, "CUDA out of memory");
            let mut output = student.forward_in(x, true, kind);
            output.restored = (trouble.trained)(numbered(&batches), output.restored);
            output
        }),
        restore: Box::new(move |pair| {
            let earlier = if frames > 1 { &pair.earlier[..] } else { &[] };
            let restored = student::restore_after(restoring.as_ref(), earlier, &pair.input);
            (trouble.restored)(numbered(&epochs), restored)
        }),
        frames,
        network,
        adaptors,
        guide: trouble.guide,
        multiple: 2,
        colour: Colour::Luma,
        loss,
        optimizer: recipe.optimizer,
        schedule: recipe.schedule,
        seed: recipe.seed,
        plan: Plan::new(&recipe.stages),
        training: recipe.training,
        feeds: Box::new(Boxes {
            frames,
            interrupt: trouble.stop_after.map(|n| (interrupt.clone(), n)),
            fails_at: trouble.fails_at,
        }),
        samples: samples::choose(&validation, None, &[]),
        validation,
        folder: RunFolder::prepare(out, &text, &inputs, resume)?,
        save_every: trouble.save_every,
        interrupt,
    };
    trainer.run(resume)
}

/// Where the last checkpoint of the run in `out` stands: epoch, from 0, and steps of it.
fn place(out: &Path) -> (u64, u64) {
    let state = run::state(out).unwrap().unwrap();
    (state.epoch, state.step)
}

/// The same values, whose gradient is no number.
fn without_slope(restored: Tensor) -> Tensor {
    let zero = &restored - restored.detach();
    restored + zero.sqrt()
}

fn difference(a: &Path, b: &Path, file: &str) -> f64 {
    let (a, b) = (
        Checkpoint::read(&a.join(file)).unwrap(),
        Checkpoint::read(&b.join(file)).unwrap(),
    );
    assert_eq!(
        a.tensors.keys().collect::<Vec<_>>(),
        b.tensors.keys().collect::<Vec<_>>()
    );
    let one = |(name, tensor): (&String, &Tensor)| {
        (tensor - b.get(name).unwrap())
            .abs()
            .max()
            .double_value(&[])
    };
    a.tensors.iter().map(one).fold(0.0, f64::max)
}

#[test]
fn training_sharpens_and_the_run_opens() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let longer = RECIPE
        .replace("steps = 6", "steps = 30")
        .replace("accumulate = 2", "");
    let longer = longer.replace("clip = 1.0, ", "clip = 1.0");
    let outcome = train(&out, &longer, false, None).unwrap();
    let best = outcome.best.unwrap().1;
    assert!(
        best.psnr > outcome.input.psnr + 1.0,
        "{best:?} from {:?}",
        outcome.input
    );
    let opened = run::open(&out).unwrap();
    assert_eq!(
        (opened.recipe.name.as_str(), opened.card.validation),
        ("tiny", best)
    );
    let frame = Tensor::rand([1, 1, 33, 31], (Kind::Float, Device::Cpu));
    assert_eq!(
        student::restore(opened.student.as_ref(), &frame).size(),
        frame.size()
    );
    assert_eq!(opened.student.fold().unwrap().layers.len(), 3);
}

#[test]
fn a_weighting_counts_steps_whatever_they_are_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("r");
    let recipe = RECIPE
        .replace("batch = 3", "batch = 4")
        .replace("convs = 3", "convs = 3, temporal = true");
    let recipe = format!("{recipe}weighting = {{ kind = \"gradient-norm\", every = 64 }}\n");
    // Two batches of two or four pieces of three frames each, and some of them twice.
    train_within(&out, &recipe, 1).unwrap();
    let last = Checkpoint::read(&out.join("last.safetensors")).unwrap();
    let count = last.get("adaptor.weighting.count").unwrap();
    assert_eq!(count.double_value(&[0]), 20.0);
}

//! The training loop over an in-memory feed.

use std::path::Path;
use std::rc::Rc;

use anyhow::Result;
use hone_shared::student::Colour;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

use super::checkpoint::Checkpoint;
use super::feed::{Feed, FeedSource, TrainBatch};
use super::interrupt::Interrupt;
use super::plan::Plan;
use super::run::{RunFolder, RunInputs, RunKind};
use super::state::{STATE_KEY, State};
use super::trainer::{Outcome, Trainer};
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

/// Smooth random pictures, blurred by a box; batch n of stage s is a function of both alone.
struct Boxes {
    frames: usize,
    interrupt: Option<(Interrupt, u64)>,
}

struct BoxFeed {
    stage: Stage,
    index: usize,
    frames: usize,
    at: u64,
    interrupt: Option<(Interrupt, u64)>,
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
        }))
    }
}

fn text(recipe: &str) -> RecipeText {
    RecipeText::new("tiny.toml".as_ref(), recipe.into(), "/".as_ref())
}

fn train(out: &Path, recipe: &str, resume: bool, stop_after: Option<u64>) -> Result<Outcome> {
    train_within(out, recipe, resume, stop_after, i64::MAX)
}

/// As [`train`] on a GPU whose memory holds so many patches.
fn train_within(
    out: &Path,
    recipe: &str,
    resume: bool,
    stop_after: Option<u64>,
    memory: i64,
) -> Result<Outcome> {
    let text = text(recipe);
    let recipe = Recipe::from_text(&text)?;
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
    let trainer = Trainer {
        forward: Box::new(move |x, kind| {
            assert!(x.size()[0] <= memory, "CUDA out of memory");
            student.forward_in(x, true, kind)
        }),
        restore: Box::new(move |pair| {
            let earlier = if frames > 1 { &pair.earlier[..] } else { &[] };
            student::restore_after(restoring.as_ref(), earlier, &pair.input)
        }),
        frames,
        network,
        adaptors,
        guide: None,
        multiple: 2,
        colour: Colour::Luma,
        loss,
        optimizer: recipe.optimizer,
        schedule: recipe.schedule,
        plan: Plan::new(&recipe.stages),
        training: recipe.training,
        feeds: Box::new(Boxes {
            frames,
            interrupt: stop_after.map(|n| (interrupt.clone(), n)),
        }),
        samples: samples::choose(&validation, None, &[]),
        validation,
        folder: RunFolder::prepare(out, &text, &inputs, resume)?,
        interrupt,
    };
    trainer.run(resume)
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
fn a_stopped_and_resumed_training_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let outcome = train(&whole, RECIPE, false, None).unwrap();
    assert!(!outcome.interrupted && outcome.epochs == 4);
    // Stops inside the first epoch, inside a later one, and in the second stage.
    assert!(train(&parts, RECIPE, false, Some(4)).unwrap().interrupted);
    assert!(train(&parts, RECIPE, true, Some(11)).unwrap().interrupted);
    assert!(train(&parts, RECIPE, true, Some(10)).unwrap().interrupted);
    let resumed = train(&parts, RECIPE, true, None).unwrap();
    assert_eq!((resumed.best, resumed.epochs), (outcome.best, 4));
    for file in ["last.safetensors", "best.safetensors"] {
        assert_eq!(difference(&whole, &parts, file), 0.0, "{file}");
    }
    let lines = |out: &Path| log::read(&out.join("log.jsonl")).unwrap();
    let losses = |out: &Path| {
        lines(out)
            .into_iter()
            .map(|l| (l.epoch, l.loss))
            .collect::<Vec<_>>()
    };
    assert_eq!(losses(&whole), losses(&parts));
}

#[test]
fn a_temporal_training_learns_from_what_it_gave_and_resumes_with_the_same_bits() {
    let recipe = RECIPE.replace("convs = 3", "convs = 3, temporal = true");
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let outcome = train(&whole, &recipe, false, None).unwrap();
    assert!(train(&parts, &recipe, false, Some(5)).unwrap().interrupted);
    assert!(train(&parts, &recipe, true, Some(10)).unwrap().interrupted);
    let resumed = train(&parts, &recipe, true, None).unwrap();
    assert_eq!((resumed.best, resumed.epochs), (outcome.best, 4));
    for file in ["last.safetensors", "best.safetensors"] {
        assert_eq!(difference(&whole, &parts, file), 0.0, "{file}");
    }
    let run = run::open(&whole).unwrap();
    let chain = run.student.fold().unwrap();
    assert!(chain.is_temporal());
    // The weights for the frame before have moved: it matters.
    let (input, _) = pair(5, 1, 32);
    let student = run.student.as_ref();
    let alone = student::restore(student, &input);
    let earlier = [input.roll([2], [3])];
    assert_ne!(alone, student::restore_after(student, &earlier, &input));

    let single = [
        (
            "loss = [",
            "loss = [{ kind = \"temporal\", weight = 1.0 }, ",
            "sees sequences",
        ),
        (
            "training = {",
            "quantise = { qat = true }\ntraining = {",
            "qat",
        ),
    ];
    for (from, to, words) in single {
        let error = Recipe::from_text(&text(&recipe.replace(from, to))).unwrap_err();
        assert!(format!("{error:#}").contains(words), "{error:#}");
    }
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
fn folders_of_other_runs_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let error = |result: Result<Outcome>| format!("{:#}", result.unwrap_err());
    assert!(error(train(&out, RECIPE, true, None)).contains("no run to resume"));
    assert!(train(&out, RECIPE, false, Some(3)).unwrap().interrupted);
    assert!(error(train(&out, RECIPE, false, None)).contains("--resume"));
    let other = RECIPE.replace("4e-3", "5e-3");
    assert!(error(train(&out, &other, true, None)).contains("another recipe"));
    assert!(format!("{:#}", run::open(&out).err().unwrap()).contains("no weights yet"));
    let last = out.join("last.safetensors");
    let bytes = std::fs::read(&last).unwrap();
    std::fs::write(&last, &bytes[..bytes.len() / 2]).unwrap();
    assert!(error(train(&out, RECIPE, true, None)).contains("damaged"));
}

#[test]
fn a_loss_that_explodes_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let wild = RECIPE.replace("4e-3", "1.0").replace(
        "{ kind = \"l1\", weight = 1.0 }",
        "{ kind = \"mse\", weight = 1e39 }, { kind = \"mse\", weight = 1e39 }",
    );
    let error = train(&folder.path().join("r"), &wild, false, None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no longer a finite number"), "{error}");
}

#[test]
fn half_precision_trains_too_and_keeps_f32_weights() {
    let folder = tempfile::tempdir().unwrap();
    for precision in ["bf16", "f16"] {
        let out = folder.path().join(precision);
        let recipe = RECIPE
            .replace("steps = 6", "steps = 30")
            .replace("accumulate = 2", &format!("precision = \"{precision}\""));
        let outcome = train(&out, &recipe, false, None).unwrap();
        let gain = outcome.best.unwrap().1.psnr - outcome.input.psnr;
        assert!(gain > 0.5, "{precision}: {gain}");
        let best = Checkpoint::read(&out.join("best.safetensors")).unwrap();
        assert!(best.tensors.values().all(|t| t.kind() == Kind::Float));
    }
}

#[test]
fn an_overflow_makes_no_update_and_halves_the_loss_scale() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("r");
    let recipe = RECIPE
        .replace("weight = 1.0", "weight = 1e4")
        .replace("epochs = 2", "epochs = 1")
        .replace("accumulate = 2", "precision = \"f16\"");
    train(&out, &recipe, false, None).unwrap();
    let last = Checkpoint::read(&out.join("last.safetensors")).unwrap();
    let state = State::from_text(&last.metadata[STATE_KEY]).unwrap();
    assert!(state.loss_scale < 65_536.0, "{}", state.loss_scale);
    assert!(state.updates < 10, "{}", state.updates);
}

#[test]
fn a_batch_too_large_for_the_gpu_is_cut_with_the_same_result() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    let recipe = RECIPE.replace("batch = 3", "batch = 4");
    train(&whole, &recipe, false, None).unwrap();
    train_within(&cut, &recipe, false, None, 1).unwrap();
    let worst = difference(&whole, &cut, "best.safetensors");
    assert!(worst < 1e-3, "{worst}");
    let none = train_within(&folder.path().join("none"), &recipe, false, None, 0);
    let error = none.unwrap_err().to_string();
    assert!(
        error.contains("single patch") && error.contains("crop"),
        "{error}"
    );
}

#[test]
fn a_training_without_progress_stops_early_and_leaves_its_logs() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("r");
    let recipe = RECIPE
        .replace("4e-3", "1e-30")
        .replace("epochs = 2, steps = 6", "epochs = 9, steps = 1")
        .replace(
            "accumulate = 2",
            "early_stopping = 2, checkpoint_every = 2, samples_every = 3",
        )
        .replace(
            "kind = \"cosine\", warmup = 3",
            "kind = \"plateau\", patience = 0",
        );
    let outcome = train(&out, &recipe, false, None).unwrap();
    assert_eq!((outcome.epochs, outcome.best.unwrap().0), (3, 1));
    for file in [
        "epoch-0002.safetensors",
        "samples/epoch-0003.png",
        "curves.svg",
    ] {
        assert!(out.join(file).exists(), "{file}");
    }
    let rates: Vec<f64> = log::read(&out.join("log.jsonl"))
        .unwrap()
        .iter()
        .map(|l| l.learning_rate)
        .collect();
    assert_eq!(rates[0], rates[1]);
    assert!((rates[2] / rates[1] - 0.1).abs() < 1e-9, "{rates:?}");
    let table = std::fs::read_to_string(out.join("log.csv")).unwrap();
    assert_eq!(table.lines().count(), 4);
    assert!(
        table.starts_with("epoch,step,seconds,best,loss/total,loss/l1,"),
        "{table}"
    );
    assert_eq!(
        std::fs::read_dir(out.join("tensorboard")).unwrap().count(),
        1
    );
}

#[test]
fn balanced_weights_and_second_looks_resume_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let temporal = "{ kind = \"temporal\", weight = 0.3 }, { kind = \"l1\"";
    for (i, kind) in ["uncertainty", "gradient-norm", "static"]
        .iter()
        .enumerate()
    {
        let recipe = format!("{RECIPE}weighting = {{ kind = \"{kind}\" }}\n");
        let recipe = recipe.replace("{ kind = \"l1\"", temporal);
        let at = |name: &str| folder.path().join(format!("{name}{i}"));
        train(&at("whole"), &recipe, false, None).unwrap();
        assert!(
            train(&at("parts"), &recipe, false, Some(9))
                .unwrap()
                .interrupted
        );
        train(&at("parts"), &recipe, true, None).unwrap();
        let worst = difference(&at("whole"), &at("parts"), "last.safetensors");
        assert_eq!(worst, 0.0, "{kind}");
    }
}

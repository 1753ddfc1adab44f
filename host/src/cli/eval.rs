//! `hone eval`: input, baselines, teacher and students on the same pictures.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use comfy_table::presets::ASCII_MARKDOWN;
use hone_device::engine::EngineOptions;
use hone_shared::student::Colour;

use super::learned::LearnedMetrics;
use super::restorer::TeacherSource;
use crate::data;
use crate::data::degrade::Degradation;
use crate::evaluate::bicubic::Bicubic;
use crate::evaluate::pairs::Opened;
use crate::evaluate::speed::{STANDARD, speed};
use crate::evaluate::summary::{Evaluation, Tuned, TunedOn};
use crate::evaluate::unsharp::Unsharp;
use crate::evaluate::{
    Camera, Comparison, Pair, PairSet, Row, Unchanged, evaluate, honed, output, planes,
};
use crate::metric::MetricSet;
use crate::onnx;
use crate::quantise;
use crate::report::{compare, page};
use crate::restore::{Restore, Student};
use crate::train::run::{self, LoadedRun};

/// Compares restorers on pairs of degraded and sharp pictures.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone eval out/student --data photos/ --teacher-run out/teacher --out out/eval
  hone eval street.hone --data kodak/ --degrade 'gaussian:sigma=1.2' --out out/eval
  hone eval small.onnx large.onnx --data GoPro/ --limit 50
  hone eval street.hone --data clip.mp4 --degrade motion --limit 120 --video 30 --out out/clip
  hone eval --compare out/eval other/report.json --markdown")]
pub struct EvalArgs {
    /// Students to compare: run folders of `hone distill` (f32, and INT8 by the recipe's [quantise]),
    /// ONNX files, bundles.
    #[arg(value_name = "MODEL")]
    models: Vec<PathBuf>,
    /// A folder of pairs or of sharp pictures, an index of `hone data index`, or a video. Test
    /// pictures are evaluated where there are some, else validation pictures, else all.
    #[arg(long, required_unless_present = "compare")]
    data: Option<PathBuf>,
    /// Evaluate these degraded pictures instead; paired with --truth by name.
    #[arg(long, requires = "truth")]
    input: Option<PathBuf>,
    /// The sharp pictures of --input.
    #[arg(long, requires = "input")]
    truth: Option<PathBuf>,
    /// What degrades sharp pictures: a preset or steps as in recipes; the run's own without.
    #[arg(long, value_name = "STEPS", conflicts_with = "input")]
    degrade: Option<Degradation>,
    /// Draws other degradations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The student as f32 ONNX.
    #[arg(long, value_name = "FILE")]
    onnx: Option<PathBuf>,
    /// The student as INT8 ONNX.
    #[arg(long, value_name = "FILE")]
    int8: Option<PathBuf>,
    #[command(flatten)]
    teacher: TeacherSource,
    /// Run folder whose training curve the report shows; may be repeated.
    #[arg(long, value_name = "DIR")]
    run: Vec<PathBuf>,
    /// Another student with its label, such as "no teacher=ablation.onnx"; may be repeated.
    #[arg(long, value_name = "LABEL=FILE", value_parser = labelled)]
    also: Vec<(String, PathBuf)>,
    /// Planes to compare; the students' own without.
    #[arg(long)]
    colour: Option<Colour>,
    #[command(flatten)]
    learned: LearnedMetrics,
    /// PNG frames that honed put out for the evaluated pictures, in order of name.
    #[arg(long, value_name = "DIR")]
    honed_frames: Option<PathBuf>,
    /// PNG frames that honed really got, where they are not the evaluated pictures' bytes.
    #[arg(long, value_name = "DIR", requires = "honed_frames")]
    honed_input: Option<PathBuf>,
    /// Fail when honed's frames differ from the prediction by more than this, in 1/255.
    #[arg(long, value_name = "STEPS", requires = "honed_frames")]
    honed_tolerance: Option<u8>,
    /// Time frames of these sizes [default: 1280x720, 1920x1080 and 1088x1920].
    #[arg(long, value_name = "WxH", value_parser = size)]
    speed: Vec<(usize, usize)>,
    /// Time no frames of standard sizes.
    #[arg(long, conflicts_with = "speed")]
    no_speed: bool,
    /// Evaluate at most this many pictures, spread evenly; of a video, its first frames.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    /// Tune the unsharp mask on at most this many pictures.
    #[arg(long, default_value_t = 12)]
    tune: usize,
    /// The pictures are frames of a video: measure flicker, and write side_by_side.mp4 at this rate.
    #[arg(long, value_name = "FPS", requires = "out")]
    video: Option<u32>,
    /// Folder for report.json, report.md, report.html and before_after_truth.png.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Put these reports (report.json or its folder) side by side instead.
    #[arg(long, num_args = 1.., value_name = "REPORT", conflicts_with_all = ["data", "models", "out"])]
    compare: Vec<PathBuf>,
    /// Print JSON instead of the table.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print Markdown, with every metric, instead of the table.
    #[arg(long)]
    markdown: bool,
}

fn labelled(text: &str) -> Result<(String, PathBuf), String> {
    let (label, path) = text.split_once('=').ok_or("write it as LABEL=FILE")?;
    Ok((label.to_owned(), path.into()))
}

fn size(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once('x').and_then(|(w, h)| {
        let (w, h): (usize, usize) = (w.parse().ok()?, h.parse().ok()?);
        ((1..=8192).contains(&w) && (1..=8192).contains(&h)).then_some((w, h))
    });
    sides.ok_or_else(|| format!("'{text}' is no size: write it as 1280x720"))
}

impl EvalArgs {
    /// Evaluates, prints and writes.
    ///
    /// # Errors
    /// When something cannot be read or written, or honed differs beyond the tolerance.
    pub fn run(self) -> anyhow::Result<()> {
        if !self.compare.is_empty() {
            return self.compare_reports();
        }
        let runs = self.runs()?;
        let students = self.students(&runs)?;
        let colour = self.colour(&students)?;
        let metrics = MetricSet::all(self.learned.vgg()?, self.learned.lpips()?);
        let comparison = Comparison {
            colour,
            metrics: &metrics,
        };
        let camera = self.camera(&runs)?;
        let Opened {
            evaluated: pairs,
            training,
        } = self.pairs(camera.as_ref())?;
        let tuned = self.tuned(&pairs, training, &runs, colour)?;

        let mut methods: Vec<Box<dyn Restore>> =
            vec![Box::new(Unchanged), Box::new(Bicubic), Box::new(tuned.mask)];
        if let Some(teacher) = self.teacher.open()? {
            methods.push(Box::new(teacher));
        }
        let students = students.into_iter();
        methods.extend(students.map(|s| Box::new(s) as Box<dyn Restore>));
        let bar = super::progress::bar((methods.len() * pairs.len()) as u64, "evaluating");
        let mut rows = evaluate(&mut methods, &pairs, comparison, || bar.inc(1))?;
        bar.finish_and_clear();
        self.time(&mut methods, &mut rows, &pairs.get(0)?, colour)?;
        let last = methods.last_mut().context("there is nothing to evaluate")?;
        let ranked = last.name();
        let agreement = match &self.honed_frames {
            Some(folder) => {
                let (agreement, row) = self.honed(folder, last.as_mut(), &pairs, comparison)?;
                rows.push(row);
                Some(agreement)
            }
            None => None,
        };
        let mut evaluation = Evaluation::new(colour, &pairs, &rows, &ranked, &metrics)?;
        evaluation.degradation = camera.map(|camera| camera.degradation);
        evaluation.unsharp = Some(tuned);
        evaluation.honed = agreement;
        if let Some(out) = &self.out {
            output::write(out, &evaluation, &pairs, last.as_mut(), &self.training()?)?;
            if let Some(fps) = self.video {
                let path = out.join("side_by_side.mp4");
                output::side_by_side(&path, &pairs, last.as_mut(), colour, fps)?;
            }
        }
        self.print(&evaluation)?;
        match (agreement, self.honed_tolerance) {
            (Some(found), Some(tolerance)) if found.max_difference > tolerance => bail!(
                "honed differs from the prediction by up to {}/255, {tolerance}/255 is allowed",
                found.max_difference
            ),
            _ => Ok(()),
        }
    }

    fn compare_reports(&self) -> anyhow::Result<()> {
        ensure!(!self.json, "--compare prints a table, or --markdown");
        let (mut table, warning) = compare::compare(&self.compare)?;
        if self.markdown {
            table.load_preset(ASCII_MARKDOWN);
        }
        println!("{table}");
        if let Some(warning) = warning {
            eprintln!("warning: {warning}");
        }
        Ok(())
    }

    fn print(&self, evaluation: &Evaluation) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string_pretty(evaluation)?);
        } else if self.markdown {
            print!("{}", evaluation.markdown());
        } else {
            println!("{}", evaluation.table());
            evaluation
                .notes()
                .iter()
                .for_each(|note| println!("{note}"));
        }
        Ok(())
    }

    /// The run folders among the models.
    fn runs(&self) -> anyhow::Result<Vec<LoadedRun>> {
        let folders = self.models.iter().filter(|path| path.is_dir());
        folders.map(|path| run::open(path)).collect()
    }

    /// All students, in the order of the command line.
    fn students(&self, runs: &[LoadedRun]) -> anyhow::Result<Vec<Student>> {
        let options = EngineOptions::default();
        let open =
            |path: &Path, name: &str| anyhow::Ok(Student::open(path, options)?.with_name(name));
        let mut students = Vec::new();
        let mut runs = runs.iter();
        // A student alone needs no name of its own.
        let lonely = self.models.len() == 1;
        for path in &self.models {
            if path.is_dir() {
                let run = runs.next().context("a run folder appeared meanwhile")?;
                let prefix = if lonely { "student" } else { &run.recipe.name };
                let float = onnx::of_run(run)?;
                students.push(Student::from_bytes(
                    &float,
                    &format!("{prefix} f32"),
                    options,
                )?);
                if run.student.graph().is_none() {
                    let int8 = quantise::of_run(run, &run.recipe.quantise, |_, _| ())?;
                    let int8 = int8.write(run, onnx::Format::Qdq);
                    let name = format!("{prefix} INT8");
                    students.push(Student::from_bytes(&int8, &name, options)?);
                }
            } else if path.extension().is_some_and(|ending| ending == "hone") {
                students.extend(Student::all_of_bundle(path, options)?);
            } else {
                students.push(Student::open(path, options)?);
            }
        }
        for (label, path) in &self.also {
            students.push(open(path, label)?);
        }
        if let Some(path) = &self.onnx {
            students.push(open(path, "student f32")?);
        }
        if let Some(path) = &self.int8 {
            students.push(open(path, "student INT8")?);
        }
        Ok(students)
    }

    fn colour(&self, students: &[Student]) -> anyhow::Result<Colour> {
        if let Some(colour) = self.colour {
            return Ok(colour);
        }
        let mut colours = students.iter().map(Student::colour);
        let first = colours.next().unwrap_or(Colour::Rgb);
        if colours.any(|colour| colour != first) {
            bail!("some students restore luma and some RGB: choose with --colour");
        }
        Ok(first)
    }

    /// What degrades sharp pictures: as asked for, or as the first run's recipe says.
    fn camera(&self, runs: &[LoadedRun]) -> anyhow::Result<Option<Camera>> {
        if self.input.is_some() {
            return Ok(None);
        }
        let of_run = || runs.first().map(|run| run.recipe.data.degradation.clone());
        let degradation = self.degrade.clone().or_else(of_run);
        Ok(degradation.map(|degradation| Camera {
            degradation,
            seed: self.seed,
        }))
    }

    fn pairs(&self, camera: Option<&Camera>) -> anyhow::Result<Opened> {
        let data = self.data.as_deref().context("give --data")?;
        let mut opened = match (&self.input, &self.truth) {
            (Some(input), Some(truth)) => Opened {
                evaluated: PairSet::folders(input, truth, self.limit)?,
                // The data may hold nothing but the frames that are evaluated.
                training: PairSet::open(data, camera, self.tune)
                    .ok()
                    .and_then(|opened| opened.training),
            },
            _ => PairSet::open(data, camera, self.limit)?,
        };
        if self.video.is_some() {
            opened.evaluated = opened.evaluated.as_sequence();
        }
        Ok(opened)
    }

    /// The unsharp mask, tuned on pictures that are not evaluated where there are any.
    fn tuned(
        &self,
        pairs: &PairSet,
        training: Option<PairSet>,
        runs: &[LoadedRun],
        colour: Colour,
    ) -> anyhow::Result<Tuned> {
        let (set, on) = match (training, runs.first()) {
            (Some(training), _) => (training, TunedOn::Training),
            (None, Some(run)) if self.degrade.is_none() => (self.patches(run)?, TunedOn::Recipe),
            _ => (pairs.clone(), TunedOn::Evaluated),
        };
        let mask = Unsharp::tuned(&set.limited(self.tune), colour)?;
        Ok(Tuned { mask, on })
    }

    /// Patches of the data that a run was trained on.
    fn patches(&self, run: &LoadedRun) -> anyhow::Result<PairSet> {
        let source = data::open(&run.recipe.data, &run.text.base)?;
        let pair = |i: u64| {
            let pair = source.patch(self.seed, i, 256)?;
            anyhow::Ok(Pair {
                name: i.to_string(),
                input: pair.input,
                truth: pair.truth,
            })
        };
        let pairs: Vec<Pair> = (0..self.tune as u64).map(pair).collect::<Result<_, _>>()?;
        Ok(pairs.into())
    }

    /// Times all restorers on frames of standard sizes.
    fn time(
        &self,
        methods: &mut [Box<dyn Restore>],
        rows: &mut [Row],
        pair: &Pair,
        colour: Colour,
    ) -> anyhow::Result<()> {
        if self.no_speed {
            return Ok(());
        }
        let sizes = if self.speed.is_empty() {
            &STANDARD[..]
        } else {
            &self.speed[..]
        };
        let pixels = (pair.input.width * pair.input.height) as f64;
        let bar = super::progress::bar((methods.len() * sizes.len()) as u64, "timing");
        for (method, row) in methods.iter_mut().zip(rows) {
            let Some(ms) = row.ms_per_frame else { continue };
            let narrow = method.takes_luma() && colour == Colour::Luma;
            let sample = planes(&pair.input, if narrow { colour } else { Colour::Rgb });
            let known = Some(ms / 1000.0 / pixels);
            for size in sizes {
                row.speed
                    .push(speed(method.as_mut(), &sample, *size, known)?);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn honed(
        &self,
        folder: &Path,
        student: &mut dyn Restore,
        pairs: &PairSet,
        comparison: Comparison<'_>,
    ) -> anyhow::Result<(honed::Agreement, Row)> {
        let colour = comparison.colour;
        let shown = honed::frames(folder, colour)?;
        let agreement = match &self.honed_input {
            Some(folder) => {
                let fed = honed::frames(folder, colour)?;
                let frame = |i: usize| fed.get(i).cloned().context("a frame is missing");
                honed::agreement(student, fed.len(), frame, &shown)?
            }
            None => {
                let frame = |i: usize| Ok(planes(&pairs.get(i)?.input, colour));
                honed::agreement(student, pairs.len(), frame, &shown)?
            }
        };
        Ok((agreement, honed::row(&shown, pairs, comparison)?))
    }

    /// PSNR over the epochs of every run named.
    fn training(&self) -> anyhow::Result<Vec<page::Curve>> {
        let runs = self.models.iter().filter(|path| path.is_dir());
        let curve = |run: &PathBuf| {
            let path = run.join("log.jsonl");
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let point = |line: &str| {
                let line: LogLine = serde_json::from_str(line)
                    .with_context(|| format!("{} is no log of a training", path.display()))?;
                anyhow::Ok((line.epoch, line.validation.psnr))
            };
            let points = text.lines().map(point).collect::<Result<_, _>>()?;
            let name = run.file_name().unwrap_or_default().to_string_lossy();
            Ok((name.into_owned(), points))
        };
        runs.chain(&self.run).map(curve).collect()
    }
}

/// What is read of a line of `log.jsonl`.
#[derive(serde::Deserialize)]
struct LogLine {
    epoch: f64,
    validation: LogScores,
}

#[derive(serde::Deserialize)]
struct LogScores {
    psnr: f64,
}

//! `hone eval`: input, baselines, teacher and students on the same pictures.

mod pictures;
mod students;
mod timing;
mod training;

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Args;
use comfy_table::presets::ASCII_MARKDOWN;
use hone_shared::printable::printable;
use hone_shared::student::Colour;

use super::learned::LearnedMetrics;
use super::progress;
use super::restorer::TeacherSource;
use super::size::sides;
use crate::data::degrade::Degradation;
use crate::evaluate::bicubic::Bicubic;
use crate::evaluate::summary::Evaluation;
use crate::evaluate::{Comparison, Method, Role, Unchanged, evaluate, labels, output};
use crate::metric::MetricSet;
use crate::report::compare;

/// Compares restorers on pairs of degraded and sharp pictures.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone eval out/student --data photos/ --teacher-run out/teacher --out out/eval
  hone eval street.hone --data kodak/ --degrade 'gaussian:sigma=1.2' --out out/eval
  hone eval small.onnx large.onnx --data GoPro/ --limit 50
  hone eval street.hone --data clip.mp4 --degrade motion --limit 120 --video 30 --out out/clip
  hone eval --compare out/eval other/report.json --markdown")]
pub struct EvalArgs {
    /// Students to compare: run folders of `hone distill` (f32, and INT8 by the recipe's `[quantise]`),
    /// ONNX files, bundles.
    #[arg(value_name = "MODEL")]
    models: Vec<PathBuf>,
    /// A folder of pairs or of sharp pictures, an index of `hone data index`, or a video. Test
    /// pictures are evaluated where there are some, else validation pictures, else all. What a run
    /// folder was trained on is left out. Frames of a video are kept in memory, 4 GB at most. Beside
    /// --input its training pictures, pairs, tune the unsharp mask, and nothing else is taken.
    #[arg(long, required_unless_present_any = ["compare", "input"])]
    data: Option<PathBuf>,
    /// Evaluate these degraded pictures instead; paired with --truth by name. Without --data the
    /// unsharp mask is tuned on them.
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
    #[arg(long, value_name = "DIR", requires = "out")]
    run: Vec<PathBuf>,
    /// Another student with its label, such as "no teacher=ablation.onnx"; may be repeated.
    #[arg(long, value_name = "LABEL=FILE", value_parser = labelled)]
    also: Vec<(String, PathBuf)>,
    /// Planes to compare; the students' own without.
    #[arg(long)]
    colour: Option<Colour>,
    #[command(flatten)]
    learned: LearnedMetrics,
    /// Measure this RGB metric only, beside PSNR and SSIM of the compared planes; may be repeated.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
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
    #[arg(long, value_name = "WxH", value_parser = sides(1..=8192))]
    speed: Vec<(usize, usize)>,
    /// Time no frames of standard sizes.
    #[arg(long, conflicts_with = "speed")]
    no_speed: bool,
    /// Evaluate at most this many pictures, spread evenly; of a video, and with --video, the first ones.
    #[arg(long, default_value_t = 1000, value_parser = count)]
    limit: usize,
    /// Tune the unsharp mask on at most this many pictures.
    #[arg(long, default_value_t = 12, value_parser = count)]
    tune: usize,
    /// The pictures are frames of a video: measure flicker, and write side_by_side.mp4 at this rate.
    #[arg(long, value_name = "FPS", requires = "out")]
    video: Option<u32>,
    /// Folder for report.json, report.md, report.html and before_after_truth.png.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Put these reports (report.json or its folder) side by side instead.
    #[arg(long, num_args = 1.., value_name = "REPORT", conflicts_with_all = ["data", "input", "models", "out"])]
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
    if labels::RESERVED.contains(&label) {
        return Err(format!(
            "the report has a row '{label}' of its own: give the student another label"
        ));
    }
    Ok((label.to_owned(), path.into()))
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("give a number of pictures, 1 or more".into()),
        Ok(count) => Ok(count),
    }
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
        let training = match self.out {
            Some(_) => self.training()?,
            None => Vec::new(),
        };
        let mut metrics = MetricSet::all(self.learned.vgg()?, self.learned.lpips()?);
        if !self.only.is_empty() {
            metrics = metrics.only(&self.only)?;
        }
        let comparison = Comparison {
            colour,
            metrics: &metrics,
        };
        let camera = self.camera(&runs)?;
        let opened = self.pairs(camera.as_ref(), &runs)?;
        let answered_by = self.answered_by()?;
        let (pairs, split) = (opened.evaluated, opened.split);
        let tuned = self.tuned(&pairs, opened.training, &runs, colour)?;

        let mut methods = vec![
            Method::new(Role::Input, Unchanged),
            Method::new(Role::Baseline, Bicubic),
            Method::new(Role::Baseline, tuned.found.mask),
        ];
        if let Some(teacher) = self.teacher.open()? {
            methods.push(Method::new(Role::Teacher, teacher));
        }
        let students = students.into_iter();
        methods.extend(students.map(|student| Method::new(Role::Student, student)));
        let bar = progress::bar((methods.len() * pairs.len()) as u64, "evaluating");
        let mut rows = evaluate(&mut methods, &pairs, comparison, || bar.inc(1))?;
        bar.finish_and_clear();
        self.time(&mut methods, &mut rows, &pairs.get(0)?, colour)?;
        let ranked = methods.len() - 1;
        let last = methods.last_mut().context("there is nothing to evaluate")?;
        let last = last.restorer.as_mut();
        let agreement = match &self.honed_frames {
            Some(folder) => {
                let (agreement, row) = self.honed(folder, last, &pairs, comparison)?;
                rows.push(row);
                Some(agreement)
            }
            None => None,
        };
        let mut evaluation = Evaluation::new(colour, &pairs, &rows, ranked, &metrics)?;
        let degraded = camera.filter(|_| pairs.uses_camera());
        evaluation.seed = degraded.as_ref().map(|camera| camera.seed);
        evaluation.degradation = degraded.map(|camera| camera.degradation);
        evaluation.split = split;
        evaluation.unsharp = Some(tuned);
        evaluation.answered_by = answered_by;
        evaluation.honed = agreement;
        if let Some(out) = &self.out {
            output::write(out, &evaluation, &pairs, last, &training)?;
            if let Some(fps) = self.video {
                let path = out.join("side_by_side.mp4");
                output::side_by_side(&path, &pairs, last, colour, fps)?;
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
        println!("{}", printable(table));
        if let Some(warning) = warning {
            eprintln!("warning: {warning}");
        }
        Ok(())
    }

    fn print(&self, evaluation: &Evaluation) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string_pretty(evaluation)?);
        } else if self.markdown {
            print!("{}", printable(evaluation.markdown()));
        } else {
            println!("{}", printable(evaluation.table()));
            evaluation
                .notes()
                .iter()
                .for_each(|note| println!("{}", printable(note)));
        }
        Ok(())
    }
}

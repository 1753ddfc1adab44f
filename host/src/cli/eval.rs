//! `hone eval`: input, unsharp mask, teacher and students on the same pictures.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use hone_device::engine::EngineOptions;
use hone_shared::student::Colour;

use super::restorer::TeacherSource;
use crate::evaluate::summary::Evaluation;
use crate::evaluate::unsharp::Unsharp;
use crate::evaluate::{Pair, Row, Unchanged, evaluate, figure, honed, pairs, planes, speed};
use crate::picture::Picture;
use crate::report::{compare, page};
use crate::restore::{Restore, Student, video};

/// Compares restorers on pairs of degraded and sharp pictures.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone eval --data data --teacher-run runs/teacher --onnx student.onnx --int8 student.int8.onnx --out out/eval
  hone eval --data data --input frames/blur --truth frames/sharp --int8 student.int8.onnx \\
      --honed-frames out/frames --out out/demo")]
pub struct EvalArgs {
    /// Folder with {train,val}/{blur,sharp}: `val` is evaluated, the unsharp mask is tuned on `train`.
    #[arg(long, required_unless_present = "compare")]
    data: Option<PathBuf>,
    /// Evaluate these degraded pictures instead of `val`; paired with --truth by name.
    #[arg(long, requires = "truth")]
    input: Option<PathBuf>,
    /// The sharp pictures of --input.
    #[arg(long, requires = "input")]
    truth: Option<PathBuf>,
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
    /// PNG frames that honed put out for the evaluated pictures, in order of name.
    #[arg(long, value_name = "DIR")]
    honed_frames: Option<PathBuf>,
    /// PNG frames that honed really got, where they are not the evaluated pictures' bytes.
    #[arg(long, value_name = "DIR", requires = "honed_frames")]
    honed_input: Option<PathBuf>,
    /// Fail when honed's frames differ from the prediction by more than this, in 1/255.
    #[arg(long, value_name = "STEPS", requires = "honed_frames")]
    honed_tolerance: Option<u8>,
    /// Also time frames of this size; may be repeated.
    #[arg(long, value_name = "WxH", value_parser = size)]
    speed: Vec<(usize, usize)>,
    /// Evaluate at most this many pictures, spread evenly.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    /// Tune the unsharp mask on at most this many training pictures.
    #[arg(long, default_value_t = 12)]
    tune: usize,
    /// Also write side_by_side.mp4 of the pictures in order, at this rate.
    #[arg(long, value_name = "FPS")]
    video: Option<u32>,
    /// Folder for report.json, report.md, report.html and before_after_truth.png.
    #[arg(long, required_unless_present = "compare")]
    out: Option<PathBuf>,
    /// Put these reports (report.json or its folder) side by side instead.
    #[arg(long, num_args = 1.., value_name = "REPORT", exclusive = true)]
    compare: Vec<PathBuf>,
    /// Print JSON instead of the table.
    #[arg(long)]
    json: bool,
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
            let (table, warning) = compare::compare(&self.compare)?;
            println!("{table}");
            if let Some(warning) = warning {
                eprintln!("warning: {warning}");
            }
            return Ok(());
        }
        let data = self.data.as_deref().context("give --data")?;
        let out = self.out.as_deref().context("give --out")?;
        let students = self.students()?;
        let colour = self.colour(&students)?;
        let pairs = match (&self.input, &self.truth) {
            (Some(input), Some(truth)) => pairs::load(input, truth, self.limit)?,
            _ => {
                let (input, truth) = pairs::folders(data, "val")?;
                pairs::load(&input, &truth, self.limit)?
            }
        };
        let (input, truth) = pairs::folders(data, "train")?;
        let mask = Unsharp::tuned(&pairs::load(&input, &truth, self.tune)?, colour)?;

        let mut methods: Vec<Box<dyn Restore>> = vec![Box::new(Unchanged), Box::new(mask)];
        if let Some(teacher) = self.teacher.open()? {
            methods.push(Box::new(teacher));
        }
        methods.extend(
            students
                .into_iter()
                .map(|s| Box::new(s) as Box<dyn Restore>),
        );
        let bar = super::progress::bar((methods.len() * pairs.len()) as u64, "evaluating");
        let mut rows = Vec::new();
        for method in &mut methods {
            bar.set_message(method.name());
            let mut row = evaluate(method.as_mut(), &pairs, colour, || bar.inc(1))?;
            if row.ms_per_frame.is_some() {
                let narrow = method.takes_luma() && colour == Colour::Luma;
                let sample = planes(&pairs[0].input, if narrow { colour } else { Colour::Rgb });
                for (w, h) in &self.speed {
                    row.speed.push(speed(method.as_mut(), &sample, *w, *h)?);
                }
            }
            rows.push(row);
        }
        bar.finish_and_clear();
        let ranked = rows.last().map(|row| row.name.clone()).unwrap_or_default();
        let agreement = match &self.honed_frames {
            Some(folder) => {
                let last = methods.last_mut().context("there is no student")?;
                let (agreement, row) = self.honed(folder, last.as_mut(), &pairs, colour)?;
                rows.push(row);
                Some(agreement)
            }
            None => None,
        };
        let mut evaluation = Evaluation::new(colour, &pairs, &rows, &ranked);
        evaluation.unsharp = Some(mask);
        evaluation.honed = agreement;
        self.write(out, &evaluation, &pairs, &rows, &ranked)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&evaluation)?);
        } else {
            println!("{}", evaluation.table());
            evaluation
                .notes()
                .iter()
                .for_each(|note| println!("{note}"));
        }
        match (agreement, self.honed_tolerance) {
            (Some(found), Some(tolerance)) if found.max_difference > tolerance => bail!(
                "honed differs from the prediction by up to {}/255, {tolerance}/255 is allowed",
                found.max_difference
            ),
            _ => Ok(()),
        }
    }

    fn students(&self) -> anyhow::Result<Vec<Student>> {
        let open = |path: &Path, name: &str| {
            anyhow::Ok(Student::open(path, EngineOptions::default())?.with_name(name))
        };
        let mut students = Vec::new();
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

    fn honed(
        &self,
        folder: &Path,
        student: &mut dyn Restore,
        pairs: &[Pair],
        colour: Colour,
    ) -> anyhow::Result<(honed::Agreement, Row)> {
        let shown = honed::frames(folder, colour)?;
        let fed = match &self.honed_input {
            Some(folder) => honed::frames(folder, colour)?,
            None => pairs.iter().map(|p| planes(&p.input, colour)).collect(),
        };
        let agreement = honed::agreement(student, &fed, &shown)?;
        Ok((agreement, honed::row(&shown, pairs, colour)?))
    }

    fn write(
        &self,
        out: &Path,
        evaluation: &Evaluation,
        pairs: &[Pair],
        rows: &[Row],
        ranked: &str,
    ) -> anyhow::Result<()> {
        std::fs::create_dir_all(out)
            .with_context(|| format!("cannot create the folder {}", out.display()))?;
        let write = hone_device::atomic::write_bytes;
        write(
            &out.join("report.json"),
            &serde_json::to_vec_pretty(evaluation)?,
        )?;
        write(&out.join("report.md"), evaluation.markdown().as_bytes())?;
        let mut wipes = Vec::new();
        if let Some(row) = rows.iter().find(|row| row.name == ranked) {
            let ranking = &evaluation.ranking;
            // The pair of median gain comes first: neither the best nor the worst is typical.
            let ranks = [
                ("typical", ranking.get(ranking.len() / 2)),
                ("best", ranking.first()),
                ("worst", ranking.last()),
            ];
            for (rank, gain) in ranks {
                let Some(gain) = gain else { continue };
                let Some(i) = pairs.iter().position(|pair| pair.name == gain.name) else {
                    continue;
                };
                let caption = format!(
                    "{rank}: {} ({:+.2} dB by {ranked})",
                    gain.name, gain.gain_db
                );
                wipes.push(crop(
                    &pairs[i],
                    &row.results[i].restored,
                    evaluation.colour,
                    caption,
                ));
            }
            if let Some(wipe) = wipes.first() {
                figure::beside(&[
                    ("before", &wipe.before),
                    (&format!("after: {ranked}"), &wipe.after),
                    ("truth", &wipe.truth),
                ])
                .save(&out.join("before_after_truth.png"))?;
            }
        }
        let html = page::render(evaluation, &wipes, &self.training()?)?;
        write(&out.join("report.html"), html.as_bytes())?;
        let shown = rows.iter().find(|row| row.name == ranked);
        if let (Some(fps), Some(row)) = (self.video, shown) {
            side_by_side(
                &out.join("side_by_side.mp4"),
                pairs,
                row,
                evaluation.colour,
                fps,
            )?;
        }
        Ok(())
    }

    /// PSNR over the epochs of every run named.
    fn training(&self) -> anyhow::Result<Vec<page::Curve>> {
        let mut curves = Vec::new();
        for run in &self.run {
            let path = run.join("log.jsonl");
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let mut points = Vec::new();
            for line in text.lines() {
                let line: LogLine = serde_json::from_str(line)
                    .with_context(|| format!("{} is no log of a training", path.display()))?;
                points.push((line.epoch, line.validation.psnr));
            }
            let name = run.file_name().unwrap_or_default().to_string_lossy();
            curves.push((name.into_owned(), points));
        }
        Ok(curves)
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

/// The busiest part of a pair.
fn crop(pair: &Pair, restored: &Picture, colour: Colour, caption: String) -> page::Wipe {
    let restored = shown_picture(pair, restored, colour);
    let (h, w) = (pair.truth.height.min(256), pair.truth.width.min(320));
    let (top, left) = figure::busiest(&pair.truth, h, w);
    page::Wipe {
        caption,
        before: pair.input.crop(top, left, h, w),
        after: restored.crop(top, left, h, w),
        truth: pair.truth.crop(top, left, h, w),
    }
}

/// Writes a video of inputs and restored pictures in order; all must have one size.
fn side_by_side(
    path: &Path,
    pairs: &[Pair],
    row: &Row,
    colour: Colour,
    fps: u32,
) -> anyhow::Result<()> {
    let mut writer: Option<(video::Writer, usize, usize)> = None;
    let label = format!("after: {}", row.name);
    for (pair, result) in pairs.iter().zip(&row.results) {
        let restored = shown_picture(pair, &result.restored, colour);
        let frame = figure::beside(&[("before", &pair.input), (&label, &restored)]);
        let (width, height) = (frame.width, frame.height);
        let (writer, w, h) = match &mut writer {
            Some(writer) => writer,
            None => {
                let rate = (fps, 1);
                let format = video::Format {
                    width,
                    height,
                    rate,
                };
                writer.insert((video::Writer::create(path, format)?, width, height))
            }
        };
        if (*w, *h) != (width, height) {
            bail!(
                "{} has another size than the first picture: no video of both",
                pair.name
            );
        }
        writer.push(&video::Frame::from_picture(&frame))?;
    }
    writer.map_or(Ok(()), |(writer, ..)| writer.finish())
}

/// A restored picture in colour.
fn shown_picture(pair: &Pair, restored: &Picture, colour: Colour) -> Picture {
    match colour {
        Colour::Rgb => restored.clone(),
        Colour::Luma => {
            crate::evaluate::recolour(&pair.input, &planes(&pair.input, colour), restored)
        }
    }
}

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
use crate::restore::{Restore, Student, video};

/// Compares restorers on pairs of degraded and sharp pictures.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hone eval --data data --teacher-run runs/teacher --onnx student.onnx --int8 student.int8.onnx --out out/eval
  hone eval --data data --input frames/blur --truth frames/sharp --int8 student.int8.onnx \\
      --honed-frames out/frames --out out/demo")]
pub struct EvalArgs {
    /// Folder with {train,val}/{blur,sharp}: `val` is evaluated, the unsharp mask is tuned on `train`.
    #[arg(long)]
    data: PathBuf,
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
    /// Folder for report.json, report.md and before_after_truth.png.
    #[arg(long)]
    out: PathBuf,
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
        let students = self.students()?;
        let colour = self.colour(&students)?;
        let pairs = match (&self.input, &self.truth) {
            (Some(input), Some(truth)) => pairs::load(input, truth, self.limit)?,
            _ => {
                let (input, truth) = pairs::folders(&self.data, "val")?;
                pairs::load(&input, &truth, self.limit)?
            }
        };
        let (input, truth) = pairs::folders(&self.data, "train")?;
        let mask = Unsharp::tuned(&pairs::load(&input, &truth, self.tune)?, colour)?;

        let mut methods: Vec<Box<dyn Restore>> = vec![Box::new(Unchanged), Box::new(mask)];
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
        self.write(&evaluation, &pairs, &rows, &ranked, colour)?;
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
        evaluation: &Evaluation,
        pairs: &[Pair],
        rows: &[Row],
        ranked: &str,
        colour: Colour,
    ) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot create the folder {}", self.out.display()))?;
        let json = serde_json::to_vec_pretty(evaluation)?;
        let write = hone_device::atomic::write_bytes;
        write(&self.out.join("report.json"), &json)?;
        write(
            &self.out.join("report.md"),
            evaluation.markdown().as_bytes(),
        )?;
        let Some(row) = rows.iter().find(|row| row.name == ranked) else {
            return Ok(());
        };
        // The pair of median gain: neither the best nor the worst is typical.
        let median = evaluation.ranking.get(evaluation.ranking.len() / 2);
        let shown = median.and_then(|gain| pairs.iter().position(|p| p.name == gain.name));
        if let Some(i) = shown {
            let pair = &pairs[i];
            let restored = shown_picture(pair, &row.results[i].restored, colour);
            let (h, w) = (pair.truth.height.min(256), pair.truth.width.min(320));
            let (top, left) = figure::busiest(&pair.truth, h, w);
            let crop = |p: &Picture| p.crop(top, left, h, w);
            let label = format!("after: {ranked}");
            figure::beside(&[
                ("before", &crop(&pair.input)),
                (&label, &crop(&restored)),
                ("truth", &crop(&pair.truth)),
            ])
            .save(&self.out.join("before_after_truth.png"))?;
        }
        if let Some(fps) = self.video {
            self.side_by_side(pairs, row, colour, fps)?;
        }
        Ok(())
    }

    fn side_by_side(
        &self,
        pairs: &[Pair],
        row: &Row,
        colour: Colour,
        fps: u32,
    ) -> anyhow::Result<()> {
        let mut writer: Option<video::Writer> = None;
        for (pair, result) in pairs.iter().zip(&row.results) {
            let restored = shown_picture(pair, &result.restored, colour);
            let label = format!("after: {}", row.name);
            let frame = figure::beside(&[("before", &pair.input), (&label, &restored)]);
            let writer = match &mut writer {
                Some(writer) => writer,
                None => {
                    let format = video::Format {
                        width: frame.width,
                        height: frame.height,
                        rate: (fps, 1),
                    };
                    let path = self.out.join("side_by_side.mp4");
                    writer.insert(video::Writer::create(&path, format)?)
                }
            };
            writer.push(&video::Frame::from_picture(&frame))?;
        }
        writer.map_or(Ok(()), video::Writer::finish)
    }
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

//! The students that are compared.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use hone_device::engine::EngineOptions;
use hone_shared::student::{Colour, Precision};

use super::EvalArgs;
use crate::cli::restorer::{UNPACK, open_onnx};
use crate::evaluate::labels;
use crate::onnx;
use crate::quantise;
use crate::restore::{Restore, Student};
use crate::train::run::{self, LoadedRun};

impl EvalArgs {
    /// The run folders among the models.
    pub(super) fn runs(&self) -> anyhow::Result<Vec<LoadedRun>> {
        let folders = self.models.iter().filter(|path| path.is_dir());
        folders.map(|path| run::open(path)).collect()
    }

    /// All students, in the order of the command line, each with a name of its own.
    ///
    /// # Errors
    /// When one cannot be read or is of another precision than its flag says, or two are given the same label.
    pub(super) fn students(&self, runs: &[LoadedRun]) -> anyhow::Result<Vec<Student>> {
        for (i, (label, _)) in self.also.iter().enumerate() {
            if self.also[..i].iter().any(|(other, _)| other == label) {
                bail!("two students are labelled '{label}': give each --also a label of its own");
            }
        }
        let options = EngineOptions::default();
        let open = |path: &Path| open_onnx(path, options, UNPACK);
        // Each with what it may be called.
        let mut students: Vec<(Student, Vec<String>)> = Vec::new();
        let mut runs = runs.iter();
        // A student alone needs no name of its own.
        let lonely = self.models.len() == 1;
        for path in &self.models {
            if path.is_dir() {
                let run = runs.next().context("a run folder appeared meanwhile")?;
                let mut called = labels::of_path(path);
                called.insert(0, run.recipe.name.clone());
                if lonely {
                    called.insert(0, "student".to_owned());
                }
                let named = |precision| each(&called, |name| format!("{name} {precision}"));
                let float = onnx::of_run(run)?;
                let float = Student::from_bytes(&float, "student", options)?;
                students.push((float, named("f32")));
                let int8 = quantise::of_run(run, &run.recipe.quantise, |_| ())?;
                let int8 = int8.write(onnx::Format::Qdq)?;
                let int8 = Student::from_bytes(&int8, "student", options)?;
                students.push((int8, named("INT8")));
            } else if path.extension().is_some_and(|ending| ending == "hone") {
                for student in Student::all_of_bundle(path, options)? {
                    let level = student.name();
                    let mut called = each(&labels::of_path(path), |name| format!("{name} {level}"));
                    called.insert(0, level);
                    students.push((student, called));
                }
            } else {
                students.push((open(path)?, labels::of_path(path)));
            }
        }
        for (label, path) in &self.also {
            students.push((open(path)?, vec![label.clone()]));
        }
        for (path, name, precision) in [
            (&self.onnx, "student f32", Precision::F32),
            (&self.int8, "student INT8", Precision::Int8),
        ] {
            if let Some(path) = path {
                let student = open(path)?;
                ensure!(
                    student.precision() == precision,
                    "{} computes in {}: --onnx is for f32 and --int8 for INT8",
                    path.display(),
                    student.precision()
                );
                let longer = format!("{name} {}", path.display());
                students.push((student, vec![name.to_owned(), longer]));
            }
        }
        let (students, called): (Vec<_>, Vec<_>) = students.into_iter().unzip();
        let names = labels::distinct(&called, &labels::RESERVED);
        let named = students.into_iter().zip(names);
        Ok(named
            .map(|(student, name)| student.with_name(&name))
            .collect())
    }

    pub(super) fn colour(&self, students: &[Student]) -> anyhow::Result<Colour> {
        if let Some(colour) = self.colour {
            let board = students.last().filter(|_| self.honed_frames.is_some());
            if let Some(student) = board.filter(|s| colour == Colour::Luma && !s.takes_luma()) {
                bail!(
                    "{} restores RGB, and so do honed's frames: leave out --colour luma to compare them",
                    student.name()
                );
            }
            return Ok(colour);
        }
        let mut colours = students.iter().map(Student::colour);
        let first = colours.next().unwrap_or(Colour::Rgb);
        if colours.any(|colour| colour != first) {
            bail!("some students restore luma and some RGB: choose with --colour");
        }
        Ok(first)
    }
}

fn each(names: &[String], label: impl Fn(&str) -> String) -> Vec<String> {
    names.iter().map(|name| label(name)).collect()
}

//! The students that are compared.

use std::path::Path;

use anyhow::{Context, bail};
use hone_device::engine::EngineOptions;
use hone_shared::student::Colour;

use super::EvalArgs;
use crate::onnx;
use crate::quantise;
use crate::restore::Student;
use crate::train::run::{self, LoadedRun};

impl EvalArgs {
    /// The run folders among the models.
    pub(super) fn runs(&self) -> anyhow::Result<Vec<LoadedRun>> {
        let folders = self.models.iter().filter(|path| path.is_dir());
        folders.map(|path| run::open(path)).collect()
    }

    /// All students, in the order of the command line.
    pub(super) fn students(&self, runs: &[LoadedRun]) -> anyhow::Result<Vec<Student>> {
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
                let int8 = quantise::of_run(run, &run.recipe.quantise, |_| ())?;
                let int8 = int8.write(onnx::Format::Qdq)?;
                let name = format!("{prefix} INT8");
                students.push(Student::from_bytes(&int8, &name, options)?);
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

    pub(super) fn colour(&self, students: &[Student]) -> anyhow::Result<Colour> {
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
}

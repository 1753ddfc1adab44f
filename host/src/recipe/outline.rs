//! What a recipe would train, known from its text alone.

use std::fmt;

use anyhow::{Result, bail};
use hone_shared::student::Colour;
use serde::Serialize;

use super::{Recipe, RecipeText, Stage, TeacherRecipe, TeacherSource};
use crate::loss::LossConfig;
use crate::train::plan::Plan;

/// Which network a recipe trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trained {
    /// A student, by `hone distill`.
    Student,
    /// A teacher, by `hone teacher train`.
    Teacher,
}

/// What a recipe would train.
#[derive(Debug, Clone, Serialize)]
pub struct Outline {
    /// Student or teacher.
    pub kind: Trained,
    /// Its name.
    pub name: String,
    /// Its architecture, as recipes name it.
    pub architecture: &'static str,
    /// Planes that it restores.
    pub colour: Colour,
    /// Whom a student learns from.
    pub teacher: Option<TeacherSource>,
    /// Terms of the loss and their weights.
    pub losses: Vec<(String, f64)>,
    /// The curriculum.
    pub stages: Vec<Stage>,
    /// Optimiser updates of all stages.
    pub steps: u64,
}

/// A recipe of either kind.
#[derive(Debug)]
pub(super) enum Either {
    Student(Box<Recipe>),
    Teacher(Box<TeacherRecipe>),
}

impl Either {
    /// Reads a recipe as the command that trains by it does.
    pub fn from_text(text: &RecipeText) -> Result<Self> {
        let table = text.table()?;
        match (table.contains_key("student"), table.contains_key("network")) {
            (true, _) => Ok(Self::Student(Box::new(Recipe::from_text(text)?))),
            (false, true) => Ok(Self::Teacher(Box::new(TeacherRecipe::from_text(text)?))),
            (false, false) => bail!(
                "{}: there is no [student] to distil and no [network] to train as a teacher; `hone recipe` prints all tables",
                text.origin.display()
            ),
        }
    }
}

impl Outline {
    /// Reads a student's or a teacher's recipe as the command that trains by it does, but none of the files that it names.
    ///
    /// # Errors
    /// One sentence with the file and the line.
    pub fn of(text: &RecipeText) -> Result<Self> {
        let terms = |losses: &[LossConfig]| {
            let term = |loss: &LossConfig| (loss.label(), loss.weight());
            losses.iter().map(term).collect()
        };
        Ok(match Either::from_text(text)? {
            Either::Student(recipe) => Self {
                kind: Trained::Student,
                architecture: recipe.student.architecture(),
                colour: recipe.colour,
                losses: terms(&recipe.losses),
                steps: Plan::new(&recipe.stages).steps(),
                name: recipe.name,
                teacher: recipe.teacher,
                stages: recipe.stages,
            },
            Either::Teacher(recipe) => Self {
                kind: Trained::Teacher,
                architecture: recipe.network.name(),
                colour: recipe.colour()?,
                teacher: None,
                losses: terms(&recipe.losses),
                steps: Plan::new(&recipe.stages).steps(),
                name: recipe.name,
                stages: recipe.stages,
            },
        })
    }
}

impl fmt::Display for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            Trained::Student => "student",
            Trained::Teacher => "teacher",
        };
        let (name, architecture, colour) = (&self.name, self.architecture, self.colour);
        writeln!(f, "{what}  {name}: {architecture}, {colour}")?;
        if self.kind == Trained::Student {
            let source = match &self.teacher {
                None => "none".to_owned(),
                Some(teacher) => match teacher.cache.as_ref().or(teacher.from.as_ref()) {
                    Some(path) => path.display().to_string(),
                    None => "named by --teacher or --cache".to_owned(),
                },
            };
            writeln!(f, "teacher  {source}")?;
        }
        for (name, weight) in &self.losses {
            writeln!(f, "loss     {weight} x {name}")?;
        }
        for (i, s) in self.stages.iter().enumerate() {
            writeln!(
                f,
                "stage {i}  {} epochs of {} steps, batch {}, crop {}",
                s.epochs, s.steps, s.batch, s.crop
            )?;
        }
        write!(f, "total    {} steps", self.steps)
    }
}

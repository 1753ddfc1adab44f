//! The pictures that are evaluated, what degrades them, and those that a baseline is tuned on.

use std::path::Path;

use anyhow::{Context, ensure};
use hone_shared::print::tell;
use hone_shared::printable::printable;
use hone_shared::student::Colour;

use super::EvalArgs;
use crate::cli::left_out;
use crate::data;
use crate::data::answers::Answers;
use crate::evaluate::pairs::{Learnt, Opened};
use crate::evaluate::summary::{Tuned, TunedOn};
use crate::evaluate::unsharp::Unsharp;
use crate::evaluate::{Camera, Pair, PairSet, Take};
use crate::train::run::LoadedRun;

/// Side of a recipe's patches that a baseline is tuned on, in pixels, and how many of them stand for a
/// picture.
const PATCH: usize = 256;
const PATCHES_OF_A_PICTURE: usize = 4;

impl EvalArgs {
    /// What degrades sharp pictures: as asked for, or as the first run's recipe says.
    pub(super) fn camera(&self, runs: &[LoadedRun]) -> anyhow::Result<Option<Camera>> {
        if self.input.is_some() {
            return Ok(None);
        }
        let of_run = || runs.first().map(|run| run.recipe.data.degradation.clone());
        let degradation = self.degrade.clone().or_else(of_run);
        Ok(degradation.map(|degradation| Camera {
            degradation,
            seed: self.seed,
            asked_for: self.degrade.is_some(),
        }))
    }

    pub(super) fn pairs(
        &self,
        camera: Option<&Camera>,
        runs: &[LoadedRun],
    ) -> anyhow::Result<Opened> {
        let learnt = runs.iter().map(|run| Learnt {
            data: &run.recipe.data,
            base: &run.text.base,
        });
        let learnt: Vec<Learnt> = learnt.collect();
        let take = match self.video {
            Some(_) => Take::First(self.limit),
            None => Take::Spread(self.limit),
        };
        let mut opened = match (&self.input, &self.truth) {
            (Some(input), Some(truth)) => {
                let evaluated = PairSet::folders(input, truth, take)?;
                Opened {
                    training: self.beside(&evaluated, camera, take, &learnt)?,
                    evaluated,
                    split: None,
                    problems: Vec::new(),
                    note: None,
                }
            }
            _ => {
                let data = self.data.as_deref().context("give --data")?;
                let opened = PairSet::open(data, camera, take, &learnt)?;
                ensure!(
                    self.degrade.is_none() || opened.evaluated.uses_camera(),
                    "{} holds degraded pictures already, which --degrade leaves as they are: drop the flag, or name \
                     the folder of the sharp ones",
                    data.display()
                );
                opened
            }
        };
        if let Some(note) = &opened.note {
            tell(format_args!("note: {note}"));
        }
        opened = self.usable(opened)?;
        if self.video.is_some() {
            opened.evaluated = opened.evaluated.as_sequence();
        }
        Ok(opened)
    }

    /// Training pictures of --data beside those of --input, which they may hold, too.
    fn beside(
        &self,
        evaluated: &PairSet,
        camera: Option<&Camera>,
        take: Take,
        learnt: &[Learnt],
    ) -> anyhow::Result<Option<PairSet>> {
        let Some(data) = &self.data else {
            return Ok(None);
        };
        std::fs::metadata(data).with_context(|| format!("cannot read {}", data.display()))?;
        match PairSet::open(data, camera, take, learnt) {
            Ok(opened) => Ok(opened.training.map(|set| set.without(evaluated))),
            Err(error) => {
                eprintln!(
                    "note: the unsharp mask is not tuned on --data, which is to hold pairs beside --input: {}",
                    printable(format!("{error:#}"))
                );
                Ok(None)
            }
        }
    }

    /// Architecture of the teacher that made the sharp pictures, if one did.
    pub(super) fn answered_by(&self) -> anyhow::Result<Option<String>> {
        let folder = match (&self.truth, self.data.as_deref()) {
            (Some(truth), _) => truth.parent(),
            (None, Some(data)) if data.is_file() => data.parent(),
            (None, data) => data,
        };
        let answers = Answers::read(folder.unwrap_or(Path::new("")))?;
        Ok(answers.map(|answers| printable(&answers.teacher.architecture).to_string()))
    }

    /// Goes on without what is damaged, and says so.
    fn usable(&self, opened: Opened) -> anyhow::Result<Opened> {
        let (evaluated, mut problems) = opened.evaluated.usable();
        let training = opened.training.map(|set| {
            let (set, damaged) = set.limited(self.tune).usable();
            problems.extend(damaged);
            set
        });
        problems.splice(..0, opened.problems);
        left_out::tell(&problems, evaluated.len())?;
        Ok(Opened {
            evaluated,
            training: training.filter(|set| !set.is_empty()),
            problems,
            ..opened
        })
    }

    /// The unsharp mask, tuned on pictures that are not evaluated where there are any.
    pub(super) fn tuned(
        &self,
        pairs: &PairSet,
        training: Option<PairSet>,
        runs: &[LoadedRun],
        colour: Colour,
    ) -> anyhow::Result<Tuned> {
        let (set, on) = match (training, runs.first()) {
            (Some(training), _) => (training, TunedOn::Training),
            // The recipe's pictures stand for others only where its camera degraded those too.
            (None, Some(run)) if self.degrade.is_none() && pairs.uses_camera() => {
                (self.patches(run)?, TunedOn::Recipe)
            }
            _ => (pairs.clone().limited(self.tune), TunedOn::Evaluated),
        };
        let found = Unsharp::tuned(&set, colour)?;
        Ok(Tuned { found, on })
    }

    /// Patches of the data that a run was trained on.
    pub(super) fn patches(&self, run: &LoadedRun) -> anyhow::Result<PairSet> {
        let source = data::open(&run.recipe.data, &run.text.base)?;
        let pair = |i: u64| {
            let pair = source.patch(self.seed, i, PATCH)?;
            anyhow::Ok(Pair {
                name: i.to_string(),
                input: pair.input,
                truth: pair.truth,
            })
        };
        let count = (PATCHES_OF_A_PICTURE * self.tune) as u64;
        let pairs: Vec<Pair> = (0..count).map(pair).collect::<Result<_, _>>()?;
        Ok(pairs.into())
    }
}

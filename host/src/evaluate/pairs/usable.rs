//! The pairs whose files can be used.

use std::path::Path;

use rayon::iter::Either;
use rayon::prelude::*;

use super::{Item, PairSet};
use crate::data::index::{Problem, whole_factor};
use crate::data::read;

impl PairSet {
    /// The pairs whose pictures are whole and fit each other, and what is wrong with the others.
    pub fn usable(self) -> (Self, Vec<Problem>) {
        let checked = self.items.into_par_iter().map(|item| match fault(&item) {
            None => Either::Left(item),
            Some(problem) => Either::Right(problem),
        });
        let (items, problems) = checked.partition_map(|either| either);
        (Self { items, ..self }, problems)
    }
}

fn fault(item: &Item) -> Option<Problem> {
    let Item::Files { input, truth, .. } = item else {
        return None;
    };
    let size = |path: &Path| {
        read::check(path).map_err(|error| Problem {
            path: path.display().to_string(),
            reason: error.to_string(),
        })
    };
    let sharp = match size(truth) {
        Ok(sharp) => sharp,
        Err(problem) => return Some(problem),
    };
    let input = input.as_deref()?;
    match size(input) {
        Err(problem) => Some(problem),
        Ok(small) if whole_factor(small, sharp).is_none() => Some(Problem {
            path: input.display().to_string(),
            reason: "size does not fit its sharp partner".to_owned(),
        }),
        Ok(_) => None,
    }
}

//! Curves over training, from the logs of runs.

use std::path::PathBuf;

use super::EvalArgs;
use crate::evaluate::labels;
use crate::report::page;
use crate::train::log;
use crate::train::run::LOG;

impl EvalArgs {
    /// PSNR over the epochs of every run named, once each.
    pub(super) fn training(&self) -> anyhow::Result<Vec<page::Curve>> {
        let mut runs: Vec<&PathBuf> = Vec::new();
        for run in self
            .models
            .iter()
            .filter(|path| path.is_dir())
            .chain(&self.run)
        {
            if !runs.contains(&run) {
                runs.push(run);
            }
        }
        let names: Vec<_> = runs.iter().map(|run| labels::of_path(run)).collect();
        let names = labels::distinct(&names, &[]);
        let curve = |(run, name): (&PathBuf, String)| {
            let lines = log::read(&run.join(LOG))?.into_iter();
            let points = lines.map(|line| (line.epoch as f64, line.validation.psnr));
            Ok((name, points.collect()))
        };
        runs.into_iter().zip(names).map(curve).collect()
    }
}

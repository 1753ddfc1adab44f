//! Curves over training, from the logs of runs.

use std::path::PathBuf;

use anyhow::Context;

use super::EvalArgs;
use crate::evaluate::labels;
use crate::report::page;

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
            let path = run.join("log.jsonl");
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let point = |line: &str| {
                let line: LogLine = serde_json::from_str(line)
                    .with_context(|| format!("{} is no log of a training", path.display()))?;
                anyhow::Ok((line.epoch, line.validation.psnr))
            };
            let points = text.lines().map(point).collect::<Result<_, _>>()?;
            Ok((name, points))
        };
        runs.into_iter().zip(names).map(curve).collect()
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

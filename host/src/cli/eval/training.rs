//! Curves over training, from the logs of runs.

use std::path::PathBuf;

use anyhow::Context;

use super::EvalArgs;
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
        let curve = |run: &PathBuf| {
            let path = run.join("log.jsonl");
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let point = |line: &str| {
                let line: LogLine = serde_json::from_str(line)
                    .with_context(|| format!("{} is no log of a training", path.display()))?;
                anyhow::Ok((line.epoch, line.validation.psnr))
            };
            let points = text.lines().map(point).collect::<Result<_, _>>()?;
            let name = run.file_name().unwrap_or_default().to_string_lossy();
            Ok((name.into_owned(), points))
        };
        runs.into_iter().map(curve).collect()
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

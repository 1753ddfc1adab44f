//! The log of a training: one JSON object a line.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::state::Scores;

/// One line of `log.jsonl`, written after each epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochLine {
    /// From 1.
    pub epoch: u64,
    /// Steps of the whole training so far.
    pub step: u64,
    /// Rate of the last step.
    pub learning_rate: f64,
    /// Mean weighted sum.
    pub loss: f64,
    /// Mean of each term, unweighted.
    pub terms: Vec<(String, f64)>,
    /// Scores of the validation pictures.
    pub validation: Scores,
    /// Mean absolute residual on the validation pictures; 0 means that the network does nothing.
    pub residual: f64,
    /// Training patches a second.
    pub images_per_second: f64,
    /// Seconds since the start, pauses left out.
    pub seconds: f64,
    /// Whether this epoch is the best so far.
    pub best: bool,
}

/// `log.jsonl` of a run.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
}

impl Log {
    /// Opens the log and forgets the epochs after `epochs`, which a killed run may have written
    /// without saving their weights.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(path: &Path, epochs: u64) -> Result<Self> {
        let kept: Vec<EpochLine> = match path.exists() {
            true => read(path)?
                .into_iter()
                .filter(|l| l.epoch <= epochs)
                .collect(),
            false => Vec::new(),
        };
        let mut text = String::new();
        for line in &kept {
            text.push_str(&serde_json::to_string(line)?);
            text.push('\n');
        }
        hone_device::atomic::write_bytes(path, text.as_bytes())?;
        Ok(Self {
            path: path.to_path_buf(),
        })
    }

    /// Appends a line.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&self, line: &EpochLine) -> Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        let mut file = OpenOptions::new()
            .append(true)
            .open(&self.path)
            .with_context(failed)?;
        file.write_all(text.as_bytes()).with_context(failed)
    }
}

/// Reads a log; a half-written last line, left by a killed run, is passed over.
///
/// # Errors
/// When the file cannot be read or another line is damaged.
pub fn read(path: &Path) -> Result<Vec<EpochLine>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut lines = Vec::new();
    for (i, line) in text.split_inclusive('\n').enumerate() {
        if !line.ends_with('\n') {
            break;
        }
        let parsed = serde_json::from_str(line)
            .with_context(|| format!("{}, line {} is damaged", path.display(), i + 1))?;
        lines.push(parsed);
    }
    Ok(lines)
}

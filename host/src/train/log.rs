//! The log of a training: one JSON object a line, the same as CSV and as TensorBoard events.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::run::RunFolder;
use super::state::Scores;
use super::tensorboard::EventFile;
use crate::picture::Picture;

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

impl EpochLine {
    /// Names and values, for tables and TensorBoard.
    fn values(&self) -> Vec<(String, f64)> {
        let mut values = vec![("loss/total".to_owned(), self.loss)];
        let terms = self.terms.iter();
        values.extend(terms.map(|(name, value)| (format!("loss/{name}"), *value)));
        let sharp = self.validation.sharp;
        values.extend(sharp.map(|value| ("validation/sharp_psnr".to_owned(), value)));
        let rest = [
            ("validation/psnr", self.validation.psnr),
            ("validation/ssim", self.validation.ssim),
            ("validation/residual", self.residual),
            ("training/learning_rate", self.learning_rate),
            ("training/images_per_second", self.images_per_second),
        ];
        values.extend(rest.map(|(name, value)| (name.to_owned(), value)));
        values
    }
}

/// The logs of a run.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    table: PathBuf,
    lines: Vec<EpochLine>,
    events: EventFile,
}

impl Log {
    /// Opens the logs and forgets the epochs after `epochs`, which a killed run may have written
    /// without saving their weights.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn open(folder: &RunFolder, epochs: u64) -> Result<Self> {
        let path = folder.log();
        let lines: Vec<EpochLine> = match path.exists() {
            true => read(&path)?
                .into_iter()
                .filter(|l| l.epoch <= epochs)
                .collect(),
            false => Vec::new(),
        };
        let mut text = String::new();
        for line in &lines {
            text.push_str(&serde_json::to_string(line)?);
            text.push('\n');
        }
        hone_device::atomic::write_bytes(&path, text.as_bytes())?;
        let step = lines.last().map_or(0, |l| l.step + 1);
        let log = Self {
            path,
            table: folder.table(),
            lines,
            events: EventFile::create(&folder.tensorboard(), step, now())?,
        };
        log.write_table()?;
        Ok(log)
    }

    /// Every epoch so far.
    pub fn lines(&self) -> &[EpochLine] {
        &self.lines
    }

    /// Appends an epoch, with its sample grid if there is one.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn append(&mut self, line: EpochLine, grid: Option<&Picture>) -> Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        let mut file = OpenOptions::new()
            .append(true)
            .open(&self.path)
            .with_context(failed)?;
        file.write_all(text.as_bytes()).with_context(failed)?;
        let (step, time) = (line.step, now());
        self.events.scalars(step, time, &line.values())?;
        if let Some(grid) = grid {
            self.events.image(step, time, "samples", grid)?;
        }
        self.lines.push(line);
        self.write_table()
    }

    fn write_table(&self) -> Result<()> {
        let mut text = String::new();
        for (i, line) in self.lines.iter().enumerate() {
            let values = line.values();
            if i == 0 {
                let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
                let _ = writeln!(text, "epoch,step,seconds,best,{}", names.join(","));
            }
            let numbers: Vec<String> = values.iter().map(|(_, v)| v.to_string()).collect();
            let (epoch, step, seconds) = (line.epoch, line.step, line.seconds);
            let best = u8::from(line.best);
            let _ = writeln!(
                text,
                "{epoch},{step},{seconds},{best},{}",
                numbers.join(",")
            );
        }
        Ok(hone_device::atomic::write_bytes(
            &self.table,
            text.as_bytes(),
        )?)
    }
}

/// Seconds since 1970, for TensorBoard's axis.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |d| d.as_secs_f64())
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

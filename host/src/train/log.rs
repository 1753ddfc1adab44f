//! The log of a training: one JSON object a line, the same as CSV and as TensorBoard events.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
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
    /// Training patches a second; 0 of an epoch that was only closed after a stop.
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
        let text = lines_of(&lines)?;
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

    /// Appends an epoch, with its sample grid if there is one. What is taken away meanwhile is written anew.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn append(&mut self, line: EpochLine, grid: Option<&Picture>) -> Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        match OpenOptions::new().append(true).open(&self.path) {
            Ok(mut file) => file
                .write_all(lines_of([&line])?.as_bytes())
                // The state, which says that this epoch is over, will be on the disk too.
                .and_then(|()| file.sync_data())
                .with_context(failed)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let text = lines_of(self.lines.iter().chain([&line]))?;
                hone_device::atomic::write_bytes(&self.path, text.as_bytes())?;
            }
            Err(error) => return Err(error).with_context(failed),
        }
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

/// As they stand in `log.jsonl`.
fn lines_of<'a>(lines: impl IntoIterator<Item = &'a EpochLine>) -> Result<String> {
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(line)?);
        text.push('\n');
    }
    Ok(text)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::RecipeText;
    use crate::train::run::{RunInputs, RunKind};

    fn line(epoch: u64) -> EpochLine {
        let value = |n: u64| (epoch * 31 + n) as f64 / 7.3;
        EpochLine {
            epoch,
            step: epoch,
            learning_rate: value(1).sqrt(),
            loss: value(2).ln(),
            terms: vec![("l1".into(), value(3).cbrt())],
            validation: Scores {
                psnr: value(4).sin(),
                ssim: value(5).recip(),
                sharp: None,
            },
            residual: value(6) * 1e-9,
            images_per_second: value(7),
            seconds: value(8),
            best: false,
        }
    }

    #[test]
    fn a_log_is_kept_to_the_last_digit_and_outlives_its_file() {
        let at = tempfile::tempdir().unwrap();
        let text = RecipeText::new("r.toml".as_ref(), String::new(), "/".as_ref());
        let inputs = RunInputs::new(RunKind::Student, &text, None);
        let folder = RunFolder::prepare(at.path(), &text, &inputs, false).unwrap();
        let mut log = Log::open(&folder, 0).unwrap();
        let bytes = || [folder.log(), folder.table()].map(|file| std::fs::read(file).unwrap());
        for epoch in 1..200 {
            log.append(line(epoch), None).unwrap();
        }
        let before = bytes();
        drop(Log::open(&folder, 199).unwrap());
        assert!(before == bytes());
        std::fs::remove_file(folder.log()).unwrap();
        log.append(line(200), None).unwrap();
        assert_eq!(read(&folder.log()).unwrap().len(), 200);
    }
}

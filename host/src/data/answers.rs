//! Pairs whose second pictures are what a teacher made of the first: a camera's own frames, of which
//! nobody has sharp ones.
//!
//! ```text
//! DIR/
//!   hone-answers.json   who answered, and what was asked
//!   input/              the frames as they came, in their folders
//!   target/             the teacher's answers, as PNG
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::index::FileRecord;
use super::pool::PoolTeacher;
use crate::recipe::sha256;

const FILE_NAME: &str = "hone-answers.json";
/// Version of the folder's layout.
pub const FORMAT: u32 = 1;

/// `hone-answers.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// Version of this layout.
    pub format: u32,
    /// Who answered.
    pub teacher: PoolTeacher,
    /// The nesting key under which its weights lay in their file.
    pub key: Option<String>,
    /// What it computed in: `f32`, `bf16` or `f16`.
    pub precision: String,
    /// Side of the tiles that it had larger frames in, in pixels.
    pub tile: usize,
    /// SHA-256 over the names and lengths of the frames.
    pub frames_sha256: String,
}

/// SHA-256 over names and lengths of frames.
pub fn frames_sha256(frames: &[FileRecord]) -> String {
    let lines = frames.iter().map(|f| format!("{}\t{}\n", f.bytes, f.path));
    sha256(lines.collect::<String>().as_bytes())
}

impl Answers {
    /// What `folder` says of itself; none where its sharp pictures are no teacher's.
    ///
    /// # Errors
    /// When the file is damaged or of another version.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE_NAME);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let answers: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is damaged or of another version", path.display()))?;
        ensure!(
            answers.format == FORMAT,
            "{} is of another version of hone",
            path.display()
        );
        Ok(Some(answers))
    }

    /// Refuses a `folder` that holds something else.
    ///
    /// # Errors
    /// As said.
    pub fn check_free(&self, folder: &Path) -> Result<()> {
        let Some(there) = Self::read(folder)? else {
            let empty = std::fs::read_dir(folder).map_or(true, |mut d| d.next().is_none());
            ensure!(
                empty,
                "{} is not empty: name a new folder",
                folder.display()
            );
            return Ok(());
        };
        let differs = [
            (
                (&there.teacher, &there.key) != (&self.teacher, &self.key),
                "another teacher",
            ),
            (
                there.frames_sha256 != self.frames_sha256,
                "the teacher about other frames",
            ),
            (
                (&there.precision, there.tile) != (&self.precision, self.tile),
                "the teacher in another precision or other tiles",
            ),
        ];
        if let Some((_, whose)) = differs.into_iter().find(|(differs, _)| *differs) {
            bail!(
                "{} holds the answers of {whose}: choose another folder",
                folder.display()
            );
        }
        Ok(())
    }

    /// Makes `folder` the place of these answers.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn claim(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let json = serde_json::to_vec_pretty(self)?;
        Ok(hone_device::atomic::write_bytes(
            &folder.join(FILE_NAME),
            &json,
        )?)
    }
}

/// Where a frame and its answer lie in a folder of answers. The answer comes last, so that one that is there
/// has its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The frame, with its own ending.
    pub input: PathBuf,
    /// The answer.
    pub target: PathBuf,
}

impl Place {
    /// The places in `folder` of the frame at `path` below its own.
    pub fn of(folder: &Path, path: &str) -> Self {
        Self {
            input: folder.join("input").join(path),
            target: folder.join("target").join(path).with_extension("png"),
        }
    }

    /// Makes the folders of both.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn prepare(&self) -> Result<()> {
        for file in [&self.input, &self.target] {
            let folder = file.parent().unwrap_or(Path::new(""));
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(weights: &str, frames: &[(&str, u64)]) -> Answers {
        let teacher = PoolTeacher {
            architecture: "unet".to_owned(),
            options_sha256: "0".to_owned(),
            weights_sha256: weights.to_owned(),
        };
        let record = |&(path, bytes): &(&str, u64)| FileRecord {
            path: path.to_owned(),
            bytes,
            width: 8,
            height: 8,
            sha256: String::new(),
        };
        let frames: Vec<FileRecord> = frames.iter().map(record).collect();
        Answers {
            format: FORMAT,
            teacher,
            key: None,
            precision: "f32".to_owned(),
            tile: 512,
            frames_sha256: frames_sha256(&frames),
        }
    }

    #[test]
    fn a_folder_keeps_to_its_teacher_and_its_frames() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("pairs");
        let mine = answers("a", &[("1.png", 10)]);
        mine.check_free(&folder).unwrap();
        assert_eq!(Answers::read(&folder).unwrap(), None);
        mine.claim(&folder).unwrap();
        mine.check_free(&folder).unwrap();
        assert_eq!(Answers::read(&folder).unwrap(), Some(mine.clone()));
        let tiled = Answers {
            tile: 64,
            ..mine.clone()
        };
        let nested = Answers {
            key: Some("params_ema".to_owned()),
            ..mine.clone()
        };
        for (other, whose) in [
            (nested, "of another teacher"),
            (answers("b", &[("1.png", 10)]), "of another teacher"),
            (answers("a", &[("1.png", 11)]), "about other frames"),
            (tiled, "other tiles"),
        ] {
            let error = other.check_free(&folder).unwrap_err().to_string();
            assert!(error.contains(whose), "{error}");
        }
        let error = mine.check_free(base.path()).unwrap_err().to_string();
        assert!(error.contains("is not empty"), "{error}");
        std::fs::write(folder.join(FILE_NAME), "{").unwrap();
        assert!(mine.check_free(&folder).is_err());
    }
}

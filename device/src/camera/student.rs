//! From a bundle or an ONNX file to the ladder of engines.

use std::path::{Path, PathBuf};

use hone_shared::bundle::{Bundle, Policy};
use hone_shared::student::Precision;

use super::sharpener::Level;
use crate::engine::{self, EngineError, EngineOptions};
use crate::shipped;
use crate::slots::{Begun, SlotsError};
use crate::trust::{self, TrustError};

/// Where the student comes from.
#[derive(Debug)]
pub enum Source {
    /// A `.hone` bundle with one or more students.
    Bundle {
        /// The file.
        path: PathBuf,
        /// Whose bundles are taken.
        policy: Policy,
    },
    /// An installed bundle, already checked.
    Slot(Box<Begun>),
    /// The bundle that comes with the program.
    Shipped,
    /// One student as ONNX.
    Model(PathBuf),
    /// What is installed cannot be used.
    Lost(SlotsError),
}

impl Source {
    /// Name and release of the bundle, or the file's name.
    pub fn title(&self) -> String {
        let of = |bundle: &Bundle| {
            let manifest = bundle.manifest();
            format!("{} {}", manifest.name, manifest.release)
        };
        let named = |path: &Path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        match self {
            Self::Bundle { path, policy } => {
                trust::open(path, policy).map_or_else(|_| named(path), |bundle| of(&bundle))
            }
            Self::Slot(begun) => of(&begun.bundle),
            Self::Shipped => shipped::bundle().map_or_else(|_| String::new(), |bundle| of(&bundle)),
            Self::Model(path) => named(path),
            Self::Lost(_) => String::new(),
        }
    }
}

/// Which of a bundle's students to load, and how to run them.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Name of the only level wanted; `None` loads the whole ladder.
    pub level: Option<String>,
    /// Of a ladder, load the largest only.
    pub largest: bool,
    /// Number format wanted; `None` takes the faster one.
    pub precision: Option<Precision>,
    /// Worker threads, 0 for one on each core.
    pub threads: usize,
    /// Keep each worker to one core.
    pub pin: bool,
}

/// A student that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum StudentError {
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
    /// A student of the file does not load.
    #[error("{}: {reason}", path.display())]
    Engine {
        /// The file.
        path: PathBuf,
        /// The engine's words.
        reason: EngineError,
    },
    /// The levels do not make one ladder.
    #[error(transparent)]
    Ladder(#[from] EngineError),
    /// The file is no bundle that this program reads, or of someone who is not trusted.
    #[error(transparent)]
    Bundle(#[from] TrustError),
    /// No slot can be used.
    #[error("no installed bundle can be used: {0}")]
    Slot(String),
    /// The bundle lacks the student that is wanted.
    #[error("{}: {reason}", path.display())]
    Choice {
        /// The file.
        path: PathBuf,
        /// What it has instead.
        reason: String,
    },
}

/// Loads the students of `source`, largest first.
///
/// # Errors
/// [`StudentError`], always with the file named.
pub fn load(source: &Source, choice: &Choice) -> Result<Vec<Level>, StudentError> {
    let options = EngineOptions {
        threads: choice.threads,
        pin: choice.pin,
        measure: true,
        ..EngineOptions::default()
    };
    match source {
        Source::Lost(reason) => Err(StudentError::Slot(reason.to_string())),
        Source::Model(path) => {
            let bytes = read(path)?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            Ok(vec![level(path, &name, &bytes, options)?])
        }
        Source::Bundle { path, policy } => {
            levels(path, &trust::open(path, policy)?, choice, options)
        }
        Source::Slot(begun) => {
            let path = PathBuf::from(begun.slot.bundle_path());
            levels(&path, &begun.bundle, choice, options)
        }
        Source::Shipped => {
            let path = shipped::name();
            let bundle = shipped::bundle().map_err(|reason| TrustError::Refused {
                path: path.to_owned(),
                reason,
            })?;
            levels(path, &bundle, choice, options)
        }
    }
}

fn levels(
    path: &Path,
    bundle: &Bundle,
    choice: &Choice,
    options: EngineOptions,
) -> Result<Vec<Level>, StudentError> {
    let level_wanted = choice.level.as_deref();
    bundle
        .ladder(level_wanted, choice.precision, engine::is_fused)
        .map_err(|reason| StudentError::Choice {
            path: path.to_owned(),
            reason,
        })?
        .into_iter()
        .take(if choice.largest { 1 } else { usize::MAX })
        .map(|entry| level(path, &entry.name, bundle.model_bytes(entry), options))
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>, StudentError> {
    std::fs::read(path).map_err(|reason| StudentError::Read {
        path: path.to_owned(),
        reason,
    })
}

fn level(
    path: &Path,
    name: &str,
    model: &[u8],
    options: EngineOptions,
) -> Result<Level, StudentError> {
    let engine = engine::load(model, options).map_err(|reason| StudentError::Engine {
        path: path.to_owned(),
        reason,
    })?;
    Ok(Level {
        name: name.to_owned(),
        engine,
    })
}

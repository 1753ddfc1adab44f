//! Weights of other people: files of Python's `torch.save` (zip and pre-1.6) and safetensors, read
//! without Python and without executing anything.
//!
//! ```text
//! bytes -> zip | legacy -> pickle (restricted) -> nest (which dictionary) -> tensor (views) -> Entry
//! ```
//! Nothing of torch is needed here: the reader is plain Rust, so that it can be fuzzed alone.

mod error;
mod legacy;
mod nest;
mod pickle;
mod tensor;
mod zip;

use std::path::Path;

pub use error::CheckpointError;
pub use tensor::{Element, Entry};

type Result<T> = std::result::Result<T, CheckpointError>;

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `torch.save` since 1.6.
    Zip,
    /// `torch.save` before 1.6.
    Legacy,
    /// safetensors.
    Safetensors,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Zip => "torch.save (zip)",
            Self::Legacy => "torch.save (before PyTorch 1.6)",
            Self::Safetensors => "safetensors",
        })
    }
}

/// A file's weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The layout it was read from.
    pub format: Format,
    /// The nesting key under which the weights were, if they were nested.
    pub key: Option<String>,
    /// The tensors in the file's order, `module.` prefixes removed.
    pub entries: Vec<Entry>,
}

/// Reads the file at `path`; see [`parse`].
///
/// # Errors
/// As [`parse`], and when the file cannot be read; the file is named.
pub fn read(path: &Path, key: Option<&str>) -> Result<Checkpoint> {
    let named = |reason| CheckpointError::In {
        path: path.to_owned(),
        reason: Box::new(reason),
    };
    let bytes = std::fs::read(path).map_err(|e| named(CheckpointError::Io(e)))?;
    parse(&bytes, key).map_err(named)
}

/// Reads a checkpoint from memory. `key` is the nesting key; without one it is found: `params_ema`,
/// `params`, `state_dict`, or none.
///
/// # Errors
/// When the bytes are no checkpoint, damaged, need anything but plain tensors, claim more than they
/// hold, or have no weights under `key`.
pub fn parse(bytes: &[u8], key: Option<&str>) -> Result<Checkpoint> {
    // First, because a safetensors file starts with a length that may look like any other magic.
    if bytes.get(8) == Some(&b'{') {
        if let Some(key) = key {
            return Err(CheckpointError::NoKey {
                key: key.to_owned(),
                found: "tensors only".to_owned(),
            });
        }
        let entries = tensor::from_safetensors(bytes)?;
        return Ok(Checkpoint {
            format: Format::Safetensors,
            key: None,
            entries,
        });
    }
    if bytes.starts_with(b"PK") {
        let (graph, storages) = zip::read(bytes)?;
        return nest::collect(&graph, &storages, key, Format::Zip, bytes.len());
    }
    if bytes.first() == Some(&0x80) {
        let (graph, storages) = legacy::read(bytes)?;
        return nest::collect(&graph, &storages, key, Format::Legacy, bytes.len());
    }
    Err(CheckpointError::NoCheckpoint)
}

#[cfg(test)]
mod tests;

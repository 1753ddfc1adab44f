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

use std::io::Read;
use std::path::Path;

pub use error::CheckpointError;
pub use tensor::{Element, Entry};

/// Largest file that is read; published restoration networks have below 1 GB.
const MAX_FILE: u64 = 8 << 30;

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
    /// The tensors in the file's order, those of a safetensors file sorted by name; `module.` prefixes removed.
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
    let bytes = read_bytes(path).map_err(named)?;
    parse(&bytes, key).map_err(named)
}

/// The file's bytes, if its beginning is a checkpoint's and its size not beyond [`MAX_FILE`].
fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let mut file = std::fs::File::open(path).map_err(CheckpointError::Io)?;
    let length = file.metadata().map_err(CheckpointError::Io)?.len();
    let mut bytes = Vec::new();
    file.by_ref()
        .take(16)
        .read_to_end(&mut bytes)
        .map_err(CheckpointError::Io)?;
    layout(&bytes)?;
    if length > MAX_FILE {
        return Err(CheckpointError::TooLarge(format!(
            "it has {length} bytes, and no network's weights are that large"
        )));
    }
    file.read_to_end(&mut bytes).map_err(CheckpointError::Io)?;
    Ok(bytes)
}

/// Which layout a file has, told from its first bytes.
fn layout(bytes: &[u8]) -> Result<Format> {
    // First, because a safetensors file starts with a length that may look like any other magic.
    if bytes.get(8) == Some(&b'{') {
        Ok(Format::Safetensors)
    } else if bytes.starts_with(b"PK") {
        Ok(Format::Zip)
    } else if bytes.first() == Some(&0x80) {
        Ok(Format::Legacy)
    } else {
        Err(CheckpointError::NoCheckpoint)
    }
}

/// Reads a checkpoint from memory. `key` is the nesting key; without one it is found: `params_ema`,
/// `params`, `state_dict` and the like, or none.
///
/// # Errors
/// When the bytes are no checkpoint, damaged, need anything but plain tensors, claim more than they
/// hold, or have no weights under `key`.
pub fn parse(bytes: &[u8], key: Option<&str>) -> Result<Checkpoint> {
    let format = layout(bytes)?;
    let (graph, storages) = match format {
        Format::Zip => zip::read(bytes)?,
        Format::Legacy => legacy::read(bytes)?,
        Format::Safetensors => {
            if let Some(key) = key {
                return Err(CheckpointError::NoKey {
                    key: key.to_owned(),
                    found: "tensors only".to_owned(),
                });
            }
            return Ok(Checkpoint {
                format,
                key: None,
                entries: tensor::from_safetensors(bytes)?,
            });
        }
    };
    nest::collect(&graph, &storages, key, format, bytes.len())
}

#[cfg(test)]
mod tests;

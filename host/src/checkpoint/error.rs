//! Why a checkpoint was not read. The message is what the user sees.

use std::path::PathBuf;

/// See the variants.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file itself.
    #[error("cannot read it: {0}")]
    Io(std::io::Error),
    /// Wraps the reason with the file.
    #[error("{}: {reason}", path.display())]
    In {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: Box<CheckpointError>,
    },
    /// Wrong magic bytes.
    #[error("this is no checkpoint: neither a torch.save file nor safetensors")]
    NoCheckpoint,
    /// Cut off or altered.
    #[error("the checkpoint is damaged: {0}")]
    Damaged(String),
    /// Something that plain weights do not need.
    #[error(
        "refused: {0}; nothing of the file was executed. Only plain tensors are read: save the state_dict alone"
    )]
    Refused(String),
    /// Claims beyond the file's size.
    #[error("refused: {0}")]
    TooLarge(String),
    /// The asked-for dictionary is not there.
    #[error("no weights under '{key}': the file has {found}")]
    NoKey {
        /// What was asked for.
        key: String,
        /// What is there.
        found: String,
    },
    /// No dictionary of tensors.
    #[error("no weights found: the file has {0}; name the right entry with --key")]
    NoWeights(String),
}

impl CheckpointError {
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}

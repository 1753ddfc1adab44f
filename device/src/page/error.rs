//! Why there is no page.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A page that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The address is taken, or of another machine.
    #[error("the page cannot listen on {address}: {reason}")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// The system's words.
        reason: io::Error,
    },
    /// Other machines could come, and what protects the board is missing.
    #[error("the page is not served to other machines on {address} {lacks}")]
    Unprotected {
        /// Where it was to listen.
        address: SocketAddr,
        /// What is missing, and what to do.
        lacks: String,
    },
    /// A file of the page cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system gives no thread, timer or random number.
    #[error("the page cannot be served: {0}")]
    System(io::Error),
}

impl PageError {
    /// `reason` about the file at `path`.
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(&dyn std::fmt::Display) -> Self {
        let path = path.into();
        move |reason| Self::File {
            path,
            reason: reason.to_string(),
        }
    }
}

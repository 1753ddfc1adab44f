//! Tells how the board does, once a second, to whoever listens: a serial line, an MQTT broker, the
//! page's clients.
//!
//! ```text
//!  look at the board -> Message -> frame -> Feed --+--> Inbox -> serial line
//!  thread "telemetry", once a second               +--> Inbox -> MQTT broker
//!                                                  +--> Inbox -> GET /api/v1/telemetry
//! ```
//!
//! The frame path knows nothing of it. Each carrier has a thread and an [`Inbox`] of its own: one that
//! is stuck costs the others nothing, the newest messages win, and what it missed is counted.

mod carrier;
mod feed;
#[cfg(feature = "camera")]
mod look;
pub mod mqtt;
mod reporter;
mod serial;
#[cfg(test)]
mod tests;
pub mod tls;

use std::path::PathBuf;

pub use carrier::{Carry, carry};
pub use feed::{Feed, Inbox};
#[cfg(feature = "camera")]
pub use look::state_of;
pub use reporter::{Reporter, Settings, check, start_carrier};
pub use serial::{SerialLine, open_line};

/// Why telemetry does not go out.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A serial line cannot be used.
    #[error("serial line {path}: {reason}")]
    Serial {
        /// The device.
        path: String,
        /// The system's words.
        reason: std::io::Error,
    },
    /// There is no connection to a broker.
    #[error("broker {broker}: {reason}")]
    Broker {
        /// The broker, without the password.
        broker: String,
        /// What went wrong.
        reason: String,
    },
    /// The certificates of authorities cannot be used.
    #[error("{}: {reason}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system lacks what TLS or a thread needs.
    #[error("telemetry cannot start: {0}")]
    System(String),
}

//! What boards tell the workstation about themselves, once a second.
//!
//! ```text
//!  honed                                                              hone monitor
//!  BoardState -> Message -> postcard + CRC-32 -> COBS, 0x00 ---+----> Decoder -> Message
//!                           ^ one frame, 1 KiB at most         |
//!                              HTTP stream, serial line, MQTT -+
//! ```
//!
//! A frame begins with the format's version. Whatever a later version adds goes to the end of
//! [`BoardState`], where readers of this one do not look; a change to what is here already takes a new
//! version, which readers of this one refuse by name.

mod address;
mod fingerprint;
mod frame;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use address::{AddressError, BrokerAddress, Carrier, SerialAddress, host_and_port, joined};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use frame::{Decoder, FrameError, MAX_FRAME, encode};

/// Version of the format that this crate writes and reads.
pub const VERSION: u8 = 1;

/// Most characters of a board's name, so that its topic and its column stay within bounds.
pub const MAX_NAME: usize = 64;

/// What a board sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Name of the board, its host name unless its configuration says otherwise.
    pub board: String,
    /// Drawn when `honed` starts: another number means that it was started again.
    pub run: u64,
    /// Counts the messages of a run from 0, those that were lost among them.
    pub sequence: u64,
    /// How it does.
    pub state: BoardState,
}

/// How a board does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoardState {
    /// The board's model, as its device tree says, or its host name.
    pub model: String,
    /// Version of `honed`.
    pub version: String,
    /// Name and release of the bundle that runs, or the name of the file, of a single student or one that cannot be read;
    /// empty where the installed bundle is lost.
    pub bundle: String,
    /// Name of the ladder's level in use, such as `small`.
    pub level: String,
    /// What happens to frames.
    pub phase: Phase,
    /// Whether the governor does less than the bundle's largest student on every frame.
    pub degraded: bool,
    /// Frames out for each second, over the last seconds.
    pub fps: f32,
    /// Milliseconds from capture to delivery, which half of the last seconds' frames were below.
    pub age_p50_ms: f32,
    /// Milliseconds which all but one in a hundred of them were below.
    pub age_p99_ms: f32,
    /// Milliseconds that the student took for a frame, the median.
    pub engine_ms: f32,
    /// Degrees Celsius, where the board says so.
    pub celsius: Option<f32>,
    /// Whether the board throttles itself.
    pub throttled: bool,
    /// Frames that went to the outputs since `honed` started.
    pub frames: u64,
    /// Frames lost on the way because a newer one was there.
    pub dropped: u64,
    /// Frames shown in place of ones that the camera did not deliver.
    pub slates: u64,
    /// Frames that the engine refused; they passed as they came.
    pub failed: u64,
    /// Times that the camera was lost.
    pub reconnects: u64,
    /// Seconds since `honed` started.
    pub uptime_s: u64,
    /// Messages like this one that could not be sent in time and were given up.
    pub unsent: u64,
    /// The newest event of the run in one line, such as why there is no camera.
    pub notice: String,
}

/// What happens to the frames of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// None has come yet.
    Starting,
    /// They are sharpened.
    Live,
    /// They pass as they came: by a person's wish, for heat or load, or for want of a student.
    Untouched,
    /// The camera is away; a slate stands in.
    Dark,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Live => "live",
            Self::Untouched => "untouched",
            Self::Dark => "dark",
        })
    }
}

//! What a session is told to do, and what it tells.

use std::sync::Arc;
use std::time::Duration;

use gstreamer as gst;

use crate::slots::Tally;
use crate::state::BoardState;

/// What a session is to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The source as the user named it.
    pub source: String,
    /// Ends after so many frames.
    pub frames: Option<u64>,
    /// Whether a source that fails or ends is opened again.
    pub comes_back: bool,
    /// Whether nobody looks at a terminal: the run goes on though no output can take its frames.
    pub service: bool,
    /// Whether a source that was never there is waited for.
    pub keep_trying: bool,
    /// Whether a file starts again at its end.
    pub looping: bool,
    /// A live source without a frame for so long counts as failed.
    pub stall: Duration,
    /// What the slate looks like when no frame ever came.
    pub fallback: gst::Caps,
    /// Counts frames for a trial.
    pub tally: Option<Arc<Tally>>,
    /// Hears what the session measures, for whoever looks.
    pub board: Option<Arc<BoardState>>,
    /// Frame rate that the governor holds; `None` leaves the ladder alone.
    pub governed_fps: Option<f64>,
    /// Time between two [`Event::Status`]; `None` for none.
    pub status_every: Option<Duration>,
}

/// What happens in a session, for the log and the status LED.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first frame of a live source, or the first after an outage.
    Live,
    /// The first frame of a source that does not come by the clock, such as a film.
    Begun,
    /// The camera is away; a slate stands in.
    Dark(String),
    /// An output failed: whether it is started again, and why.
    OutputFailed(String),
    /// An output works again.
    OutputBack(String),
    /// The governor changed what is done for each frame.
    Governed {
        /// From what to what, and why.
        reason: String,
        /// Whether this is less than the bundle's largest student on every frame.
        degraded: bool,
    },
    /// Pictures are missing, or cannot be decoded whole.
    Damaged(String),
    /// How the run does, now and then, and what a person should know of an output.
    Status(String),
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Live => f.write_str("live"),
            Self::Begun => f.write_str("frames flow"),
            Self::Dark(reason) => write!(f, "no camera, trying again: {reason}"),
            Self::OutputFailed(reason) => write!(f, "output lost, {reason}"),
            Self::OutputBack(name) => write!(f, "output back: {name}"),
            Self::Governed { reason, .. } => write!(f, "governor: {reason}"),
            Self::Damaged(reason) => write!(f, "warning: {reason}"),
            Self::Status(line) => f.write_str(line),
        }
    }
}

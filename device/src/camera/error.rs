//! What can go wrong between a camera and an output.

use std::path::PathBuf;

use crate::engine::EngineError;

/// The message is the documentation: one sentence that says what failed, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// GStreamer itself does not start.
    #[error("GStreamer does not start: {0}")]
    Gstreamer(String),
    /// An element is not installed.
    #[error("GStreamer has no element '{element}': {advice}")]
    MissingElement {
        /// Name of the element's factory.
        element: String,
        /// How to get it.
        advice: String,
    },
    /// Nothing installed decodes the source.
    #[error("nothing installed decodes {what} of {source_name}: install {package}")]
    MissingDecoder {
        /// The source as the user named it.
        source_name: String,
        /// What the stream is, in GStreamer's words.
        what: String,
        /// Debian package.
        package: &'static str,
    },
    /// The description of a source is wrong.
    #[error("'{given}' is no source: {reason}")]
    SourceSpec {
        /// The text given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The description of a sink is wrong.
    #[error("'{given}' is no sink: {reason}")]
    SinkSpec {
        /// The text given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A source's file, folder or device is not there or cannot be read.
    #[error("cannot open the source {}: {reason}", path.display())]
    SourceMissing {
        /// Where it should be.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// A file ends before its own headers say that it should.
    #[error("{} is truncated: {reason}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A source delivers no frame at all.
    #[error("{source_name} holds no picture: {reason}")]
    NoFrame {
        /// The source as the user named it.
        source_name: String,
        /// What happened instead.
        reason: String,
    },
    /// A source fails while it runs.
    #[error("the source {source_name} failed: {reason}")]
    Source {
        /// The source as the user named it.
        source_name: String,
        /// GStreamer's words, with the element that said them.
        reason: String,
    },
    /// A sink's path cannot be written.
    #[error("cannot write {}: {reason}", path.display())]
    SinkPath {
        /// The output's final path.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// A sink's path is written by another process.
    #[error("cannot write {}: another honed writes it: end that one, or give another name", .0.display())]
    SinkHeld(PathBuf),
    /// A sink fails while it runs.
    #[error("the sink {sink} failed: {reason}")]
    Sink {
        /// The sink as the user named it.
        sink: String,
        /// GStreamer's words, with the element that said them.
        reason: String,
    },
    /// A sink never takes frames of this shape: trying again does not help.
    #[error("the sink {sink} does not take these frames: {reason}")]
    Unfit {
        /// The sink as the user named it.
        sink: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A frame comes in a layout that this pipeline does not handle.
    #[error("a frame of {0} cannot be sharpened: use GRAY8, RGB, NV12, I420 or YUY2")]
    Format(String),
    /// The student does not run.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl CameraError {
    /// A sink's error with what became of what it had written.
    pub(super) fn with_outcome(mut self, outcome: Option<&str>) -> Self {
        if let (Self::SinkPath { reason, .. } | Self::Sink { reason, .. }, Some(outcome)) =
            (&mut self, outcome)
        {
            reason.push_str("; ");
            reason.push_str(outcome);
        }
        self
    }
}

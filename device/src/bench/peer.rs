//! ONNX Runtime in a Python process, timed by itself, one block of runs at a time.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What the process runs.
const SCRIPT: &str = include_str!("peer.py");

/// What went wrong with the peer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The Python program does not start.
    #[error("cannot start {python}: {error}")]
    Start {
        /// As given.
        python: String,
        /// The system's reason.
        error: std::io::Error,
    },
    /// It ended or answered something else; its own message is on the terminal.
    #[error("ONNX Runtime stopped: {0}")]
    Stopped(String),
}

/// ONNX Runtime with one session, waiting for its turns.
pub struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Loads `model` in `python`, which must have numpy and onnxruntime, for frames of
    /// `width` x `height` pixels on `threads` threads.
    ///
    /// # Errors
    /// [`PeerError`] when Python does not start or ONNX Runtime cannot load the model.
    pub fn start(
        python: &Path,
        model: &Path,
        (width, height): (usize, usize),
        threads: usize,
    ) -> Result<Self, PeerError> {
        let numbers = [width, height, threads].map(|n| n.to_string());
        let mut child = Command::new(python)
            .args([OsStr::new("-c"), OsStr::new(SCRIPT), model.as_os_str()])
            .args(numbers)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| PeerError::Start {
                python: python.display().to_string(),
                error,
            })?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(PeerError::Stopped("it has no pipes".into()));
        };
        let mut peer = Self {
            child,
            input,
            output: BufReader::new(output),
        };
        match peer.line()?.as_str() {
            "ready" => Ok(peer),
            other => Err(PeerError::Stopped(format!("it said '{other}'"))),
        }
    }

    fn line(&mut self) -> Result<String, PeerError> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(0) => Err(PeerError::Stopped("see its message above".into())),
            Ok(_) => Ok(line.trim().into()),
            Err(error) => Err(PeerError::Stopped(error.to_string())),
        }
    }

    /// Milliseconds of each of `count` runs, after one that is not counted.
    ///
    /// # Errors
    /// [`PeerError::Stopped`] when the process ended.
    pub fn run(&mut self, count: usize) -> Result<Vec<f64>, PeerError> {
        let asked = writeln!(self.input, "{count}").and_then(|()| self.input.flush());
        asked.map_err(|e| PeerError::Stopped(e.to_string()))?;
        let line = self.line()?;
        let times: Result<Vec<f64>, _> = line.split(' ').map(str::parse).collect();
        times.map_err(|_| PeerError::Stopped(format!("it said '{line}'")))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself already; either way nothing is left to do about it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

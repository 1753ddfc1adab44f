//! The installed program that decodes and encodes videos.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

use crate::data::clips::damage;

/// The program that decodes and encodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Ffmpeg,
    GStreamer,
}

impl Codec {
    fn program(self) -> &'static str {
        match self {
            Self::Ffmpeg => "ffmpeg",
            Self::GStreamer => "gst-launch-1.0",
        }
    }

    /// The one that is installed.
    ///
    /// # Errors
    /// When none is.
    pub fn find() -> anyhow::Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        [Self::Ffmpeg, Self::GStreamer]
            .into_iter()
            .find(|codec| std::env::split_paths(&path).any(|p| p.join(codec.program()).is_file()))
            .context(
                "videos need ffmpeg or gst-launch-1.0, and neither is in PATH: \
                 install ffmpeg, or gstreamer1.0-tools with the good, ugly and libav plugins",
            )
    }
}

/// A child process whose complaints are kept for the error message.
pub(super) struct Tool {
    pub child: Child,
    complaints: std::fs::File,
    codec: Codec,
    pub file: PathBuf,
}

impl Tool {
    /// Starts it with pipes at both ends; `file` is named in errors.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(codec: Codec, arguments: Vec<OsString>, file: &Path) -> anyhow::Result<Self> {
        let complaints = tempfile::tempfile().context("cannot create a temporary file")?;
        let mut command = Command::new(codec.program());
        damage::listen(&mut command);
        let child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints.try_clone()?)
            // Ctrl-C is for hone alone: at the other end of a pipe it would look like the end of the video.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", codec.program()))?;
        Ok(Self {
            child,
            complaints,
            codec,
            file: file.to_owned(),
        })
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// The program's own first complaint.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        let status = self.child.wait()?;
        if status.success() {
            return Ok(());
        }
        let complaint = self.complaint();
        bail!(
            "{} cannot handle {}: {}",
            self.codec.program(),
            self.file.display(),
            complaint
        )
    }

    /// Why its output cannot be read: `what` and `error`, or the program's own complaint where the output
    /// ended too early.
    pub fn failure(&mut self, error: io::Error, what: String) -> anyhow::Error {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            if let Err(complaint) = self.finish() {
                return complaint;
            }
        } else {
            // It may have more to say than the pipe holds, and nobody reads it any more: waiting for its
            // end would be for ever.
            let _ = self.child.kill();
        }
        anyhow::Error::new(error).context(what)
    }

    /// What a decoder complained of until now although it went on.
    pub fn damage(&self) -> Option<String> {
        let said = self.said().ok()?;
        let lines = said.lines();
        match self.codec {
            // Told to say nothing but errors.
            Codec::Ffmpeg => damage::told(lines.map(str::trim).filter(|line| !line.is_empty())),
            Codec::GStreamer => damage::told(lines.filter_map(damage::complaint)),
        }
    }

    fn complaint(&self) -> String {
        let Ok(text) = self.said() else {
            return "it says nothing that can be read".into();
        };
        let fatal = |line: &&str| line.starts_with("ERROR:");
        let telling = |line: &&str| line.contains("rror") || line.contains("nvalid");
        let line = text.lines().find(fatal);
        let line = line.or_else(|| text.lines().find(telling));
        let line = line.or_else(|| text.lines().next());
        line.unwrap_or("it gave no reason").trim().to_owned()
    }

    /// What it said until now. It shares the place in the file, and may still be writing: that is not moved.
    fn said(&self) -> io::Result<String> {
        let length = usize::try_from(self.complaints.metadata()?.len());
        let mut bytes = vec![0; length.unwrap_or(0)];
        self.complaints.read_exact_at(&mut bytes, 0)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // Already gone after `finish`; else nothing reads or writes its pipe any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Outputs that go down, each on a thread of its own: one that hangs with its disk or its peer holds up nobody.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use gstreamer as gst;

use crate::camera::error::CameraError;
use crate::camera::output::Output;
use crate::camera::session::clock_time;

/// How long an output may take to go down. One that takes longer is told without what became of its recording, and what a run
/// ends with does not wait for it.
pub(super) const STOPS: Duration = Duration::from_secs(2);
const STUCK: &str = "its sink does not stop";

/// An output that failed and goes down.
pub(super) struct Fall {
    /// Why, until that is told.
    error: Option<CameraError>,
    /// What became of what it had recorded.
    answer: Receiver<Option<String>>,
    /// When it is told at the latest.
    until: gst::ClockTime,
}

/// What is new of an output that goes down.
pub(super) struct Landed {
    /// Why it failed, with what became of what it had recorded.
    pub(super) error: Option<CameraError>,
    /// The latter alone, when the error was told before.
    pub(super) outcome: Option<String>,
    /// Whether it is gone.
    pub(super) stopped: bool,
}

impl Fall {
    /// Stops `output`, which failed with `error`.
    pub(super) fn begin(output: Box<dyn Output>, error: CameraError, now: gst::ClockTime) -> Self {
        Self {
            error: Some(error),
            answer: settling(output),
            until: now + clock_time(STOPS),
        }
    }

    /// What there is to tell at `now`.
    pub(super) fn look(&mut self, now: gst::ClockTime) -> Option<Landed> {
        let (stopped, outcome) = match self.answer.try_recv() {
            Ok(outcome) => (true, outcome),
            Err(TryRecvError::Disconnected) => (true, None),
            Err(TryRecvError::Empty) if now < self.until || self.error.is_none() => return None,
            Err(TryRecvError::Empty) => (false, Some(STUCK.into())),
        };
        let error = self.error.take();
        let (error, outcome) = match error {
            Some(error) => (Some(error.with_outcome(outcome.as_deref())), None),
            None => (None, outcome),
        };
        Some(Landed {
            error,
            outcome,
            stopped,
        })
    }

    /// Waits for it until then; why it failed, unless that was told.
    pub(super) fn wait(self, until: Instant) -> Option<CameraError> {
        let outcome = wait(&self.answer, until);
        let error = self.error?;
        Some(error.with_outcome(outcome.as_deref()))
    }

    pub(super) fn into_answer(self) -> Receiver<Option<String>> {
        self.answer
    }
}

/// What became of an output that goes down, as far as that is known at `until`.
pub(super) fn wait(answer: &Receiver<Option<String>>, until: Instant) -> Option<String> {
    match answer.recv_timeout(until.saturating_duration_since(Instant::now())) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => Some(STUCK.into()),
        Err(RecvTimeoutError::Disconnected) => None,
    }
}

/// Stops `output` on a thread of its own; the answer comes when its place is free.
pub(super) fn settling(mut output: Box<dyn Output>) -> Receiver<Option<String>> {
    let (send, answer) = channel();
    let work = move || {
        let outcome = output.settle();
        drop(output);
        // Nobody waits for one that took too long.
        let _ = send.send(outcome);
    };
    // Without a thread it is dropped, and stops, here.
    let _ = thread::Builder::new().name("output".into()).spawn(work);
    answer
}

//! One output's place in a session: the output is there, being started, going down, or away until the next attempt. Starting
//! and stopping one may take as long as a disk or a peer does, so threads of their own do it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::thread;
use std::time::Instant;

use gstreamer as gst;

use super::fall::{Fall, settling};
use super::stall::Stall;
use crate::backoff::Backoff;
use crate::camera::error::CameraError;
use crate::camera::feed::Frame;
use crate::camera::output::{Output, OutputStats};
use crate::camera::session::plan::Event;
use crate::camera::session::{OpenOutput, SETTLED, clock_time};

pub(super) type Opened = Result<Box<dyn Output>, CameraError>;

pub(super) enum State {
    Up(Box<dyn Output>),
    Starting(Receiver<Opened>),
    Falling(Fall),
    Down { retry_at: gst::ClockTime },
}

/// An output of a session, being there or not.
pub struct Slot {
    pub(super) name: String,
    pub(super) state: State,
    backoff: Backoff,
    /// Frames taken since its last start.
    taken: u64,
    pub(super) lost: OutputStats,
    pub(super) restarts: u64,
    /// Why it failed last.
    pub(super) failure: Option<CameraError>,
    /// The shape of frames that it never takes; it is started again when frames have another.
    unfit: Option<gst::Caps>,
    /// Told to be away, and not yet seen to take a frame.
    returning: bool,
    stall: Stall,
}

impl Slot {
    /// An output that is there.
    pub fn up(output: Box<dyn Output>) -> Self {
        Self::new(output.name().to_owned(), State::Up(output))
    }

    pub(super) fn new(name: String, state: State) -> Self {
        Self {
            name,
            state,
            backoff: Backoff::default(),
            taken: 0,
            lost: OutputStats::default(),
            restarts: 0,
            failure: None,
            unfit: None,
            returning: false,
            stall: Stall::default(),
        }
    }

    pub(super) fn starting(name: String, index: usize, open: &Arc<OpenOutput>) -> Self {
        Self::new(name, State::Starting(start(index, open)))
    }

    /// Whether the answer of the thread that starts it comes before `until`.
    pub(super) fn wait(&mut self, until: Instant) -> Option<Opened> {
        let State::Starting(answer) = &self.state else {
            return None;
        };
        match answer.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(opened) => Some(opened),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(no_thread())),
        }
    }

    /// It is away from the beginning, for this reason.
    pub(super) fn away(&mut self, error: CameraError) {
        self.failure = Some(error);
        self.returning = true;
    }

    /// What is to be told of one that is away from the beginning.
    pub fn absent(&self) -> Option<Event> {
        let error = self.failure.as_ref()?;
        Some(Event::OutputFailed(format!("trying again: {error}")))
    }

    /// Whether it will not take frames like the last ones.
    pub(super) fn is_useless(&self) -> bool {
        self.unfit.is_some() && matches!(self.state, State::Falling(_) | State::Down { .. })
    }

    /// Takes up what its threads have done by `now`; why it went down, if it just did.
    pub(super) fn look(
        &mut self,
        now: gst::ClockTime,
        tell: &mut dyn FnMut(&Event),
    ) -> Option<CameraError> {
        match &mut self.state {
            State::Up(_) | State::Down { .. } => None,
            State::Starting(answer) => {
                match answer.try_recv() {
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) => self.not_back(no_thread(), now, tell),
                    Ok(Err(error)) => self.not_back(error, now, tell),
                    Ok(Ok(output)) => {
                        self.state = State::Up(output);
                        self.returning = true;
                        self.unfit = None;
                        self.taken = 0;
                        self.stall = Stall::default();
                    }
                }
                None
            }
            State::Falling(fall) => {
                let landed = fall.look(now)?;
                if landed.stopped {
                    self.state = State::Down {
                        retry_at: now + clock_time(self.backoff.wait()),
                    };
                }
                if let Some(outcome) = landed.outcome {
                    tell(&Event::Status(format!("note: {}: {outcome}", self.name)));
                }
                landed.error
            }
        }
    }

    /// Starts it again when that is due, unless it does not take `frame`.
    pub(super) fn restart(
        &mut self,
        index: usize,
        open: &Arc<OpenOutput>,
        frame: &Frame,
        now: gst::ClockTime,
    ) {
        if let State::Down { retry_at } = self.state
            && (now >= retry_at || self.unfit.is_some())
            && self.unfit.as_ref() != Some(&frame.caps)
        {
            self.unfit = None;
            self.state = State::Starting(start(index, open));
        }
    }

    /// Gives it `frame` if it is there. One that fails goes down, if it may come back.
    ///
    /// # Errors
    /// Those of an output that may not.
    pub(super) fn give(
        &mut self,
        frame: &Frame,
        now: gst::ClockTime,
        live: bool,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<(), CameraError> {
        let State::Up(output) = &mut self.state else {
            return Ok(());
        };
        match output.push(frame) {
            Ok(()) => {
                self.taken += 1;
                if self.returning && (self.taken > 1 || output.stats().taken > 0) {
                    self.returning = false;
                    tell(&Event::OutputBack(self.name.clone()));
                }
                if self.taken == SETTLED {
                    self.backoff.reset();
                }
                if let Some(remark) = output.remark() {
                    tell(&Event::Status(remark));
                }
                if live && let Some(news) = self.stall.look(now, || output.stats()) {
                    tell(&Event::Status(news.told_of(&self.name)));
                }
                Ok(())
            }
            Err(error) if !live => Err(error),
            Err(error) => {
                self.lost.add(&output.stats());
                if heals(&error) {
                    self.restarts += 1;
                } else {
                    self.unfit = Some(frame.caps.clone());
                }
                self.fall(error, now);
                Ok(())
            }
        }
    }

    fn fall(&mut self, error: CameraError, now: gst::ClockTime) {
        let down = State::Down { retry_at: now };
        if let State::Up(output) = std::mem::replace(&mut self.state, down) {
            self.state = State::Falling(Fall::begin(output, error, now));
        }
    }

    /// What is told when it fails: lost once, for who counts those that are away, and then in words until it is back.
    pub(super) fn gone(&self, reason: String) -> Event {
        match (self.returning, Event::OutputFailed(reason)) {
            (true, event) => Event::Status(event.to_string()),
            (false, event) => event,
        }
    }

    /// It could not be started again: keeps why, and tells it when that is another cause than before.
    pub(super) fn not_back(
        &mut self,
        error: CameraError,
        now: gst::ClockTime,
        tell: &mut dyn FnMut(&Event),
    ) {
        self.state = State::Down {
            retry_at: now + clock_time(self.backoff.wait()),
        };
        if self.failure.as_ref().map(ToString::to_string) != Some(error.to_string()) {
            let words = Event::OutputFailed(format!("trying again: {error}")).to_string();
            tell(&Event::Status(words));
        }
        self.failure = Some(error);
    }

    /// Stops it on a thread of its own; what tells when that is done, if there is something to stop.
    pub(super) fn stop(self) -> Option<Receiver<Option<String>>> {
        match self.state {
            State::Up(output) => Some(settling(output)),
            State::Falling(fall) => Some(fall.into_answer()),
            State::Starting(_) | State::Down { .. } => None,
        }
    }
}

/// Starts an output on a thread of its own, which may hang. Dropped there when nobody wants it any more, it closes again.
fn start(index: usize, open: &Arc<OpenOutput>) -> Receiver<Opened> {
    let (send, answer) = channel();
    let open = open.clone();
    let work = move || {
        let _ = send.send(open(index));
    };
    // Without a thread the sender is gone, which the next look sees.
    let _ = thread::Builder::new().name("output".into()).spawn(work);
    answer
}

fn no_thread() -> CameraError {
    CameraError::Gstreamer("the thread that starts an output is gone".into())
}

/// Whether an output that failed so may work when it is started again.
pub(super) fn heals(error: &CameraError) -> bool {
    !matches!(
        error,
        CameraError::Unfit { .. }
            | CameraError::Format(_)
            | CameraError::SinkSpec { .. }
            | CameraError::MissingElement { .. }
    )
}

//! The outputs' end of a session: each fails and comes back alone.

mod beginning;
mod ending;
mod fall;
mod slot;
mod stall;

use std::sync::Arc;
use std::time::Instant;

use gstreamer as gst;

use super::OpenOutput;
use super::plan::Event;
use crate::camera::error::CameraError;
use crate::camera::feed::Frame;
use crate::camera::output::OutputStats;
use crate::state::MeasuredSink;
use fall::STOPS;
use slot::{State, heals};

pub use beginning::{Absent, Beginning};
pub use slot::Slot;

/// What an output did in a whole session.
#[derive(Debug, Clone)]
pub struct OutputRecord {
    /// The sink as the user named it.
    pub name: String,
    /// Over all its starts; the ages are those since the last.
    pub stats: OutputStats,
    /// Times it failed and was started anew.
    pub restarts: u64,
}

pub(super) struct Outputs {
    slots: Vec<Slot>,
    open: Arc<OpenOutput>,
    /// Whether an output that fails may come back; a file's would have a hole.
    live: bool,
    /// Whether the run goes on when no output can take its frames.
    service: bool,
    /// Whether any frame came.
    used: bool,
}

impl Outputs {
    pub(super) fn new(slots: Vec<Slot>, open: Arc<OpenOutput>, live: bool, service: bool) -> Self {
        Self {
            slots,
            open,
            live,
            service,
            used: false,
        }
    }

    /// Whether all outputs would take a frame now: a file's frames wait for them.
    pub(super) fn ready(&mut self) -> Result<bool, CameraError> {
        if self.live {
            return Ok(true);
        }
        for slot in &mut self.slots {
            if let State::Up(output) = &mut slot.state
                && !output.ready()?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes up what was started and what went down; tells of it.
    ///
    /// # Errors
    /// Why the last output is of no use any more; a run at a terminal ends with it.
    pub(super) fn look(
        &mut self,
        now: gst::ClockTime,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<(), CameraError> {
        for index in 0..self.slots.len() {
            let Some(error) = self.slots[index].look(now, tell) else {
                continue;
            };
            let again = heals(&error);
            if !again && !self.service && self.slots.iter().all(Slot::is_useless) {
                return Err(error);
            }
            let slot = &mut self.slots[index];
            let what = if again { "trying again" } else { "for good" };
            tell(&slot.gone(format!("{what}: {error}")));
            slot.failure = Some(error);
        }
        Ok(())
    }

    /// Gives `frame` to every output that is there; tells of those that come.
    pub(super) fn deliver(
        &mut self,
        frame: &Frame,
        now: gst::ClockTime,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<(), CameraError> {
        self.used = true;
        for (index, slot) in self.slots.iter_mut().enumerate() {
            slot.restart(index, &self.open, frame, now);
            slot.give(frame, now, self.live, tell)?;
        }
        Ok(())
    }

    /// What every output did so far.
    pub(super) fn measured(&self) -> Vec<MeasuredSink> {
        let measured = self.slots.iter().map(|slot| {
            let output = match &slot.state {
                State::Up(output) => Some(output),
                _ => None,
            };
            let mut stats = output.map(|output| output.stats()).unwrap_or_default();
            stats.add(&slot.lost);
            MeasuredSink {
                name: slot.name.clone(),
                up: output.is_some(),
                given: stats.given,
                taken: stats.taken,
                restarts: slot.restarts,
            }
        });
        measured.collect()
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        let until = Instant::now() + STOPS;
        let answers: Vec<_> = self.slots.drain(..).filter_map(Slot::stop).collect();
        for answer in answers {
            // Nobody is left to be told.
            let _ = fall::wait(&answer, until);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::camera::output::Output;
    use crate::camera::sharpener::lock;
    use crate::camera::timeline::Mark;
    use crate::camera::twin::{Collected, CollectingOutput};

    #[test]
    fn an_output_that_hangs_while_it_starts_holds_up_no_other() {
        gst::init().unwrap();
        let (go, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let open: Arc<OpenOutput> = Arc::new(move |_| {
            let _ = lock(&gate).recv();
            let output = CollectingOutput::new(Collected::default(), None);
            Ok(Box::new(output) as Box<dyn Output>)
        });
        let (pulled, other) = (Collected::default(), Collected::default());
        let outputs = [(pulled, Some(1)), (other.clone(), None)]
            .map(|(collected, fails)| Slot::up(Box::new(CollectingOutput::new(collected, fails))));
        let mut outputs = Outputs::new(outputs.into(), open, true, true);
        let mut told = Vec::new();
        let mut second = 0;
        let mut turn = |outputs: &mut Outputs| {
            let now = gst::ClockTime::from_seconds(second);
            second += 1;
            let mut buffer = gst::Buffer::new();
            buffer.get_mut().unwrap().set_pts(now);
            let frame = Frame {
                buffer,
                caps: gst::Caps::new_any(),
                mark: Mark::at(now),
            };
            let mut tell = |event: &Event| told.push(event.clone());
            outputs.look(now, &mut tell).unwrap();
            outputs.deliver(&frame, now, &mut tell).unwrap();
            // Threads get their turn.
            std::thread::sleep(Duration::from_millis(1));
        };
        while !matches!(outputs.slots[0].state, State::Starting(_)) {
            turn(&mut outputs);
        }
        let before = lock(&other.times).len();
        (0..9).for_each(|_| turn(&mut outputs));
        assert_eq!(lock(&other.times).len(), before + 9);
        assert!(!outputs.measured()[0].up);
        go.send(()).unwrap();
        while !outputs.measured()[0].up {
            turn(&mut outputs);
        }
        turn(&mut outputs);
        let event = |at: usize| told[at].to_string();
        assert!(
            event(0).starts_with("output lost, trying again"),
            "{told:?}"
        );
        assert_eq!((event(1).as_str(), told.len()), ("output back: twin", 2));
    }
}

//! The outputs' end of a session: each fails and comes back alone.

mod ending;

use gstreamer as gst;

use super::plan::Event;
use super::{OpenOutput, SETTLED, clock_time};
use crate::backoff::Backoff;
use crate::camera::error::CameraError;
use crate::camera::feed::Frame;
use crate::camera::output::{Output, OutputStats};
use crate::camera::sink::SinkSpec;
use crate::state::MeasuredSink;

/// An output, being there or not.
struct Slot {
    name: String,
    output: Option<Box<dyn Output>>,
    retry_at: gst::ClockTime,
    backoff: Backoff,
    /// Frames taken since its last start.
    taken: u64,
    lost: OutputStats,
    restarts: u64,
    /// Why it failed last.
    failure: Option<CameraError>,
    /// The shape of frames that it never takes; it is started again when frames have another.
    unfit: Option<gst::Caps>,
    /// Started anew, and not yet seen to take a frame.
    returning: bool,
}

impl Slot {
    /// What is told when it fails: lost once, for who counts those that are away, and then in words until it is back.
    fn gone(&self, reason: String) -> Event {
        match (self.returning, Event::OutputFailed(reason)) {
            (true, event) => Event::Status(event.to_string()),
            (false, event) => event,
        }
    }

    /// It could not be started again: keeps why, and tells it when that is another cause than before.
    fn not_back(&mut self, error: CameraError, tell: &mut dyn FnMut(&Event)) {
        if self.failure.as_ref().map(ToString::to_string) != Some(error.to_string()) {
            let words = Event::OutputFailed(format!("trying again: {error}")).to_string();
            tell(&Event::Status(words));
        }
        self.failure = Some(error);
    }

    /// Why the run is no success, however well the other outputs did: this one was never of use, or its file is not there.
    fn missing(&mut self) -> Option<CameraError> {
        if self.output.is_some() {
            return None;
        }
        if self.lost.taken == 0 {
            return self.failure.take();
        }
        let path = SinkSpec::target_of(&self.name)?;
        let failure = match self.failure.take() {
            Some(CameraError::SinkPath { reason, .. }) => reason,
            Some(error) => error.to_string(),
            None => "it was not started again".into(),
        };
        Some(CameraError::SinkPath {
            path,
            reason: format!(
                "the output was lost and not back at the end ({failure}); pieces of it that could be kept stand beside it, \
                 their names end in -1, -2 and so on"
            ),
        })
    }
}

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

pub(super) struct Outputs<'a> {
    slots: Vec<Slot>,
    open: &'a mut OpenOutput<'a>,
    /// Whether an output that fails may come back; a file's would have a hole.
    live: bool,
    /// Whether the run goes on when no output can take its frames.
    service: bool,
}

impl<'a> Outputs<'a> {
    pub(super) fn new(
        outputs: Vec<Box<dyn Output>>,
        open: &'a mut OpenOutput<'a>,
        live: bool,
        service: bool,
    ) -> Self {
        let slots = outputs.into_iter().map(|output| Slot {
            name: output.name().to_owned(),
            output: Some(output),
            retry_at: gst::ClockTime::ZERO,
            backoff: Backoff::default(),
            taken: 0,
            lost: OutputStats::default(),
            restarts: 0,
            failure: None,
            unfit: None,
            returning: false,
        });
        Self {
            slots: slots.collect(),
            open,
            live,
            service,
        }
    }

    /// Whether all outputs would take a frame now: a file's frames wait for them.
    pub(super) fn ready(&mut self) -> Result<bool, CameraError> {
        if self.live {
            return Ok(true);
        }
        for output in self.slots.iter_mut().filter_map(|s| s.output.as_mut()) {
            if !output.ready()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives `frame` to every output that is there; tells of those that go and come.
    pub(super) fn deliver(
        &mut self,
        frame: &Frame,
        now: gst::ClockTime,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<(), CameraError> {
        let mut failed = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.unfit.as_ref() == Some(&frame.caps) {
                continue;
            }
            if slot.output.is_none() && now >= slot.retry_at {
                match (self.open)(index) {
                    Ok(output) => {
                        slot.output = Some(output);
                        slot.returning = true;
                        slot.unfit = None;
                        slot.taken = 0;
                    }
                    Err(error) => {
                        slot.retry_at = now + clock_time(slot.backoff.wait());
                        slot.not_back(error, tell);
                    }
                }
            }
            let Some(output) = &mut slot.output else {
                continue;
            };
            match output.push(frame) {
                Ok(()) => {
                    slot.taken += 1;
                    if slot.returning && (slot.taken > 1 || output.stats().taken > 0) {
                        slot.returning = false;
                        tell(&Event::OutputBack(slot.name.clone()));
                    }
                    if slot.taken == SETTLED {
                        slot.backoff.reset();
                    }
                    if let Some(remark) = output.remark() {
                        tell(&Event::Status(remark));
                    }
                }
                Err(error) if !self.live => return Err(error),
                Err(error) => {
                    slot.lost.add(&output.stats());
                    slot.output = None;
                    if heals(&error) {
                        tell(&slot.gone(format!("trying again: {error}")));
                        slot.restarts += 1;
                        slot.retry_at = now + clock_time(slot.backoff.wait());
                        slot.failure = Some(error);
                    } else {
                        slot.unfit = Some(frame.caps.clone());
                        failed.push((index, error));
                    }
                }
            }
        }
        self.give_up(failed, frame, tell)
    }

    /// Takes leave of outputs that will not take frames like this one. With the last of them a run at a terminal ends.
    fn give_up(
        &mut self,
        failed: Vec<(usize, CameraError)>,
        frame: &Frame,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<(), CameraError> {
        let useless = |slot: &Slot| slot.unfit.as_ref() == Some(&frame.caps);
        let none_left = self.slots.iter().all(useless);
        for (index, error) in failed {
            if none_left && !self.service {
                return Err(error);
            }
            tell(&self.slots[index].gone(format!("for good: {error}")));
            self.slots[index].failure = Some(error);
        }
        Ok(())
    }

    /// What every output did so far.
    pub(super) fn measured(&self) -> Vec<MeasuredSink> {
        let measured = self.slots.iter().map(|slot| {
            let mut stats = slot.output.as_ref().map(|o| o.stats()).unwrap_or_default();
            stats.add(&slot.lost);
            MeasuredSink {
                name: slot.name.clone(),
                up: slot.output.is_some(),
                given: stats.given,
                taken: stats.taken,
                restarts: slot.restarts,
            }
        });
        measured.collect()
    }
}

/// Whether an output that failed so may work when it is started again.
fn heals(error: &CameraError) -> bool {
    !matches!(error, CameraError::Unfit { .. } | CameraError::Format(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::twin::{Collected, CollectingOutput};

    fn slot(name: &str, taken: u64) -> Slot {
        Slot {
            name: name.into(),
            output: None,
            retry_at: gst::ClockTime::ZERO,
            backoff: Backoff::default(),
            taken: 0,
            lost: OutputStats {
                given: taken,
                taken,
                ..OutputStats::default()
            },
            restarts: 1,
            failure: Some(CameraError::Sink {
                sink: name.into(),
                reason: "disk full".into(),
            }),
            unfit: None,
            returning: false,
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_no_success() {
        let said = |name, taken| slot(name, taken).missing().map(|e| e.to_string());
        let error = said("x.mp4", 9).unwrap();
        assert!(error.starts_with("cannot write x.mp4: "), "{error}");
        assert!(
            error.contains("disk full") && error.contains("-1"),
            "{error}"
        );
        assert!(said("x.mp4", 0).is_some() && said("record:clips", 0).is_some());
        assert_eq!(said("record:clips", 9), None);
        let mut told = Vec::new();
        let mut tell = |event: &Event| told.push(event.to_string());
        let mut pulled = slot("x.mp4", 9);
        for reason in ["disk full", "No such file", "No such file"] {
            let error = CameraError::Sink {
                sink: "x.mp4".into(),
                reason: reason.into(),
            };
            pulled.not_back(error, &mut tell);
        }
        let error = pulled.missing().unwrap().to_string();
        assert!(error.contains("No such file"), "{error}");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("output lost, trying again: ") && told[0].ends_with("No such file"),
            "{told:?}"
        );
        let mut back = slot("x.mp4", 9);
        back.output = Some(Box::new(CollectingOutput::new(Collected::default(), None)));
        assert!(back.missing().is_none());
    }
}

//! Completing the outputs at the end of a run, all at a time.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use gstreamer as gst;

use super::fall::{Fall, STOPS};
use super::slot::{Slot, State};
use super::{OutputRecord, Outputs};
use crate::camera::error::CameraError;
use crate::camera::output::{Output, OutputStats};
use crate::camera::session::clock_time;
use crate::camera::session::plan::Event;
use crate::camera::sink::SinkSpec;
use crate::camera::timeline::Clock;

/// How long sinks may take to write what they still hold; of a service less than its manager waits (`TimeoutStopSec`), and
/// [`STOPS`] come on top.
const PATIENCE: Duration = Duration::from_secs(30);
const OF_A_SERVICE: Duration = Duration::from_secs(15);
/// Between two looks at those that still write.
const LOOK: Duration = Duration::from_millis(5);

/// How an output comes to its end.
enum End {
    /// It was not there.
    Away,
    Writing(Box<dyn Output>),
    /// All is written, and becomes a file.
    Completing(Receiver<(Result<(), CameraError>, OutputStats)>),
    Failing(Fall, OutputStats),
}

impl Outputs {
    /// Completes all outputs that are there, each as soon as its sink has written everything: one that hangs costs no other
    /// its file. Those that went down just before are told.
    pub(in crate::camera::session) fn finish(
        mut self,
        clock: &dyn Clock,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<Vec<OutputRecord>, CameraError> {
        let mut slots = std::mem::take(&mut self.slots);
        let now = clock.now();
        let mut ends: Vec<End> = slots.iter_mut().map(|slot| End::begin(slot, now)).collect();
        let patience = if self.service { OF_A_SERVICE } else { PATIENCE };
        let until = now + clock_time(patience);
        while ends.iter().any(|end| matches!(end, End::Writing(_))) {
            let now = clock.now();
            ends = ends
                .into_iter()
                .map(|end| end.look(now, now >= until))
                .collect();
            clock.sleep(LOOK);
        }
        let until = Instant::now() + STOPS;
        let (mut failed, mut complete) = (None, 0);
        let mut records = Vec::new();
        for (slot, end) in slots.iter_mut().zip(ends) {
            let (result, mut stats) = end.wait(slot, until, tell);
            match result {
                Some(Ok(())) => complete += 1,
                Some(Err(error)) => failed = failed.or(Some(error)),
                None => {}
            }
            stats.add(&slot.lost);
            records.push(OutputRecord {
                name: slot.name.clone(),
                stats,
                restarts: slot.restarts,
            });
        }
        match failed {
            // Outputs that had not started when the run was stopped owe nothing.
            _ if !self.used => Ok(records),
            Some(error) => Err(error),
            None if complete == 0 => Err(CameraError::Sink {
                sink: "of this run".into(),
                reason: "no output was left at the end".into(),
            }),
            None => Ok(records),
        }
    }
}

impl End {
    fn begin(slot: &mut Slot, now: gst::ClockTime) -> Self {
        match std::mem::replace(&mut slot.state, State::Down { retry_at: now }) {
            State::Up(mut output) => {
                output.end();
                Self::Writing(output)
            }
            other => {
                slot.state = other;
                Self::Away
            }
        }
    }

    /// One that has written everything, or will not any more, goes on.
    fn look(self, now: gst::ClockTime, over: bool) -> Self {
        let Self::Writing(mut output) = self else {
            return self;
        };
        match output.written(over) {
            None => Self::Writing(output),
            Some(Ok(())) => Self::Completing(completing(output)),
            Some(Err(error)) => {
                let stats = output.stats();
                Self::Failing(Fall::begin(output, error, now), stats)
            }
        }
    }

    /// What became of it, if it counts, and what it did. Nobody waits beyond `until` for what may hang; a file that is complete
    /// is waited for, however slow its disk is.
    fn wait(
        self,
        slot: &mut Slot,
        until: Instant,
        tell: &mut dyn FnMut(&Event),
    ) -> (Option<Result<(), CameraError>>, OutputStats) {
        match self {
            Self::Away | Self::Writing(_) => {
                (slot.left(until, tell).map(Err), OutputStats::default())
            }
            Self::Failing(fall, stats) => (fall.wait(until).map(Err), stats),
            Self::Completing(answer) => match answer.recv() {
                Ok((result, stats)) => (Some(result), stats),
                Err(_) => {
                    let error = CameraError::Sink {
                        sink: slot.name.clone(),
                        reason: "the thread that completes it is gone".into(),
                    };
                    (Some(Err(error)), OutputStats::default())
                }
            },
        }
    }
}

impl Slot {
    /// Why an output that is not there at the end makes the run no success, if it does.
    fn left(&mut self, until: Instant, tell: &mut dyn FnMut(&Event)) -> Option<CameraError> {
        let down = State::Down {
            retry_at: gst::ClockTime::MAX,
        };
        if let State::Falling(fall) = std::mem::replace(&mut self.state, down)
            && let Some(error) = fall.wait(until)
        {
            tell(&self.gone(format!("for good: {error}")));
            self.failure = Some(error);
        }
        self.missing()
    }

    /// Why the run is no success, however well the other outputs did: this one was never of use, or its file is not there.
    fn missing(&mut self) -> Option<CameraError> {
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

/// Completes an output on a thread of its own; the answer comes when its place is free.
fn completing(mut output: Box<dyn Output>) -> Receiver<(Result<(), CameraError>, OutputStats)> {
    let (send, answer) = channel();
    let work = move || {
        let result = output.complete();
        let result = result.map_err(|error| error.with_outcome(output.settle().as_deref()));
        let stats = output.stats();
        drop(output);
        // The session waits for it.
        let _ = send.send((result, stats));
    };
    // Without a thread the sender is gone, which is an error of its own.
    let _ = thread::Builder::new().name("output".into()).spawn(work);
    answer
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::camera::feed::Frame;
    use crate::camera::session::OpenOutput;
    use crate::camera::sharpener::lock;
    use crate::camera::twin::{Collected, CollectingOutput, ManualClock};

    /// Its sink never writes the last byte, and may not stop.
    struct Hangs {
        stops: bool,
    }

    impl Output for Hangs {
        fn name(&self) -> &str {
            "hangs"
        }

        fn push(&mut self, _frame: &Frame) -> Result<(), CameraError> {
            Ok(())
        }

        fn written(&mut self, over: bool) -> Option<Result<(), CameraError>> {
            over.then(|| {
                Err(CameraError::Sink {
                    sink: "hangs".into(),
                    reason: "too late".into(),
                })
            })
        }

        fn settle(&mut self) -> Option<String> {
            match self.stops {
                true => None,
                false => loop {
                    thread::park();
                },
            }
        }

        fn stats(&self) -> OutputStats {
            OutputStats::default()
        }
    }

    #[test]
    fn outputs_that_hang_cost_no_other_its_file_and_share_their_time() {
        let (clock, collected) = (ManualClock::default(), Collected::default());
        let written = CollectingOutput::new(collected.clone(), None);
        let outputs: [Box<dyn Output>; 3] = [
            Box::new(Hangs { stops: false }),
            Box::new(Hangs { stops: true }),
            Box::new(written),
        ];
        let open: Arc<OpenOutput> = Arc::new(|_| Ok(Box::new(Hangs { stops: true })));
        let slots = outputs.map(Slot::up).into();
        let mut outputs = Outputs::new(slots, open, true, true);
        outputs.used = true;
        let error = outputs.finish(&clock, &mut |_| {}).unwrap_err().to_string();
        assert!(
            error.contains("too late; its sink does not stop"),
            "{error}"
        );
        assert!(*lock(&collected.finished));
        let waited = Duration::from(clock.now());
        assert!(waited >= OF_A_SERVICE && waited < PATIENCE, "{waited:?}");
    }

    fn slot(name: &str, taken: u64) -> Slot {
        let down = State::Down {
            retry_at: gst::ClockTime::ZERO,
        };
        let mut slot = Slot::new(name.into(), down);
        slot.lost.given = taken;
        slot.lost.taken = taken;
        slot.failure = Some(CameraError::Sink {
            sink: name.into(),
            reason: "disk full".into(),
        });
        slot
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
            pulled.not_back(error, gst::ClockTime::ZERO, &mut tell);
        }
        let error = pulled.missing().unwrap().to_string();
        assert!(error.contains("No such file"), "{error}");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("output lost, trying again: ") && told[0].ends_with("No such file"),
            "{told:?}"
        );
    }
}

//! Starting the outputs before a session begins.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gstreamer as gst;

use super::slot::{Slot, State, heals};
use crate::camera::error::CameraError;
use crate::camera::session::{LOOK, OpenOutput};
use crate::systemd;

/// How long an output may take to start where somebody else is to decide what then.
const PATIENCE: Duration = Duration::from_secs(5);
/// Who sits at a terminal is told earlier what is waited for.
const NOTICE: Duration = Duration::from_secs(1);

/// What becomes of an output that does not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// It is refused; one that takes its time is waited for.
    Refused,
    /// It is refused, and so is one that takes too long.
    RefusedSoon,
    /// The run begins without it and tries again, unless the sink can never be.
    TriedAgain,
}

/// How the outputs of a run are started.
pub struct Beginning<'a> {
    /// Starts one of them.
    pub open: &'a Arc<OpenOutput>,
    /// What becomes of one that does not start.
    pub absent: Absent,
    /// Whether the run is to stop: then it begins without those that have not started.
    pub stop: &'a dyn Fn() -> bool,
    /// Hears what is waited for.
    pub say: &'a dyn Fn(String),
}

impl Beginning<'_> {
    /// Starts the output with this index.
    ///
    /// # Errors
    /// Why it does not start, if it is refused.
    pub fn start(&self, index: usize, name: &str) -> Result<Slot, CameraError> {
        let mut slot = Slot::starting(name.to_owned(), index, self.open);
        let begun = Instant::now();
        let mut told = false;
        while !(self.stop)() {
            match slot.wait(Instant::now() + LOOK) {
                Some(Ok(output)) => {
                    slot.state = State::Up(output);
                    break;
                }
                Some(Err(error)) if self.absent == Absent::TriedAgain && may_come(&error) => {
                    slot.state = State::Down {
                        retry_at: gst::ClockTime::ZERO,
                    };
                    slot.away(error);
                    break;
                }
                Some(Err(error)) => return Err(error),
                None if self.absent == Absent::Refused => {
                    if begun.elapsed() >= NOTICE && !std::mem::replace(&mut told, true) {
                        (self.say)(format!(
                            "note: waiting for the sink {name}, which has not started yet"
                        ));
                    }
                }
                None if begun.elapsed() < PATIENCE => {}
                None => {
                    let error = CameraError::Sink {
                        sink: name.to_owned(),
                        reason: format!("it has not started in {} s", PATIENCE.as_secs()),
                    };
                    if self.absent == Absent::RefusedSoon {
                        return Err(error);
                    }
                    slot.away(error);
                    break;
                }
            }
        }
        Ok(slot)
    }
}

/// Whether it is worth to begin without an output that does not start so. Of two runs by hand that write to one place, the
/// second is a mistake; a service may meet one that is about to end.
fn may_come(error: &CameraError) -> bool {
    let mistaken = matches!(error, CameraError::SinkHeld(_)) && !systemd::is_service();
    heals(error) && !mistaken
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::camera::output::Output;
    use crate::camera::sharpener::lock;
    use crate::camera::twin::{Collected, CollectingOutput};

    fn begin(
        absent: Absent,
        stop: bool,
        open: impl Fn(usize) -> Result<Box<dyn Output>, CameraError> + Send + Sync + 'static,
    ) -> Result<Slot, CameraError> {
        let open: Arc<OpenOutput> = Arc::new(open);
        let beginning = Beginning {
            open: &open,
            absent,
            stop: &|| stop,
            say: &|_| {},
        };
        beginning.start(0, "x.mp4")
    }

    fn unmounted() -> CameraError {
        CameraError::SinkPath {
            path: "x.mp4".into(),
            reason: "No such file".into(),
        }
    }

    fn unknown() -> CameraError {
        CameraError::SinkSpec {
            given: "gst:bogus".into(),
            reason: "no element".into(),
        }
    }

    #[test]
    fn only_a_run_that_goes_on_without_a_camera_begins_without_an_output_that_may_come() {
        for absent in [Absent::Refused, Absent::RefusedSoon, Absent::TriedAgain] {
            let slot = begin(absent, false, |_| Err(unmounted()));
            assert_eq!(slot.is_ok(), absent == Absent::TriedAgain, "{absent:?}");
            if let Ok(slot) = slot {
                let told = slot.absent().unwrap().to_string();
                assert!(told.starts_with("output lost, trying again: "), "{told}");
            }
            assert!(begin(absent, false, |_| Err(unknown())).is_err());
            let there = begin(absent, false, |_| {
                Ok(Box::new(CollectingOutput::new(Collected::default(), None)))
            });
            assert_eq!(there.unwrap().absent(), None);
        }
    }

    #[test]
    fn a_run_that_is_to_stop_waits_for_no_output() {
        let (_never, answer) = channel::<()>();
        let answer = Mutex::new(answer);
        let slot = begin(Absent::Refused, true, move |_| {
            let _ = lock(&answer).recv();
            Err(unmounted())
        });
        assert_eq!(slot.unwrap().absent(), None);
    }
}

//! Completing the outputs at the end of a run, all at a time.

use std::time::Duration;

use super::{OutputRecord, Outputs, Slot};
use crate::camera::error::CameraError;
use crate::camera::session::clock_time;
use crate::camera::timeline::Clock;

/// How long sinks may take to write what they still hold; of a service less than its manager waits (`TimeoutStopSec`).
const PATIENCE: Duration = Duration::from_secs(30);
const OF_A_SERVICE: Duration = Duration::from_secs(15);
/// Between two looks at those that still write.
const LOOK: Duration = Duration::from_millis(5);

impl Outputs<'_> {
    /// Completes all outputs that are there, each as soon as its sink has written everything: one that hangs costs no other
    /// its file.
    pub(in crate::camera::session) fn finish(
        mut self,
        clock: &dyn Clock,
    ) -> Result<Vec<OutputRecord>, CameraError> {
        let mut failed = self.slots.iter_mut().find_map(Slot::missing);
        let mut complete = 0;
        let outputs = self.slots.iter_mut().filter_map(|s| s.output.as_mut());
        let mut writing: Vec<_> = outputs.collect();
        for output in &mut writing {
            output.end();
        }
        let patience = if self.service { OF_A_SERVICE } else { PATIENCE };
        let until = clock.now() + clock_time(patience);
        loop {
            let over = clock.now() >= until;
            writing.retain_mut(|output| {
                match output.finish(over) {
                    None => return true,
                    Some(Ok(())) => complete += 1,
                    Some(Err(error)) => failed = failed.take().or(Some(error)),
                }
                false
            });
            if writing.is_empty() || over {
                break;
            }
            clock.sleep(LOOK);
        }
        match failed {
            Some(error) => Err(error),
            None if complete == 0 => Err(CameraError::Sink {
                sink: "of this run".into(),
                reason: "no output was left at the end".into(),
            }),
            None => Ok(self.slots.into_iter().map(record).collect()),
        }
    }
}

fn record(slot: Slot) -> OutputRecord {
    let mut stats = slot.output.map(|o| o.stats()).unwrap_or_default();
    stats.add(&slot.lost);
    OutputRecord {
        name: slot.name,
        stats,
        restarts: slot.restarts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::feed::Frame;
    use crate::camera::output::{Output, OutputStats};
    use crate::camera::sharpener::lock;
    use crate::camera::twin::{Collected, CollectingOutput, ManualClock};

    /// Its sink never writes the last byte.
    struct Hangs;

    impl Output for Hangs {
        fn name(&self) -> &str {
            "hangs"
        }

        fn push(&mut self, _frame: &Frame) -> Result<(), CameraError> {
            Ok(())
        }

        fn finish(&mut self, over: bool) -> Option<Result<(), CameraError>> {
            over.then(|| {
                Err(CameraError::Sink {
                    sink: "hangs".into(),
                    reason: "too late".into(),
                })
            })
        }

        fn stats(&self) -> OutputStats {
            OutputStats::default()
        }
    }

    #[test]
    fn outputs_that_hang_cost_no_other_its_file_and_share_their_time() {
        let (clock, collected) = (ManualClock::default(), Collected::default());
        let written = CollectingOutput::new(collected.clone(), None);
        let outputs: [Box<dyn Output>; 3] = [Box::new(Hangs), Box::new(Hangs), Box::new(written)];
        let mut open = |_| Ok(Box::new(Hangs) as Box<dyn Output>);
        let outputs = Outputs::new(outputs.into(), &mut open, true, true);
        let error = outputs.finish(&clock).unwrap_err();
        assert!(error.to_string().contains("too late"), "{error}");
        assert!(*lock(&collected.finished));
        assert_eq!(Duration::from(clock.now()), OF_A_SERVICE);
    }
}

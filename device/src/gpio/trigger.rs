//! A pulse on a pin for every frame that goes out, for a strobe or another camera.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::OutputPin;
use crate::camera::error::CameraError;
use crate::camera::feed::Frame;
use crate::camera::output::{Output, OutputStats};
use crate::camera::timeline::{Clock, between};

/// What a report calls it.
pub const NAME: &str = "gpio trigger";

/// Pulses a pin; as an output it is measured like any other.
pub struct TriggerOutput {
    pulses: SyncSender<()>,
    clock: Box<dyn Clock + Send>,
    stats: OutputStats,
}

impl TriggerOutput {
    /// Pulses of `width` on `pin`, made by a thread of their own: the frame does not wait for them.
    ///
    /// # Errors
    /// The system's, when no thread can be started.
    pub fn start(
        mut pin: Box<dyn OutputPin>,
        width: Duration,
        clock: Box<dyn Clock + Send>,
    ) -> std::io::Result<Self> {
        let (pulses, wanted) = sync_channel(1);
        std::thread::Builder::new()
            .name("trigger".into())
            .spawn(move || {
                while wanted.recv().is_ok() {
                    // A pin that fails for one frame may work for the next.
                    let _ = pin.set(true);
                    std::thread::sleep(width);
                    let _ = pin.set(false);
                }
            })?;
        Ok(Self {
            pulses,
            clock,
            stats: OutputStats::default(),
        })
    }
}

impl Output for TriggerOutput {
    fn name(&self) -> &str {
        NAME
    }

    fn push(&mut self, frame: &Frame) -> Result<(), CameraError> {
        self.stats.given += 1;
        match self.pulses.try_send(()) {
            Ok(()) => {
                self.stats.taken += 1;
                let age = between(frame.mark.captured, self.clock.now());
                self.stats.age.add(age);
                Ok(())
            }
            // The last pulse is not over: frames come faster than pulses are long.
            Err(TrySendError::Full(())) => Ok(()),
            Err(TrySendError::Disconnected(())) => Err(CameraError::Sink {
                sink: NAME.into(),
                reason: "its thread is gone".into(),
            }),
        }
    }

    fn stats(&self) -> OutputStats {
        self.stats.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::timeline::Mark;
    use crate::camera::twin::ManualClock;
    use crate::gpio::Pins;
    use crate::gpio::twin::TwinPins;
    use gstreamer as gst;

    #[test]
    fn every_frame_is_a_pulse() {
        gst::init().unwrap();
        let mut board = TwinPins::default();
        let pin = board.output(23).unwrap();
        let clock = ManualClock::default();
        let width = Duration::from_micros(100);
        let mut trigger = TriggerOutput::start(pin, width, Box::new(clock)).unwrap();
        let frame = Frame {
            buffer: gst::Buffer::new(),
            caps: gst::Caps::new_any(),
            mark: Mark::at(gst::ClockTime::ZERO),
        };
        for pulse in 1..=3 {
            trigger.push(&frame).unwrap();
            board.wait_until(|board| board.history(23).len() >= 2 * pulse);
        }
        assert_eq!(board.history(23), [true, false].repeat(3));
        assert_eq!(trigger.stats().taken, 3);
    }
}

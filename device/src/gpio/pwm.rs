//! Pulse-width modulation in software, on any pin: what a transistor in front of a fan needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::OutputPin;

/// One period; slow enough for a scheduler, quick enough for a fan's inertia.
const PERIOD: Duration = Duration::from_millis(40);

/// A pin that is high for a share of the time.
#[derive(Debug)]
pub struct Pwm {
    percent: Arc<AtomicU8>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pwm {
    /// Starts at zero.
    ///
    /// # Errors
    /// The system's, when no thread can be started.
    pub fn start(mut pin: Box<dyn OutputPin>) -> std::io::Result<Self> {
        let (percent, over) = (Arc::new(AtomicU8::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::Builder::new().name("fan".into()).spawn({
            let (percent, over) = (percent.clone(), over.clone());
            move || {
                while !over.load(Ordering::Relaxed) {
                    period(pin.as_mut(), percent.load(Ordering::Relaxed));
                }
                // The board is on its own again; a fan that stands still is what it starts with.
                let _ = pin.set(false);
            }
        })?;
        Ok(Self {
            percent,
            over,
            thread: Some(thread),
        })
    }

    /// Sets the share of the time, 0..=1.
    pub fn set(&self, share: f32) {
        let percent = (share.clamp(0.0, 1.0) * 100.0).round() as u8;
        self.percent.store(percent, Ordering::Relaxed);
    }
}

/// Drives `pin` for one period.
fn period(pin: &mut dyn OutputPin, percent: u8) {
    let high = PERIOD * u32::from(percent.min(100)) / 100;
    for (level, time) in [(true, high), (false, PERIOD - high)] {
        if !time.is_zero() {
            // A pin that fails now may work in the next period, and there is no one to ask.
            let _ = pin.set(level);
            std::thread::sleep(time);
        }
    }
}

impl Drop for Pwm {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It holds nothing that a panic could have broken.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpio::Pins;
    use crate::gpio::twin::TwinPins;

    #[test]
    fn extremes_are_steady_and_the_middle_pulses() {
        let mut board = TwinPins::default();
        let mut pin = board.output(18).unwrap();
        for (percent, want) in [(0, vec![false]), (100, vec![true]), (40, vec![true, false])] {
            let before = board.history(18).len();
            period(pin.as_mut(), percent);
            assert_eq!(board.history(18)[before..], want, "{percent}");
        }
    }

    #[test]
    fn it_stops_low() {
        let mut board = TwinPins::default();
        let pwm = Pwm::start(board.output(18).unwrap()).unwrap();
        pwm.set(1.0);
        board.wait_until(|board| board.is_high(18));
        drop(pwm);
        assert!(!board.is_high(18));
    }
}

//! Pins in memory, for tests: what was driven is remembered, what is read is set.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{InputPin, OutputPin, Pins, Pull};

/// A board whose pins are numbers in a map.
#[derive(Debug, Clone, Default)]
pub struct TwinPins {
    levels: Arc<Mutex<BTreeMap<u8, bool>>>,
    history: Arc<Mutex<Vec<(u8, bool)>>>,
    taken: Arc<Mutex<Vec<u8>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TwinPins {
    /// Sets what an input reads.
    pub fn press(&self, pin: u8, high: bool) {
        lock(&self.levels).insert(pin, high);
    }

    /// Whether a pin is high.
    pub fn is_high(&self, pin: u8) -> bool {
        lock(&self.levels).get(&pin).copied().unwrap_or_default()
    }

    /// Every change of an output, in order.
    pub fn history(&self, pin: u8) -> Vec<bool> {
        let history = lock(&self.history);
        let of_pin = history.iter().filter(|(p, _)| *p == pin);
        of_pin.map(|(_, high)| *high).collect()
    }

    /// Waits until the board is as `done` wants it; what never comes fails.
    pub fn wait_until(&self, done: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            let waited = start.elapsed();
            assert!(
                waited < Duration::from_secs(60),
                "{:?}",
                lock(&self.history)
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn take(&self, pin: u8) -> Result<(), String> {
        let mut taken = lock(&self.taken);
        if taken.contains(&pin) {
            return Err("it is in use".into());
        }
        taken.push(pin);
        Ok(())
    }
}

struct TwinPin {
    board: TwinPins,
    pin: u8,
}

impl Pins for TwinPins {
    fn output(&mut self, pin: u8) -> Result<Box<dyn OutputPin>, String> {
        self.take(pin)?;
        let board = self.clone();
        Ok(Box::new(TwinPin { board, pin }))
    }

    fn input(&mut self, pin: u8, pull: Pull) -> Result<Box<dyn InputPin>, String> {
        self.take(pin)?;
        self.press(pin, pull != Pull::Down);
        let board = self.clone();
        Ok(Box::new(TwinPin { board, pin }))
    }
}

impl OutputPin for TwinPin {
    fn set(&mut self, high: bool) -> Result<(), String> {
        lock(&self.board.levels).insert(self.pin, high);
        lock(&self.board.history).push((self.pin, high));
        Ok(())
    }
}

impl InputPin for TwinPin {
    fn is_high(&mut self) -> Result<bool, String> {
        Ok(self.board.is_high(self.pin))
    }
}

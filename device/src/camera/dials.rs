//! What changes while a stream runs: strength, split, bypass, and what the governor decides.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

/// What may change from one frame to the next, from any thread.
#[derive(Debug)]
pub struct Dials {
    strength: AtomicU32,
    split: AtomicU32,
    bypass: AtomicBool,
    level: AtomicUsize,
    every_second: AtomicBool,
    shed: AtomicBool,
}

impl Default for Dials {
    fn default() -> Self {
        Self {
            strength: AtomicU32::new(1.0_f32.to_bits()),
            split: AtomicU32::new(0),
            bypass: AtomicBool::new(false),
            level: AtomicUsize::new(0),
            every_second: AtomicBool::new(false),
            shed: AtomicBool::new(false),
        }
    }
}

impl Dials {
    /// How much of the student's residual is added, 0..=1.
    pub fn strength(&self) -> f32 {
        f32::from_bits(self.strength.load(Ordering::Relaxed))
    }

    /// Sets [`Dials::strength`], clamped to 0..=1; what is no number counts as 0.
    pub fn set_strength(&self, strength: f32) {
        let strength = if strength.is_finite() { strength } else { 0.0 };
        let bits = strength.clamp(0.0, 1.0).to_bits();
        self.strength.store(bits, Ordering::Relaxed);
    }

    /// The part of the width, from the left, that shows the camera's own picture, 0..=1.
    pub fn split(&self) -> f32 {
        f32::from_bits(self.split.load(Ordering::Relaxed))
    }

    /// Sets [`Dials::split`], clamped to 0..=1; what is no number counts as 0.
    pub fn set_split(&self, split: f32) {
        let split = if split.is_finite() { split } else { 0.0 };
        let bits = split.clamp(0.0, 1.0).to_bits();
        self.split.store(bits, Ordering::Relaxed);
    }

    /// Whether a person asked for the camera's own picture.
    pub fn bypass(&self) -> bool {
        self.bypass.load(Ordering::Relaxed)
    }

    /// Sets [`Dials::bypass`].
    pub fn set_bypass(&self, bypass: bool) {
        self.bypass.store(bypass, Ordering::Relaxed);
    }

    /// Index of the ladder's level in use, 0 the largest.
    pub fn level(&self) -> usize {
        self.level.load(Ordering::Relaxed)
    }

    /// What the governor decides: level, every second frame only, no sharpening at all.
    pub fn set_load(&self, level: usize, every_second: bool, shed: bool) {
        self.level.store(level, Ordering::Relaxed);
        self.every_second.store(every_second, Ordering::Relaxed);
        self.shed.store(shed, Ordering::Relaxed);
    }

    /// Whether every second frame is dropped.
    pub fn every_second(&self) -> bool {
        self.every_second.load(Ordering::Relaxed)
    }

    /// Whether the governor gave up sharpening.
    pub fn shed(&self) -> bool {
        self.shed.load(Ordering::Relaxed)
    }

    /// Whether a person has frames pass as they came: bypass, strength 0 or a split over the whole width.
    pub fn switched_off(&self) -> bool {
        self.bypass() || self.strength() == 0.0 || self.split() >= 1.0
    }

    /// Whether frames pass as they came, for that or because the governor gave up.
    pub fn untouched(&self) -> bool {
        self.shed() || self.switched_off()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dials_clamp_what_they_are_given() {
        let dials = Dials::default();
        dials.set_strength(f32::NAN);
        assert!(dials.untouched());
        dials.set_strength(7.0);
        assert_eq!(dials.strength(), 1.0);
        assert!(!dials.untouched());
        dials.set_split(2.0);
        assert!(dials.untouched());
    }
}

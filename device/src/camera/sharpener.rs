//! The student at work on a stream: a ladder of engines, the dials that change while it runs, and
//! what it measured.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hone_shared::student::Colour;

use super::histogram::Histogram;
use super::tap::Tap;
use crate::engine::{Engine, EngineError, FrameView, FrameViewMut, PixelFormat};

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

    /// Whether frames pass as they came: bypass, shed load, strength 0 or a split over the whole width.
    pub fn untouched(&self) -> bool {
        self.bypass() || self.shed() || self.strength() == 0.0 || self.split() >= 1.0
    }
}

/// One rung of the ladder.
pub struct Level {
    /// Name in the bundle, such as `small`.
    pub name: String,
    /// The engine with that student loaded.
    pub engine: Box<dyn Engine>,
}

/// What a sharpener measured since it was made.
#[derive(Debug, Clone, Default)]
pub struct SharpenStats {
    /// Frames restored by the student.
    pub sharpened: u64,
    /// Frames passed as they came.
    pub untouched: u64,
    /// Frames dropped because only every second one is wanted.
    pub skipped: u64,
    /// Frames that the engine refused; they passed as they came.
    pub failed: u64,
    /// Time in the engine for each restored frame.
    pub time: Histogram,
}

/// A ladder of engines with its dials; shared between the pipeline's elements and `honed`.
pub struct Sharpener {
    levels: Mutex<Vec<Level>>,
    names: Vec<String>,
    colour: Option<Colour>,
    descriptions: Vec<String>,
    dials: Arc<Dials>,
    stats: Mutex<SharpenStats>,
    last: Mutex<Option<Duration>>,
    tap: Tap,
}

impl std::fmt::Debug for Sharpener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sharpener")
            .field("names", &self.names)
            .field("dials", &self.dials)
            .finish_non_exhaustive()
    }
}

impl Sharpener {
    /// A sharpener over `levels`, largest first; without any, frames pass as they came.
    ///
    /// # Errors
    /// [`EngineError::Contract`] when the levels differ in colour.
    pub fn new(levels: Vec<Level>, dials: Arc<Dials>) -> Result<Self, EngineError> {
        let colour = levels.first().map(|l| l.engine.student().colour);
        if let Some(odd) = levels
            .iter()
            .find(|l| Some(l.engine.student().colour) != colour)
        {
            return Err(EngineError::Contract(format!(
                "level {} restores other planes than level {}",
                odd.name, levels[0].name
            )));
        }
        Ok(Self {
            names: levels.iter().map(|l| l.name.clone()).collect(),
            descriptions: levels.iter().map(|l| l.engine.description()).collect(),
            colour,
            levels: Mutex::new(levels),
            dials,
            stats: Mutex::default(),
            last: Mutex::new(None),
            tap: Tap::default(),
        })
    }

    /// The dials.
    pub fn dials(&self) -> &Arc<Dials> {
        &self.dials
    }

    /// Frames before and after, for whoever asks.
    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    /// Planes that the students restore; `None` without a student.
    pub fn colour(&self) -> Option<Colour> {
        self.colour
    }

    /// Names of the levels, largest first.
    pub fn levels(&self) -> &[String] {
        &self.names
    }

    /// One line on the engine of the level in use.
    pub fn description(&self) -> String {
        let level = self.dials.level().min(self.names.len().saturating_sub(1));
        match self.descriptions.get(level) {
            Some(text) => text.clone(),
            None => "no student: frames pass as they came".into(),
        }
    }

    /// What was measured so far.
    pub fn stats(&self) -> SharpenStats {
        lock(&self.stats).clone()
    }

    /// Frames restored by the student so far.
    pub fn sharpened(&self) -> u64 {
        lock(&self.stats).sharpened
    }

    /// Time in the engine for the newest frame, taken once.
    pub fn take_last(&self) -> Option<Duration> {
        lock(&self.last).take()
    }

    /// Whether the next frame is to be dropped; counts it if so. `index` numbers the stream's frames.
    pub fn skips(&self, index: u64) -> bool {
        let skip = self.dials.every_second() && index % 2 == 1;
        if skip {
            lock(&self.stats).skipped += 1;
        }
        skip
    }

    /// Counts a frame that passed as it came.
    pub fn note_untouched(&self) {
        lock(&self.stats).untouched += 1;
    }

    /// Counts a frame that the engine refused.
    pub fn note_failed(&self) {
        lock(&self.stats).failed += 1;
    }

    /// Restores `frame` into `out` with the level, strength and split of the dials.
    ///
    /// # Errors
    /// Whatever the engine says; without a level, [`EngineError::Run`].
    pub fn sharpen(
        &self,
        frame: &FrameView<'_>,
        out: &mut FrameViewMut<'_>,
    ) -> Result<(), EngineError> {
        let mut levels = lock(&self.levels);
        let index = self.dials.level().min(levels.len().saturating_sub(1));
        let Some(level) = levels.get_mut(index) else {
            return Err(EngineError::Run("no student is loaded".into()));
        };
        let start = Instant::now();
        level.engine.run(frame, out, self.dials.strength())?;
        let took = start.elapsed();
        drop(levels);
        copy_left(frame, out, self.dials.split());
        let mut stats = lock(&self.stats);
        stats.sharpened += 1;
        stats.time.add(took);
        *lock(&self.last) = Some(took);
        Ok(())
    }
}

/// Copies the left part of `frame` over `out`, to whole chroma samples.
fn copy_left(frame: &FrameView<'_>, out: &mut FrameViewMut<'_>, split: f32) {
    let columns = (split * frame.width as f32).round() as usize / 2 * 2;
    if columns == 0 {
        return;
    }
    let sizes = frame.format.plane_sizes(frame.width, frame.height);
    for (plane, (row, rows)) in sizes.into_iter().enumerate() {
        let bytes = match (frame.format, plane) {
            (PixelFormat::Rgb8, _) => 3 * columns,
            (PixelFormat::Yuyv, _) => 2 * columns,
            (PixelFormat::I420, 1 | 2) => columns / 2,
            _ => columns,
        }
        .min(row);
        let (Some(from), Some(to)) = (&frame.planes[plane], &mut out.planes[plane]) else {
            continue;
        };
        for y in 0..rows {
            let source = &from.data[y * from.stride..y * from.stride + bytes];
            to.data[y * to.stride..y * to.stride + bytes].copy_from_slice(source);
        }
    }
}

/// A lock that outlives a panic elsewhere: every value behind it is valid between statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::twin::InvertingEngine;

    fn sharpener() -> Sharpener {
        let level = Level {
            name: "small".into(),
            engine: Box::new(InvertingEngine::new(Colour::Luma)),
        };
        Sharpener::new(vec![level], Arc::default()).unwrap()
    }

    #[test]
    fn the_split_shows_the_camera_on_the_left() {
        let sharpener = sharpener();
        sharpener.dials().set_split(0.5);
        let input: Vec<u8> = (0..64).collect();
        let mut output = vec![0; 64];
        let view = FrameView::packed(PixelFormat::Gray8, 8, 8, &input).unwrap();
        let mut out = FrameViewMut::packed(PixelFormat::Gray8, 8, 8, &mut output).unwrap();
        sharpener.sharpen(&view, &mut out).unwrap();
        for y in 0..8 {
            assert_eq!(output[8 * y..8 * y + 4], input[8 * y..8 * y + 4]);
            for x in 4..8 {
                assert_eq!(output[8 * y + x], 255 - input[8 * y + x]);
            }
        }
        assert_eq!(sharpener.stats().sharpened, 1);
    }

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

    #[test]
    fn a_ladder_of_mixed_colours_is_refused() {
        let level = |name: &str, colour| Level {
            name: name.into(),
            engine: Box::new(InvertingEngine::new(colour)),
        };
        let levels = vec![level("large", Colour::Luma), level("small", Colour::Rgb)];
        let error = Sharpener::new(levels, Arc::default()).unwrap_err();
        assert!(error.to_string().contains("level small"), "{error}");
    }
}

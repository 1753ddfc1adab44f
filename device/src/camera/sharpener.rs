//! The student at work on a stream: a ladder of engines, and what they measured.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hone_shared::student::Colour;

use super::dials::Dials;
use super::histogram::Histogram;
use super::tap::Tap;
use crate::engine::{Engine, EngineError, FrameView, FrameViewMut, PixelFormat};

/// Stands for no level.
const NONE: usize = usize::MAX;

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
    /// Frames left out because only every second one is wanted.
    pub skipped: u64,
    /// Frames that the engine refused; they passed as they came.
    pub failed: u64,
    /// Time in the engine for each restored frame.
    pub time: Histogram,
}

/// A ladder of engines with its dials; shared between the pipeline's elements and `honed`.
pub struct Sharpener {
    levels: Mutex<Vec<Level>>,
    /// The level that restored the frame before, where the next one continues it.
    before: AtomicUsize,
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
                "level {} restores other planes than level {}: name the one to run (--level, or student.level in the \
                 configuration)",
                odd.name, levels[0].name
            )));
        }
        Ok(Self {
            names: levels.iter().map(|l| l.name.clone()).collect(),
            descriptions: levels.iter().map(|l| l.engine.description()).collect(),
            colour,
            levels: Mutex::new(levels),
            before: AtomicUsize::new(NONE),
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

    /// Whether the next frame is to be left out; counts it if so. `index` numbers the stream's frames. Frames that a person
    /// wants as they come cost nothing.
    pub fn skips(&self, index: u64) -> bool {
        let skip = self.dials.every_second() && !self.dials.switched_off() && index % 2 == 1;
        if skip {
            lock(&self.stats).skipped += 1;
        }
        skip
    }

    /// The next frame does not continue the last one: another camera, a pause, a slate between.
    pub fn restart(&self) {
        self.before.store(NONE, Ordering::Relaxed);
    }

    /// Counts a frame that passed as it came.
    pub fn note_untouched(&self) {
        self.restart();
        lock(&self.stats).untouched += 1;
    }

    /// Counts a frame that the engine refused.
    pub fn note_failed(&self) {
        self.restart();
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
        if self.before.swap(index, Ordering::Relaxed) != index {
            level.engine.reset();
        }
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
    fn a_frame_that_continues_nothing_is_a_first_one() {
        let engines = [0, 1].map(|_| InvertingEngine::new(Colour::Luma));
        let resets = engines.each_ref().map(|engine| engine.resets.clone());
        let levels = engines.into_iter().enumerate().map(|(at, engine)| Level {
            name: at.to_string(),
            engine: Box::new(engine),
        });
        let sharpener = Sharpener::new(levels.collect(), Arc::default()).unwrap();
        let frame = || {
            let (input, mut output) = ([9; 64], [0; 64]);
            let view = FrameView::packed(PixelFormat::Gray8, 8, 8, &input).unwrap();
            let mut out = FrameViewMut::packed(PixelFormat::Gray8, 8, 8, &mut output).unwrap();
            sharpener.sharpen(&view, &mut out).unwrap();
        };
        let found = || [0, 1].map(|at| resets[at].load(Ordering::Relaxed));
        frame();
        frame();
        assert_eq!(found(), [1, 0]);
        // Another level, and back again: its memory is of long ago.
        sharpener.dials().set_load(1, false, false);
        frame();
        frame();
        assert_eq!(found(), [1, 1]);
        sharpener.dials().set_load(0, false, false);
        frame();
        assert_eq!(found(), [2, 1]);
        for pause in [
            Sharpener::restart,
            Sharpener::note_untouched,
            Sharpener::note_failed,
        ] {
            let before = found()[0];
            pause(&sharpener);
            frame();
            frame();
            assert_eq!(found(), [before + 1, 1]);
        }
    }

    #[test]
    fn no_frame_is_left_out_that_a_person_wants_as_it_came() {
        let sharpener = sharpener();
        sharpener.dials().set_load(0, true, false);
        assert!(sharpener.skips(1));
        sharpener.dials().set_bypass(true);
        assert!(!sharpener.skips(1));
        assert_eq!(sharpener.stats().skipped, 1);
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

//! How long a frame of a standard size takes.

use std::time::{Duration, Instant};

use crate::picture::Picture;
use crate::restore::Restore;

/// The sizes that tables show, width and height: 720p, 1080p, and 1080p upright in whole blocks of 16.
pub const STANDARD: [(usize, usize); 3] = [(1280, 720), (1920, 1080), (1088, 1920)];

/// A restorer that needs longer than this for a frame is not timed further.
const PATIENCE: Duration = Duration::from_secs(20);

/// After this long, one time has to do.
const SLOW: Duration = Duration::from_secs(4);

/// Time for a frame of one size.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub struct Speed {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Median time in milliseconds.
    pub ms: f64,
    /// Frames in a second at that time.
    pub fps: f64,
}

/// Times a restorer on frames of `width` x `height`, made by repeating `sample`. `known` is its time
/// for a pixel in seconds, where measured: `None` comes back for a frame that would take too long.
///
/// # Errors
/// When the restorer fails.
pub fn speed(
    method: &mut dyn Restore,
    sample: &Picture,
    (width, height): (usize, usize),
    known: Option<f64>,
) -> anyhow::Result<Option<Speed>> {
    let expected = known.unwrap_or(0.0) * (width * height) as f64;
    if expected > PATIENCE.as_secs_f64() {
        return Ok(None);
    }
    let mut frame = Picture::new(sample.channels, height, width);
    for (row, line) in frame.data.chunks_exact_mut(width).enumerate() {
        let (c, y) = (row / height, row % height);
        let from = (c * sample.height + y % sample.height) * sample.width;
        let source = &sample.data[from..from + sample.width];
        line.iter_mut()
            .zip(source.iter().cycle())
            .for_each(|(to, from)| *to = *from);
    }
    let mut times = Vec::new();
    let begun = Instant::now();
    let mut run = || -> anyhow::Result<Duration> {
        let start = Instant::now();
        method.restore(&frame)?;
        Ok(method.elapsed().unwrap_or_else(|| start.elapsed()))
    };
    // The first run fills caches and makes plans; slow restorers are not asked a second time.
    let first = run()?;
    if begun.elapsed() > SLOW {
        times.push(first);
    }
    while times.len() < 3 || (times.len() < 20 && begun.elapsed() < Duration::from_secs(1)) {
        if !times.is_empty() && begun.elapsed() > SLOW {
            break;
        }
        times.push(run()?);
    }
    let ms = median_ms(&mut times);
    Ok(Some(Speed {
        width,
        height,
        ms,
        fps: 1000.0 / ms,
    }))
}

/// The median in milliseconds; NaN when there is none.
pub(super) fn median_ms(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .map_or(f64::NAN, |time| 1000.0 * time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::bicubic::Bicubic;

    #[test]
    fn frames_have_the_size_asked_for_and_slow_restorers_are_spared() {
        let sample = Picture::new(1, 5, 7);
        let found = speed(&mut Bicubic, &sample, (64, 48), None).unwrap();
        let found = found.unwrap();
        assert_eq!((found.width, found.height), (64, 48));
        assert!((found.fps * found.ms - 1000.0).abs() < 1e-6);
        let slow = speed(&mut Bicubic, &sample, (64, 48), Some(1.0)).unwrap();
        assert!(slow.is_none());
    }
}

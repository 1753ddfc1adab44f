//! What only shows in motion.

use serde::Serialize;

use super::{MetricError, same_shape};
use crate::picture::Picture;

/// Temporal faults of a video against its reference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Temporal {
    /// Mean absolute difference between the changes from frame to frame of both videos, luma,
    /// 0..255. No motion is estimated: what moves in the reference moves in both and cancels out.
    pub flicker: f64,
    /// Largest flicker of a pair of frames.
    pub flicker_max: f64,
    /// Frames that (nearly) repeat their predecessor while the reference moves on: dropped ones, as
    /// players and cameras show them.
    pub repeated: usize,
    /// Changes from frame to frame that were compared.
    pub changes: usize,
}

/// Mean change of a reference, in steps of 1/255, below which nothing is said about repeated frames.
const STILL: f64 = 0.2;
/// Share of the reference's change that a repeated frame may still show.
const STANDING: f64 = 0.15;

/// Mean absolute difference of two planes, 0..255.
fn mean_change(before: &Picture, now: &Picture) -> f64 {
    let pairs = before.data.iter().zip(&now.data);
    let sum: f64 = pairs.map(|(a, b)| f64::from((a - b).abs())).sum();
    255.0 * sum / now.data.len() as f64
}

/// Takes frames of both videos in order.
#[derive(Debug, Default)]
pub struct TemporalMeter {
    last: Option<(Picture, Picture)>,
    sum: f64,
    found: Temporal,
}

impl TemporalMeter {
    /// The next frame of each video; gives the flicker since the frame before, if there was one.
    ///
    /// # Errors
    /// When the frames differ in shape from each other or from those before.
    pub fn push(
        &mut self,
        reference: &Picture,
        distorted: &Picture,
    ) -> Result<Option<f64>, MetricError> {
        same_shape(reference, distorted)?;
        let now = (reference.luma(), distorted.luma());
        let mut since = None;
        if let Some(before) = &self.last {
            same_shape(&before.0, &now.0)?;
            let sum: f64 = (0..now.0.data.len())
                .map(|i| {
                    let moved = now.0.data[i] - before.0.data[i];
                    let shown = now.1.data[i] - before.1.data[i];
                    f64::from((shown - moved).abs())
                })
                .sum();
            let flicker = 255.0 * sum / now.0.data.len() as f64;
            self.sum += flicker;
            self.found.changes += 1;
            self.found.flicker_max = self.found.flicker_max.max(flicker);
            let moved = mean_change(&before.0, &now.0);
            let shown = mean_change(&before.1, &now.1);
            // A codec leaves a little change even where it was given the same frame twice.
            let stands = moved > STILL && shown < STANDING * moved;
            self.found.repeated += usize::from(stands);
            since = Some(flicker);
        }
        self.last = Some(now);
        Ok(since)
    }

    /// What was found so far.
    pub fn found(&self) -> Temporal {
        Temporal {
            flicker: self.sum / self.found.changes.max(1) as f64,
            ..self.found
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(value: u8) -> Picture {
        Picture::from_bytes(1, 2, 2, &[value; 4])
    }

    #[test]
    fn flicker_counts_changes_that_the_reference_does_not_have() {
        let mut meter = TemporalMeter::default();
        // The reference brightens by 2 a frame; the other is 10 brighter, flashes once, then stands.
        for (reference, distorted) in [(20, 30), (22, 32), (24, 40), (26, 36), (28, 36)] {
            meter.push(&flat(reference), &flat(distorted)).unwrap();
        }
        let found = meter.found();
        assert_eq!((found.changes, found.repeated), (4, 1));
        assert!(
            (found.flicker - (0.0 + 6.0 + 6.0 + 2.0) / 4.0).abs() < 1e-4,
            "{found:?}"
        );
        assert!((found.flicker_max - 6.0).abs() < 1e-4);
        assert!(meter.push(&flat(1), &Picture::new(1, 2, 3)).is_err());
    }
}

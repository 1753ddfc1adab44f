//! What a restorer does to pictures that need nothing: a sharpener must leave them alone.
//!
//! Three measurements. Sharp photographs: PSNR of the output against the input. Step edges, straight and slanted,
//! of 64 to 192 levels: the largest overshoot as a part of the step. Flat grey under Gaussian noise of 2 and 4
//! levels: the standard deviation after, over that before.

use hone_shared::student::Colour;
use serde::Serialize;

use super::planes;
use crate::data::random::{normal, stream};
use crate::metric::Metric;
use crate::picture::Picture;
use crate::restore::Restore;

/// Side of the drawn pictures, and the part of it at the border that is not looked at, in pixels.
const SIDE: usize = 128;
const BORDER: usize = 16;
/// Dark and bright side of the steps, in levels of 255.
const STEPS: [(f32, f32); 3] = [(96.0, 160.0), (64.0, 192.0), (32.0, 224.0)];
/// Tangents of the edges' slant: upright, and at angles that no pixel grid hides.
const SLANTS: [f32; 3] = [0.0, 0.2, 0.7];
/// Deviations of the noise, in levels of 255.
const NOISE: [f32; 2] = [2.0, 4.0];

/// What [`measure`] finds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Harm {
    /// Mean PSNR of the output against a sharp input in dB; absent without sharp pictures.
    pub sharp_psnr_db: Option<f64>,
    /// The same for the picture that suffers most.
    pub worst_psnr_db: Option<f64>,
    /// Largest overshoot at a step edge, in percent of the step.
    pub overshoot_percent: f64,
    /// Largest factor by which noise on flat grey grows.
    pub noise_gain: f64,
}

/// Lets `method` restore sharp pictures, each of which is asked for when the one before is done with, step edges and flat
/// noise.
///
/// # Errors
/// When it fails, or a picture cannot be had.
pub fn measure(
    method: &mut dyn Restore,
    sharp: impl IntoIterator<Item = anyhow::Result<Picture>>,
    colour: Colour,
) -> anyhow::Result<Harm> {
    let psnr = Metric::named("psnr_rgb")?;
    let (mut count, mut sum, mut worst) = (0_usize, 0.0, f64::INFINITY);
    for picture in sharp {
        let input = planes(&picture?, colour);
        let output = planes(&method.restore(&input)?, colour);
        // An untouched picture counts as 100 dB.
        let score = psnr.compute(&input, &output)?.min(100.0);
        count += 1;
        sum += score;
        worst = worst.min(score);
    }
    let mut overshoot: f64 = 0.0;
    for (dark, bright) in STEPS {
        for slant in SLANTS {
            for turned in [false, true] {
                let edge = spread(step_edge(dark, bright, slant, turned), colour);
                let seen = inner(&method.restore(&edge)?);
                let peak = seen.iter().copied().fold(f32::MIN, f32::max);
                let dip = seen.iter().copied().fold(f32::MAX, f32::min);
                let over = (255.0 * peak - bright).max(dark - 255.0 * dip);
                overshoot = overshoot.max(f64::from(over / (bright - dark)));
            }
        }
    }
    let mut gain: f64 = 0.0;
    for (i, deviation) in NOISE.into_iter().enumerate() {
        let flat = spread(flat_noise(deviation, i as u64), colour);
        let after = method.restore(&flat)?;
        gain = gain.max(spread_of(&inner(&after)) / spread_of(&inner(&flat)));
    }
    let some = count > 0;
    Ok(Harm {
        sharp_psnr_db: some.then(|| sum / count as f64),
        worst_psnr_db: some.then_some(worst),
        overshoot_percent: 100.0 * overshoot.max(0.0),
        noise_gain: gain,
    })
}

/// An antialiased edge through the middle, upright or lying.
fn step_edge(dark: f32, bright: f32, slant: f32, turned: bool) -> Picture {
    let mut picture = Picture::new(1, SIDE, SIDE);
    let middle = SIDE as f32 / 2.0;
    for y in 0..SIDE {
        for x in 0..SIDE {
            let (across, along) = if turned { (y, x) } else { (x, y) };
            let place = middle + slant * (along as f32 - middle);
            let share = (across as f32 + 1.0 - place).clamp(0.0, 1.0);
            let level = dark + share * (bright - dark);
            picture.data[y * SIDE + x] = level.round() / 255.0;
        }
    }
    picture
}

fn flat_noise(deviation: f32, seed: u64) -> Picture {
    let mut picture = Picture::new(1, SIDE, SIDE);
    let mut rng = stream(&[seed, 0x666c_6174]);
    for sample in &mut picture.data {
        *sample = (128.0 + deviation * normal(&mut rng)).round() / 255.0;
    }
    picture
}

/// The grey picture in the planes of `colour`.
fn spread(grey: Picture, colour: Colour) -> Picture {
    let mut picture = Picture::new(colour.channels(), grey.height, grey.width);
    let plane = grey.data.len();
    for (i, sample) in picture.data.iter_mut().enumerate() {
        *sample = grey.data[i % plane];
    }
    picture
}

/// The first plane away from the border.
fn inner(picture: &Picture) -> Vec<f32> {
    let (height, width) = (picture.height - 2 * BORDER, picture.width - 2 * BORDER);
    let mut samples = picture.crop(BORDER, BORDER, height, width).data;
    samples.truncate(height * width);
    samples
}

/// Standard deviation.
fn spread_of(samples: &[f32]) -> f64 {
    let count = samples.len() as f64;
    let mean = samples.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let squares = samples.iter().map(|v| (f64::from(*v) - mean).powi(2));
    (squares.sum::<f64>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synth::scene;
    use crate::evaluate::Unchanged;
    use crate::evaluate::unsharp::Unsharp;

    #[test]
    fn nothing_does_no_harm_and_an_unsharp_mask_does() {
        let sharp = || [Ok(scene(1, 0, 64, 48))];
        let none = measure(&mut Unchanged, sharp(), Colour::Luma).unwrap();
        assert_eq!(none.sharp_psnr_db, Some(100.0));
        assert_eq!((none.overshoot_percent, none.noise_gain), (0.0, 1.0));
        let mut mask = Unsharp {
            sigma: 1.0,
            amount: 1.0,
        };
        let found = measure(&mut mask, sharp(), Colour::Luma).unwrap();
        // At an edge the mask adds just under half the step on each side, and a little more than
        // doubles what it sees as detail in white noise.
        assert!((20.0..50.0).contains(&found.overshoot_percent), "{found:?}");
        assert!((1.5..2.0).contains(&found.noise_gain), "{found:?}");
        assert!(
            found.sharp_psnr_db.is_some_and(|psnr| psnr < 40.0),
            "{found:?}"
        );
        assert_eq!(found.sharp_psnr_db, found.worst_psnr_db);
    }
}

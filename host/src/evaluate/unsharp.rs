//! Unsharp masking, the classical baseline: `x + amount * (x - gaussian(x))`.

use anyhow::bail;
use hone_shared::student::Colour;
use rayon::prelude::*;

use super::{PairSet, planes};
use crate::metric::mse;
use crate::picture::Picture;
use crate::restore::Restore;

/// An unsharp mask.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Unsharp {
    /// Standard deviation of the Gaussian in pixels.
    pub sigma: f32,
    /// How much of the difference is added.
    pub amount: f32,
}

/// Standard deviations tried, in pixels.
const SIGMAS: [f32; 8] = [0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6];
/// Amounts tried.
const AMOUNTS: [f32; 14] = [
    0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0,
];

/// PSNR in dB from which on a picture counts as good already.
const GOOD_DB: f64 = 40.0;

/// What tuning found.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Tuning {
    /// The mask of highest mean PSNR.
    #[serde(flatten)]
    pub mask: Unsharp,
    /// Why that mask adds nothing, when it is pictures that are good already that forbid it.
    pub spoilt: Option<Spoilt>,
}

/// Pictures that lose more by sharpening than the others gain.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Spoilt {
    /// How many have 40 dB and more already.
    pub good: usize,
    /// Of how many.
    pub of: usize,
    /// The mask of highest mean PSNR on the others.
    pub mask: Unsharp,
    /// What it gains there, in dB.
    pub gain_db: f64,
}

impl Unsharp {
    /// The mask of highest mean PSNR over the pairs whose input is not the truth already, by grid
    /// search over sigma and amount; outputs are clamped but not rounded.
    ///
    /// # Errors
    /// When there is no pair, or one cannot be loaded.
    pub fn tuned(pairs: &PairSet, colour: Colour) -> anyhow::Result<Tuning> {
        if pairs.is_empty() {
            bail!("tuning the unsharp mask needs pairs");
        }
        let masks: Vec<Self> = SIGMAS
            .iter()
            .flat_map(|&sigma| AMOUNTS.iter().map(move |&amount| Self { sigma, amount }))
            .collect();
        let mut psnr = Vec::new();
        for i in 0..pairs.len() {
            let pair = pairs.get(i)?;
            let (input, truth) = (planes(&pair.input, colour), planes(&pair.truth, colour));
            // What needs no mending has no PSNR, and would outweigh all pairs that do.
            if input != truth {
                psnr.push(psnr_by_mask(&input, &truth)?);
            }
        }
        let all: Vec<&[f64]> = psnr.iter().map(Vec::as_slice).collect();
        let (best, _) = highest(&all);
        let mut spoilt = None;
        if masks[best].amount == 0.0 {
            let bad = |psnr: &&[f64]| psnr[0] < GOOD_DB;
            let others: Vec<&[f64]> = all.iter().copied().filter(bad).collect();
            let (best, gain_db) = highest(&others);
            spoilt = (gain_db > 0.0).then(|| Spoilt {
                good: all.len() - others.len(),
                of: all.len(),
                mask: masks[best],
                gain_db,
            });
        }
        Ok(Tuning {
            mask: masks[best],
            spoilt,
        })
    }

    /// Whether no larger amount, or no sigma beyond this one, is tried.
    pub fn is_at_the_edge(&self) -> bool {
        let [narrowest, .., widest] = SIGMAS;
        let [.., most] = AMOUNTS;
        self.amount == most || [narrowest, widest].contains(&self.sigma)
    }

    /// Sharpens a picture; clamped to 0..1.
    pub fn apply(&self, input: &Picture) -> Picture {
        mask(input, &gaussian(input, self.sigma), self.amount)
    }

    fn radius(&self) -> usize {
        radius(self.sigma)
    }
}

impl Restore for Unsharp {
    fn name(&self) -> String {
        "unsharp mask".into()
    }

    fn restore(&mut self, input: &Picture) -> anyhow::Result<Picture> {
        Ok(self.apply(input))
    }

    fn takes_luma(&self) -> bool {
        true
    }

    /// Two passes of the separable Gaussian and one multiplication.
    fn macs_per_pixel(&self) -> Option<f64> {
        Some((2 * (2 * self.radius() + 1) + 1) as f64)
    }
}

/// PSNR in dB by every mask, in the order of the grid; the first adds nothing.
fn psnr_by_mask(input: &Picture, truth: &Picture) -> anyhow::Result<Vec<f64>> {
    let mut psnr = Vec::with_capacity(SIGMAS.len() * AMOUNTS.len());
    for sigma in SIGMAS {
        let soft = gaussian(input, sigma);
        for amount in AMOUNTS {
            let error = mse(truth, &mask(input, &soft, amount))?;
            psnr.push(-10.0 * error.max(1e-10).log10());
        }
    }
    Ok(psnr)
}

/// The mask of highest mean PSNR, the smallest of equals, and what it gains over none in dB.
fn highest(pictures: &[&[f64]]) -> (usize, f64) {
    let gain = |mask: usize| {
        let gains = pictures.iter().map(|psnr| psnr[mask] - psnr[0]);
        gains.sum::<f64>() / pictures.len().max(1) as f64
    };
    let gains = (0..SIGMAS.len() * AMOUNTS.len()).map(|mask| (mask, gain(mask)));
    gains.fold(
        (0, 0.0),
        |best, next| if next.1 > best.1 { next } else { best },
    )
}

fn radius(sigma: f32) -> usize {
    (3.0 * sigma).ceil() as usize
}

fn mask(input: &Picture, soft: &Picture, amount: f32) -> Picture {
    let mut out = input.clone();
    let samples = out.data.iter_mut().zip(&soft.data);
    samples.for_each(|(x, soft)| *x = (*x + amount * (*x - soft)).clamp(0.0, 1.0));
    out
}

/// A separable Gaussian cut off at three sigmas, border repeated.
fn gaussian(input: &Picture, sigma: f32) -> Picture {
    let (h, w, r) = (input.height, input.width, radius(sigma));
    let mut taps: Vec<f32> = (0..=2 * r)
        .map(|i| (-0.5 * ((i as f32 - r as f32) / sigma).powi(2)).exp())
        .collect();
    let total: f32 = taps.iter().sum();
    taps.iter_mut().for_each(|tap| *tap /= total);
    let mut down = input.clone();
    let rows = down.data.par_chunks_mut(w).enumerate();
    rows.for_each(|(row, out)| {
        let (c, y) = (row / h, row % h);
        out.fill(0.0);
        for (i, tap) in taps.iter().enumerate() {
            let source = (y + i).saturating_sub(r).min(h - 1);
            let input = &input.data[(c * h + source) * w..][..w];
            out.iter_mut().zip(input).for_each(|(o, x)| *o += tap * x);
        }
    });
    let mut out = down.clone();
    let rows = out.data.par_chunks_mut(w).zip(down.data.par_chunks(w));
    rows.for_each(|(out, input)| {
        let mut padded = vec![input[0]; r];
        padded.extend_from_slice(input);
        padded.resize(w + 2 * r, input[w - 1]);
        out.fill(0.0);
        for (i, tap) in taps.iter().enumerate() {
            let shifted = padded[i..].iter();
            out.iter_mut().zip(shifted).for_each(|(o, x)| *o += tap * x);
        }
    });
    out
}

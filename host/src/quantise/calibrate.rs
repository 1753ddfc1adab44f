//! Choosing the range of each activation from what it holds on calibration pictures.

use anyhow::{Result, ensure};
use hone_shared::quant::{Affine, INPUT};
use hone_shared::student::ConvChain;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::mixed::MixedLayer;

/// Bins of a histogram.
const BINS: usize = 2048;
/// Clipping factors tried, from 1/CANDIDATES to 1.
const CANDIDATES: usize = 128;

/// How ranges are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Calibration {
    /// Everything seen fits.
    MinMax,
    /// A share of the values fits; the rest is clipped.
    Percentile,
    /// Least mean squared error.
    #[default]
    Mse,
    /// Least Kullback-Leibler divergence between the histograms before and after, as in Migacz,
    /// "8-bit Inference with TensorRT" (GTC 2017).
    Entropy,
}

/// What one tensor held.
#[derive(Debug, Clone)]
struct Histogram {
    low: f32,
    high: f32,
    counts: Vec<f64>,
}

/// What every layer of a chain gave, after ReLU.
#[derive(Debug)]
pub(super) struct Ranges {
    histograms: Vec<Histogram>,
}

impl Ranges {
    /// Runs the chain in f32 on `blocks`.
    pub fn measure(chain: &ConvChain, blocks: &[Tensor]) -> Self {
        let mut inputs: Vec<Tensor> = blocks.iter().map(Tensor::shallow_clone).collect();
        let mut histograms = Vec::new();
        for layer in &chain.layers {
            let layer = MixedLayer::Float(layer.clone());
            inputs = inputs.iter().map(|x| layer.run(x)).collect();
            histograms.push(Histogram::of(&inputs));
        }
        Self { histograms }
    }

    /// Scale and zero point of every layer's output.
    ///
    /// # Errors
    /// When a layer gave values that are no numbers.
    pub fn choose(
        &self,
        chain: &ConvChain,
        how: Calibration,
        percentile: f64,
    ) -> Result<Vec<Affine>> {
        let last = chain.layers.len().saturating_sub(1);
        let mut affines = Vec::new();
        for (i, (histogram, layer)) in self.histograms.iter().zip(&chain.layers).enumerate() {
            let finite = histogram.low.is_finite() && histogram.high.is_finite();
            ensure!(
                finite,
                "layer {i} gives values that are no numbers on a calibration picture"
            );
            let affine = match how {
                Calibration::MinMax => affine(histogram.low, histogram.high),
                Calibration::Percentile => histogram.percentile(percentile),
                Calibration::Mse => histogram.best(Histogram::squared_error),
                Calibration::Entropy if layer.relu => histogram.best(Histogram::divergence),
                Calibration::Entropy => histogram.best(Histogram::squared_error),
            };
            affines.push(if i == last { residual(affine) } else { affine });
        }
        Ok(affines)
    }
}

/// The residual in steps of the frame's own where it fits: at full strength the sum of two bytes
/// then needs no second rounding, and finer steps would be lost in the first.
fn residual(affine: Affine) -> Affine {
    if affine.scale >= INPUT.scale {
        return affine;
    }
    let low = -f32::from(affine.zero_point) * affine.scale;
    let high = (255.0 - f32::from(affine.zero_point)) * affine.scale;
    let middle = (low + high) / 2.0 / INPUT.scale;
    let zero_point = (127.5 - middle).round().clamp(0.0, 255.0) as u8;
    Affine {
        scale: INPUT.scale,
        zero_point,
    }
}

/// The affine whose levels cover `low..=high` and 0.
fn affine(low: f32, high: f32) -> Affine {
    let (low, high) = (low.min(0.0), high.max(0.0));
    let scale = ((high - low) / 255.0).max(1e-8);
    let zero_point = (-low / scale).round_ties_even().clamp(0.0, 255.0) as u8;
    Affine { scale, zero_point }
}

impl Histogram {
    fn of(tensors: &[Tensor]) -> Self {
        let (mut low, mut high) = (0f64, 0f64);
        for x in tensors {
            let sound = x.isfinite().all().int64_value(&[]) == 1;
            low = if sound {
                low.min(x.min().double_value(&[]))
            } else {
                f64::NAN
            };
            high = high.max(x.max().double_value(&[]));
            if !sound {
                return Self {
                    low: f32::NAN,
                    high: f32::NAN,
                    counts: Vec::new(),
                };
            }
        }
        let mut counts = vec![0f64; BINS];
        for x in tensors {
            let scaled = (x.to_kind(Kind::Double) - low) * (BINS as f64 / (high - low).max(1e-12));
            let bins = scaled
                .clamp(0.0, (BINS - 1) as f64)
                .to_kind(Kind::Int64)
                .flatten(0, -1);
            let found = bins
                .bincount::<Tensor>(None, BINS as i64)
                .to_kind(Kind::Double);
            let found = Vec::<f64>::try_from(found).unwrap_or_default();
            counts.iter_mut().zip(found).for_each(|(c, f)| *c += f);
        }
        Self {
            low: low as f32,
            high: high as f32,
            counts,
        }
    }

    /// Middle of bin `i`.
    fn value(&self, i: usize) -> f64 {
        let width = f64::from(self.high - self.low) / BINS as f64;
        f64::from(self.low) + (i as f64 + 0.5) * width
    }

    fn percentile(&self, percent: f64) -> Affine {
        let total: f64 = self.counts.iter().sum();
        let outside = total * (1.0 - percent / 100.0);
        let edge = |counts: &mut dyn Iterator<Item = &f64>| {
            let mut seen = 0.0;
            counts
                .take_while(|c| {
                    seen += **c;
                    seen <= outside
                })
                .count()
        };
        let from_above = edge(&mut self.counts.iter().rev());
        let from_below = edge(&mut self.counts.iter());
        let width = (self.high - self.low) / BINS as f32;
        // A ReLU's zeros are most of what lies below: the low end is cut for signed tensors only.
        let low = if self.low < 0.0 {
            self.low + from_below as f32 * width
        } else {
            0.0
        };
        affine(low, self.high - from_above as f32 * width)
    }

    /// The affine of least `cost` among clipped ranges.
    fn best(&self, cost: fn(&Self, Affine) -> f64) -> Affine {
        let candidate = |i: usize| {
            let share = i as f32 / CANDIDATES as f32;
            affine(self.low * share, self.high * share)
        };
        let mut best = (f64::INFINITY, candidate(CANDIDATES));
        for i in (1..=CANDIDATES).rev() {
            let cost = cost(self, candidate(i));
            if cost < best.0 {
                best = (cost, candidate(i));
            }
        }
        best.1
    }

    /// Sum of squared differences after a stay in u8.
    fn squared_error(&self, affine: Affine) -> f64 {
        let error = |(i, count): (usize, &f64)| {
            let value = self.value(i);
            let back = f64::from(affine.real(affine.quantise(value as f32)));
            count * (value - back).powi(2)
        };
        self.counts.iter().enumerate().map(error).sum()
    }

    /// Divergence of the histogram from its version with one value for each level. Bins that are
    /// clipped count in the last level kept. For tensors with zero point 0.
    fn divergence(&self, affine: Affine) -> f64 {
        let level = |i: usize| usize::from(affine.quantise(self.value(i) as f32));
        let end = f64::from(affine.real(255));
        let kept = (0..BINS)
            .take_while(|&i| self.value(i) <= end)
            .count()
            .max(1);
        let clipped: f64 = self.counts[kept..].iter().sum();
        let (mut sums, mut spoken) = (vec![0f64; 256], vec![0f64; 256]);
        for i in 0..kept {
            sums[level(i)] += self.counts[i];
            spoken[level(i)] += f64::from(u8::from(self.counts[i] > 0.0));
        }
        let total: f64 = self.counts.iter().sum::<f64>().max(1.0);
        let approximate: f64 = (total - clipped).max(1.0);
        let mut divergence = 0.0;
        for i in 0..kept {
            let mut p = self.counts[i];
            if i + 1 == kept {
                p += clipped;
            }
            if p > 0.0 {
                let q = sums[level(i)] / spoken[level(i)].max(1.0);
                divergence += p / total * ((p / total) / (q / approximate).max(1e-12)).ln();
            }
        }
        divergence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outliers_are_clipped_by_all_but_min_max() {
        let body = Tensor::linspace(0.0, 1.0, 100_000, tch::kind::FLOAT_CPU);
        let histogram = Histogram::of(&[body, Tensor::from_slice(&[40f32])]);
        assert!((affine(histogram.low, histogram.high).scale - 40.0 / 255.0).abs() < 1e-6);
        // Squares weigh the one outlier against all small steps: it gives way a little.
        for (chosen, limit) in [
            (histogram.percentile(99.99), 1.1),
            (histogram.best(Histogram::squared_error), 38.0),
        ] {
            let range = chosen.scale * 255.0;
            assert!((0.9..limit).contains(&range), "range {range}");
            assert_eq!(chosen.zero_point, 0);
        }
    }

    #[test]
    fn entropy_clips_a_thin_tail() {
        let body = Tensor::linspace(0.0, 1.0, 200_000, tch::kind::FLOAT_CPU);
        let tail = Tensor::linspace(1.0, 8.0, 200, tch::kind::FLOAT_CPU);
        let histogram = Histogram::of(&[body, tail]);
        let range = histogram.best(Histogram::divergence).scale * 255.0;
        assert!((0.9..7.9).contains(&range), "range {range}");
    }

    #[test]
    fn small_residuals_take_the_frame_s_own_steps() {
        let chosen = residual(affine(-0.2, 0.1));
        assert_eq!(chosen.scale, INPUT.scale);
        assert!(chosen.real(0) <= -0.2 && chosen.real(255) >= 0.1);
        assert!(residual(affine(-0.9, 0.9)).scale > INPUT.scale);
    }
}

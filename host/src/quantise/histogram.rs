//! What a tensor holds, and the range of bytes that serves it best.

use hone_shared::quant::Affine;
use tch::{Kind, Tensor};

use super::Calibration;

/// Bins of a histogram.
const BINS: usize = 2048;
/// Clipping factors tried, from 1/CANDIDATES to 1.
const CANDIDATES: usize = 128;
/// Levels of a byte.
const LEVELS: usize = 256;

/// What one tensor held.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    low: f32,
    high: f32,
    counts: Vec<f64>,
}

/// The affine whose levels cover `low..=high` and 0.
pub(super) fn affine(low: f32, high: f32) -> Affine {
    let (low, high) = (low.min(0.0), high.max(0.0));
    let scale = ((high - low) / 255.0).max(1e-8);
    let zero_point = (-low / scale).round_ties_even().clamp(0.0, 255.0) as u8;
    Affine { scale, zero_point }
}

/// `affine` with another step: the middle of its range stays where it is.
pub(super) fn with_step(affine: Affine, scale: f32) -> Affine {
    let middle = (affine.real(0) + affine.real(255)) / 2.0;
    let zero_point = (127.5 - middle / scale).round().clamp(0.0, 255.0) as u8;
    Affine { scale, zero_point }
}

/// The same of what may come out of a ReLU: it needs no room below 0, and that there is none is all that an INT8 layer
/// knows of its ReLU.
pub(super) fn with_hidden_step(affine: Affine, scale: f32) -> Affine {
    match affine.zero_point {
        0 => Affine { scale, ..affine },
        _ => with_step(affine, scale),
    }
}

/// The least power of two that is not below `step`, 2^-40 to 2^40.
pub(super) fn power_above(step: f32) -> f32 {
    2f32.powi(step.log2().ceil().clamp(-40.0, 40.0) as i32)
}

impl Histogram {
    /// Of all values of `tensors`, 0 included.
    pub fn of(tensors: &[Tensor]) -> Self {
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

    /// Whether every value was a number.
    pub fn is_sound(&self) -> bool {
        self.low.is_finite() && self.high.is_finite()
    }

    /// The range in which everything fits.
    pub fn whole(&self) -> Affine {
        affine(self.low, self.high)
    }

    /// The range in which `percent` of the values fit.
    pub fn percentile(&self, percent: f64) -> Affine {
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

    /// The range that `how` chooses. Entropy is for what comes out of a ReLU, others get the range of
    /// least squared error instead.
    pub fn choose(&self, how: Calibration, percentile: f64) -> Affine {
        match how {
            Calibration::MinMax => self.whole(),
            Calibration::Percentile => self.percentile(percentile),
            Calibration::Entropy if self.low >= 0.0 => self.least_divergent(),
            Calibration::Mse | Calibration::Search | Calibration::Entropy => self.least_squares(),
        }
    }

    /// As [`Histogram::choose`] with a power of two for a step: the next one up, so that no more is
    /// clipped, or the one below where least squares asks for it.
    pub fn choose_power(&self, how: Calibration, percentile: f64) -> Affine {
        let free = self.choose(how, percentile);
        let step = |scale| with_hidden_step(free, scale);
        let above = step(power_above(free.scale));
        let below = step(above.scale / 2.0);
        let finer = self.squared_error(below) < self.squared_error(above);
        if matches!(how, Calibration::Mse | Calibration::Search) && finer {
            below
        } else {
            above
        }
    }

    /// The clipped range of least squared error.
    pub fn least_squares(&self) -> Affine {
        self.best(1, |affine| self.squared_error(affine))
    }

    /// The clipped range of least divergence, for what comes out of a ReLU. The many zeros of such a
    /// tensor stay zeros at every scale: they count no more than their neighbours do, else the level
    /// that holds them would be worth any clipping. Ranges with fewer bins than levels are left out,
    /// for no bin shares its level there.
    pub fn least_divergent(&self) -> Affine {
        let mut spoken = self.clone();
        spoken.counts[0] = spoken.counts[1];
        self.best(CANDIDATES * LEVELS / BINS, |affine| {
            spoken.divergence(affine)
        })
    }

    /// The affine of least `cost` among ranges clipped to `first / CANDIDATES` and more.
    fn best(&self, first: usize, cost: impl Fn(Affine) -> f64) -> Affine {
        let candidate = |i: usize| {
            let share = i as f32 / CANDIDATES as f32;
            affine(self.low * share, self.high * share)
        };
        let mut best = (f64::INFINITY, candidate(CANDIDATES));
        for i in (first..=CANDIDATES).rev() {
            let cost = cost(candidate(i));
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
        let (mut sums, mut spoken) = (vec![0f64; LEVELS], vec![0f64; LEVELS]);
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
        assert!((histogram.whole().scale - 40.0 / 255.0).abs() < 1e-6);
        // The bin that 1 lies in ends at 1.016. Squares weigh the one outlier against all small steps: 100,000 / 12
        // (range / 255)^2 + (40 - range)^2 is least at 35.5.
        for (chosen, bounds) in [
            (histogram.percentile(99.99), 1.0..1.02),
            (histogram.least_squares(), 34.5..36.5),
        ] {
            let range = chosen.scale * 255.0;
            assert!(bounds.contains(&range), "range {range}");
            assert_eq!(chosen.zero_point, 0);
        }
    }

    #[test]
    fn entropy_clips_a_thin_tail() {
        // Half a bell of deviation 0.1, by its quantiles.
        let body = Tensor::linspace(0.0, 0.999_995, 200_000, tch::kind::FLOAT_CPU).erfinv();
        let tail = Tensor::linspace(1.0, 8.0, 20, tch::kind::FLOAT_CPU);
        let histogram = Histogram::of(&[body * (0.1 * 2f64.sqrt()), tail]);
        let range = |affine: Affine| affine.scale * 255.0;
        // At the whole range 3 levels are left for the body, where the divergence is 2.7 times the least.
        let entropy = range(histogram.least_divergent());
        assert!((1.5..5.2).contains(&entropy), "range {entropy}");
        // Squares count how far out the tail is.
        let squares = range(histogram.least_squares());
        assert!((6.5..7.6).contains(&squares), "range {squares}");
    }

    #[test]
    fn entropy_does_not_clip_for_the_zeros_of_a_relu() {
        tch::manual_seed(5);
        let sums = Tensor::randn([1 << 18], tch::kind::FLOAT_CPU);
        for silent in [0.0, 1.5] {
            let map = (&sums - silent).relu();
            let histogram = Histogram::of(&[map]);
            let error = |affine| histogram.squared_error(affine);
            let (entropy, least) = (histogram.least_divergent(), histogram.least_squares());
            assert!(
                error(entropy) < 1.5 * error(least),
                "{entropy:?} is worse than {least:?} by far"
            );
        }
    }
}

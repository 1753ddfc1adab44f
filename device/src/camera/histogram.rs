//! Durations of a year-long run in fixed memory: logarithmic buckets, four percent wide.

use std::time::Duration;

/// Buckets for each doubling.
const PER_OCTAVE: f64 = 18.0;
/// From 1 microsecond to about two minutes.
const BUCKETS: usize = 27 * 18;

/// Counts durations; quantiles are right within four percent.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum: Duration,
    max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            sum: Duration::ZERO,
            max: Duration::ZERO,
        }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn add(&mut self, duration: Duration) {
        let micros = duration.as_secs_f64() * 1e6;
        let bucket = (micros.max(1.0).log2() * PER_OCTAVE) as usize;
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.total += 1;
        self.sum += duration;
        self.max = self.max.max(duration);
    }

    /// What was counted since `earlier`, a copy of this very histogram.
    pub fn since(&self, earlier: &Self) -> Self {
        let pairs = self.counts.iter().zip(&earlier.counts);
        let counts: Vec<u64> = pairs.map(|(now, then)| now.saturating_sub(*then)).collect();
        let highest = counts.iter().rposition(|count| *count > 0);
        let edge = highest.map_or(0.0, |bucket| ((bucket + 1) as f64 / PER_OCTAVE).exp2());
        Self {
            counts,
            total: self.total.saturating_sub(earlier.total),
            sum: self.sum.saturating_sub(earlier.sum),
            max: Duration::from_secs_f64(edge * 1e-6).min(self.max),
        }
    }

    /// How many were shorter than two to the power of `thirds / 3` microseconds; exact, for buckets end there.
    pub fn shorter_than(&self, thirds: usize) -> u64 {
        let end = thirds * PER_OCTAVE as usize / 3;
        self.counts.iter().take(end).sum()
    }

    /// The sum of all.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The mean, zero when nothing was counted.
    pub fn mean(&self) -> Duration {
        if self.total == 0 {
            return Duration::ZERO;
        }
        self.sum.div_f64(self.total as f64)
    }

    /// The duration that a part `q` (0..=1) of all lie below, zero when nothing was counted.
    pub fn quantile(&self, q: f64) -> Duration {
        let rank = (q * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank && *count > 0 {
                let micros = ((bucket as f64 + 0.5) / PER_OCTAVE).exp2();
                return Duration::from_secs_f64(micros * 1e-6).min(self.max);
            }
        }
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_four_percent() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        for micros in 1..=100_000 {
            histogram.add(Duration::from_micros(micros));
        }
        for (q, want) in [(0.5, 50_000.0), (0.99, 99_000.0), (0.1, 10_000.0)] {
            let got = histogram.quantile(q).as_secs_f64() * 1e6;
            assert!((got / want - 1.0).abs() < 0.04, "{q}: {got} for {want}");
        }
        assert_eq!(histogram.max(), Duration::from_millis(100));
        assert_eq!(histogram.count(), 100_000);
    }

    #[test]
    fn what_came_since_is_a_histogram_of_its_own() {
        let mut histogram = Histogram::default();
        histogram.add(Duration::from_secs(3));
        let earlier = histogram.clone();
        assert_eq!(histogram.since(&earlier).max(), Duration::ZERO);
        for micros in [900, 1000, 1024, 1100] {
            histogram.add(Duration::from_micros(micros));
        }
        let since = histogram.since(&earlier);
        assert_eq!(since.count(), 4);
        assert_eq!(since.sum(), Duration::from_micros(4024));
        assert_eq!(since.shorter_than(30), 2);
        assert_eq!(since.shorter_than(33), 4);
        let max = since.max().as_secs_f64() / 1100e-6;
        assert!((1.0..1.05).contains(&max), "{max}");
    }

    #[test]
    fn hours_and_nanoseconds_stay_in_range() {
        let mut histogram = Histogram::default();
        histogram.add(Duration::from_secs(7200));
        histogram.add(Duration::from_nanos(3));
        assert_eq!(histogram.max(), Duration::from_secs(7200));
        assert!(histogram.quantile(0.0) < Duration::from_micros(2));
    }
}

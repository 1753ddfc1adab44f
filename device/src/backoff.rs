//! Waiting longer after every failed attempt, never all boards of a site at the same moment.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Wait after the first failure.
const FIRST: Duration = Duration::from_millis(250);
/// Longest wait.
const LONGEST: Duration = Duration::from_secs(8);

/// Exponential back-off with a jitter of a quarter.
#[derive(Debug, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// How long to wait after one more failure.
    pub fn wait(&mut self) -> Duration {
        // RandomState is seeded by the system; no cryptography depends on it here.
        let random = RandomState::new().hash_one(self.attempts) as f64 / u64::MAX as f64;
        self.wait_with(random)
    }

    fn wait_with(&mut self, random: f64) -> Duration {
        let plain = FIRST
            .saturating_mul(1 << self.attempts.min(10))
            .min(LONGEST);
        self.attempts += 1;
        plain.mul_f64(0.75 + 0.5 * random)
    }

    /// Starts from the shortest wait: it worked.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..9).map(|_| backoff.wait_with(0.5).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000, 8000]);
        backoff.reset();
        assert_eq!(backoff.wait_with(0.0).as_micros(), 187_500);
        assert_eq!(backoff.wait_with(1.0).as_millis(), 625);
        let wait = backoff.wait();
        assert!((750..=1250).contains(&wait.as_millis()), "{wait:?}");
    }
}

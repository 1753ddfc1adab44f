//! Who computes which rows: each thread gets one band, as high as the thread is fast.
//!
//! On boards with big and little cores, and wherever something else runs on one of them, even bands
//! would make the fast core wait. Cutting finer and handing out bands one by one would share just as
//! well but costs a halo for each; here bands follow the times that threads took.

use std::ops::Range;

/// How much of each new measurement is believed: about ten frames settle a change.
const BELIEF: f64 = 0.15;
/// Bands are cut anew when a share has moved by more than this part of it.
const TOLERANCE: f64 = 0.04;
/// No share falls below this part of an even one, so that a thread once stalled is measured again.
const LEAST: f64 = 0.1;

/// Each thread's share of the rows.
pub(super) struct Shares {
    wanted: Vec<f64>,
    cut: Vec<f64>,
}

impl Shares {
    /// The same for each thread.
    pub fn even(threads: usize) -> Self {
        let shares = vec![1.0 / threads.max(1) as f64; threads.max(1)];
        Self {
            wanted: shares.clone(),
            cut: shares,
        }
    }

    /// Takes note of the seconds that each thread took for its band; 0 where that is not known, and
    /// then nothing is learnt. Gives true when bands should be cut anew.
    pub fn note(&mut self, seconds: impl ExactSizeIterator<Item = f64> + Clone) -> bool {
        if seconds.len() != self.cut.len() || seconds.clone().any(|s| s <= 0.0) {
            return false;
        }
        let speeds = self.cut.iter().zip(seconds).map(|(share, s)| share / s);
        let all: f64 = speeds.clone().sum();
        let least = LEAST / self.cut.len() as f64;
        for (wanted, speed) in self.wanted.iter_mut().zip(speeds) {
            *wanted = (*wanted + BELIEF * (speed / all - *wanted)).max(least);
        }
        let moved = self.wanted.iter().zip(&self.cut);
        moved
            .into_iter()
            .any(|(wanted, cut)| (wanted / cut - 1.0).abs() > TOLERANCE)
    }

    /// Cuts `rows` into a band for each thread, none empty; fewer bands when there are too few rows.
    pub fn cut(&mut self, rows: usize) -> Vec<Range<usize>> {
        self.cut.clone_from(&self.wanted);
        let count = self.cut.len().min(rows);
        let all: f64 = self.cut.iter().take(count).sum();
        let (mut start, mut sum) = (0, 0.0);
        let band = |(i, share): (usize, &f64)| {
            sum += share / all;
            let left = count - i - 1;
            let end = (rows as f64 * sum).round() as usize;
            let end = if left == 0 {
                rows
            } else {
                end.clamp(start + 1, rows - left)
            };
            let band = start..end;
            start = end;
            band
        };
        self.cut.iter().take(count).enumerate().map(band).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_cover_the_rows() {
        for threads in [1, 2, 3, 7] {
            for rows in [1, 2, 5, 68, 1000] {
                let bands = Shares::even(threads).cut(rows);
                assert_eq!(bands.len(), threads.min(rows));
                assert_eq!((bands[0].start, bands[bands.len() - 1].end), (0, rows));
                assert!(bands.iter().all(|b| !b.is_empty()));
                assert!(bands.windows(2).all(|b| b[0].end == b[1].start));
            }
        }
    }

    #[test]
    fn bands_follow_the_threads_speed() {
        let mut shares = Shares::even(2);
        let mut bands = shares.cut(300);
        // The second core is half as fast.
        for _ in 0..60 {
            let seconds = [bands[0].len() as f64, 2.0 * bands[1].len() as f64];
            if shares.note(seconds.into_iter()) {
                bands = shares.cut(300);
            }
        }
        assert!((188..=212).contains(&bands[0].len()), "{bands:?}");
        // A thread that stands still for a while keeps a band to be measured by.
        for _ in 0..100 {
            if shares.note([1.0, 1e9].into_iter()) {
                bands = shares.cut(300);
            }
        }
        assert!(bands[1].len() > 10, "{bands:?}");
    }

    #[test]
    fn small_changes_do_not_move_bands() {
        let mut shares = Shares::even(3);
        assert!((0..50).all(|_| !shares.note([1.0, 1.02, 0.99].into_iter())));
        assert!(!shares.note([0.0, 1.0, 1.0].into_iter()));
    }
}

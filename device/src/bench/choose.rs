//! Which student a board should run: the largest one that holds a frame rate, in the number format
//! and on the threads that suit it best.

use hone_shared::student::Precision;
use serde::Serialize;

/// Part of a frame's time that the engine may take; the rest is for camera, display and heat.
pub const ENGINE_SHARE: f64 = 0.8;
/// Fewer threads are worth this much time: they leave cores to the camera.
const THREAD_WORTH: f64 = 1.1;

/// One student in one number format on so many threads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Name of the student.
    pub level: String,
    /// Number format.
    pub precision: Precision,
    /// Worker threads.
    pub threads: usize,
    /// Median time for a frame in milliseconds.
    pub median_ms: f64,
}

impl Candidate {
    /// Whether it leaves enough of each frame's time at `fps` frames a second.
    pub fn holds(&self, fps: f64) -> bool {
        self.median_ms <= ENGINE_SHARE * 1e3 / fps
    }
}

/// Numbers of threads worth measuring on `cores` cores: powers of two and all of them.
pub fn thread_counts(cores: usize) -> Vec<usize> {
    let powers = std::iter::successors(Some(1), |n| Some(2 * n));
    let mut counts: Vec<usize> = powers.take_while(|&n| n < cores).collect();
    counts.push(cores.max(1));
    counts
}

/// The best of one level's candidates that hold `fps`: the fastest, or one on fewer threads that is
/// nearly as fast.
pub fn best(candidates: &[Candidate], fps: f64) -> Option<&Candidate> {
    let holding = || candidates.iter().filter(|c| c.holds(fps));
    let least = holding().map(|c| c.median_ms).min_by(f64::total_cmp)?;
    let near = holding().filter(|c| c.median_ms <= THREAD_WORTH * least);
    near.min_by(|a, b| (a.threads.cmp(&b.threads)).then(a.median_ms.total_cmp(&b.median_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(precision: Precision, threads: usize, median_ms: f64) -> Candidate {
        Candidate {
            level: "small".into(),
            precision,
            threads,
            median_ms,
        }
    }

    #[test]
    fn threads_are_powers_and_all() {
        assert_eq!(thread_counts(1), [1]);
        assert_eq!(thread_counts(2), [1, 2]);
        assert_eq!(thread_counts(6), [1, 2, 4, 6]);
    }

    #[test]
    fn the_fastest_that_holds_is_chosen() {
        let all = [
            candidate(Precision::F32, 1, 60.0),
            candidate(Precision::F32, 4, 20.0),
            candidate(Precision::Int8, 2, 21.0),
            candidate(Precision::Int8, 4, 19.9),
        ];
        // At 30 fps a frame has 26.7 ms; two threads are nearly as fast as four.
        assert_eq!(best(&all, 30.0), Some(&all[2]));
        assert_eq!(best(&all, 12.0), Some(&all[2]));
        assert_eq!(best(&all, 45.0), None);
    }
}

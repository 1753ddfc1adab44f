//! Random streams that depend on names only: the same seed and indices give the same numbers in any
//! thread, in any order.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The generator used for everything drawn in `data`.
pub type Stream = ChaCha8Rng;

/// The stream named by `parts` (a seed, an index, a purpose ...).
pub fn stream(parts: &[u64]) -> Stream {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut seed = [0_u8; 32];
    for &part in parts {
        state = mix(state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
    }
    for (i, word) in seed.chunks_exact_mut(8).enumerate() {
        word.copy_from_slice(&mix(state.wrapping_add(i as u64 + 1)).to_le_bytes());
    }
    Stream::from_seed(seed)
}

/// SplitMix64's finaliser (Steele, Lea and Flood 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The `index`-th element of an endless walk over `0..count` that visits every element once per
/// epoch, in an order drawn anew for each epoch. Stateless: a four-round Feistel network with
/// cycle walking (Black and Rogaway 2002).
pub fn shuffled(seed: u64, index: u64, count: usize) -> usize {
    let count = count.max(1) as u64;
    let (epoch, mut value) = (index / count, index % count);
    let half_bits = (64 - (count - 1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1_u64 << half_bits) - 1;
    loop {
        let (mut left, mut right) = (value >> half_bits, value & mask);
        for round in 0..4 {
            let key = mix(mix(seed ^ round) ^ epoch);
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        value = (left << half_bits) | right;
        if value < count {
            return value as usize;
        }
    }
}

/// A sample of the standard normal distribution (Box and Muller 1958).
pub fn normal(rng: &mut Stream) -> f32 {
    let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt();
    radius * (std::f32::consts::TAU * rng.random::<f32>()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_visits_everything_once_in_another_order() {
        for count in [1, 2, 7, 100] {
            let epoch = |e: u64| -> Vec<usize> {
                (0..count)
                    .map(|i| shuffled(5, e * count + i, count as usize))
                    .collect()
            };
            let mut first = epoch(0);
            assert!(count < 7 || first != epoch(1));
            first.sort_unstable();
            assert_eq!(first, (0..count as usize).collect::<Vec<_>>());
        }
    }

    #[test]
    fn names_tell_streams_apart() {
        let draw = |parts: &[u64]| stream(parts).random::<u64>();
        assert_eq!(draw(&[1, 2]), draw(&[1, 2]));
        assert_ne!(draw(&[1, 2]), draw(&[2, 1]));
        assert_ne!(draw(&[0]), draw(&[0, 0]));
    }
}

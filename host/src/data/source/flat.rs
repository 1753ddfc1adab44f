//! How sharp patches are, and where the flat ones begin.

use std::path::Path;

use rayon::prelude::*;

use super::{Adjustable, PairSource, open_as_said, sharpness};
use crate::data::config::DataConfig;
use crate::data::degrade::Degradation;

/// Patches that tell where the flattest part ends.
const PROBES: u64 = 512;

/// The sharpness of `count` patches of side `crop`, ascending; the same for every call.
///
/// # Errors
/// When the data cannot be opened or read.
pub fn scores(
    config: &DataConfig,
    base: &Path,
    crop: usize,
    count: u64,
) -> anyhow::Result<Vec<f32>> {
    score(
        &*open_as_said(&plain(config), base, false)?,
        config.seed,
        crop,
        count,
    )
}

/// Patches as they lie in the pictures, whatever they are.
fn plain(config: &DataConfig) -> DataConfig {
    DataConfig {
        degradation: Degradation::default(),
        min_sharpness: 0.0,
        drop_flattest: 0.0,
        jitter: 0.0,
        flips: false,
        ..config.clone()
    }
}

fn score(source: &dyn PairSource, seed: u64, crop: usize, count: u64) -> anyhow::Result<Vec<f32>> {
    let one = |i| Ok(sharpness(&source.patch(seed, i, crop)?.truth));
    let mut scores: Vec<f32> = (0..count)
        .into_par_iter()
        .map(one)
        .collect::<anyhow::Result<_>>()?;
    scores.sort_by(f32::total_cmp);
    Ok(scores)
}

/// The score that `part` (0..1) of the ascending `scores` do not reach.
pub fn quantile(scores: &[f32], part: f32) -> f32 {
    let at = (scores.len() as f32 * part) as usize;
    let last = scores.len().saturating_sub(1);
    scores.get(at.min(last)).copied().unwrap_or(0.0)
}

/// Makes `drop_flattest` a threshold.
pub(super) fn set_threshold(source: &mut dyn Adjustable) -> anyhow::Result<()> {
    let config = source.config().clone();
    *source.config() = plain(&config);
    let scores = score(&*source, config.seed, config.crop, PROBES)?;
    let least = quantile(&scores, config.drop_flattest);
    *source.config() = DataConfig {
        min_sharpness: config.min_sharpness.max(least),
        ..config
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::open;
    use super::*;
    use crate::data::config::Layout;

    #[test]
    fn the_flattest_patches_become_rare() {
        let config = DataConfig {
            layout: Layout::Scenes,
            count: 6,
            size: [160, 120],
            crop: 32,
            degradation: Degradation::default(),
            ..DataConfig::default()
        };
        let base = Path::new(".");
        let all = scores(&config, base, 32, 200).unwrap();
        assert_eq!(all, scores(&config, base, 32, 200).unwrap());
        assert!(all.is_sorted());
        let least = quantile(&all, 0.4);
        let flat = |config: &DataConfig| {
            let source = open(config, base).unwrap();
            let score = |i| sharpness(&source.patch(9, i, 32).unwrap().truth);
            (0..100).filter(|&i| score(i) < least).count()
        };
        let picky = DataConfig {
            drop_flattest: 0.4,
            ..config.clone()
        };
        let (before, after) = (flat(&config), flat(&picky));
        assert!(before > 25 && after < before / 2, "{before} {after}");
    }
}

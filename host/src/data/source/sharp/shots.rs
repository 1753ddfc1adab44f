//! Consecutive frames made of sharp pictures.

use super::SharpSource;
use crate::data::degrade::Exposure;
use crate::data::photo::Photo;
use crate::data::random::Stream;
use crate::data::source::Pair;
use crate::data::source::augment::{Area, drift};
use crate::picture::Picture;

/// One frame before the camera's faults.
pub(super) struct Shot {
    /// The window that the camera sees, with the margin it needs.
    pub exposed: Picture,
    pub truth: Picture,
}

/// What one camera makes of consecutive frames.
pub(super) fn expose(
    shots: Vec<Shot>,
    camera: &Exposure,
    rng: &mut Stream,
) -> anyhow::Result<Vec<Pair>> {
    let shots = shots.into_iter();
    let pair = |shot: Shot| {
        let input = camera.apply(shot.exposed, rng)?;
        let truth = shot.truth;
        Ok(Pair { input, truth })
    };
    shots.map(pair).collect()
}

impl SharpSource {
    /// Consecutive frames of `area`, which look `margin` pixels around. Where neighbours are averaged,
    /// pictures follow each other in time and so do the frames (the last one stays at a sequence's end);
    /// elsewhere the window drifts over one picture.
    pub(super) fn shots(
        &self,
        number: usize,
        rng: &mut Stream,
        area: Area,
        margin: usize,
        frames: usize,
    ) -> anyhow::Result<Vec<Shot>> {
        let follows = self.config.degradation.frames().is_some();
        let (down, across) = match frames > 1 && !follows {
            true => drift(rng),
            false => (0, 0),
        };
        let (mut shots, mut at) = (Vec::with_capacity(frames), number);
        for t in 0..frames {
            let next = number + t;
            if follows && self.sequences.get(next) == self.sequences.get(number) {
                at = next;
            }
            let (top, left) = (
                area.top + down * t as isize,
                area.left + across * t as isize,
            );
            let edge = margin as isize;
            let (height, width) = (area.height + 2 * margin, area.width + 2 * margin);
            let window = |p: &Photo| p.window(top - edge, left - edge, height, width);
            let exposed = self.exposure(at, rng, &window)?;
            let truth = self
                .images
                .get(at)?
                .window(top, left, area.height, area.width);
            shots.push(Shot { exposed, truth });
        }
        Ok(shots)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::data::config::{DataConfig, Layout};

    #[test]
    fn a_still_gives_sequences_with_the_noise_anew() {
        let config = DataConfig {
            layout: Layout::Scenes,
            count: 6,
            size: [96, 80],
            degradation: "grain:sigma=0.02".parse().unwrap(),
            ..DataConfig::default()
        };
        let source = crate::data::open(&config, Path::new("")).unwrap();
        let (mut still, mut moving) = (0, 0);
        for index in 0..24 {
            let frames = source.sequence(7, index, 32, 3).unwrap();
            assert_eq!(frames, source.sequence(7, index, 32, 3).unwrap());
            let [a, b, c] = frames.as_slice() else {
                panic!("{} frames", frames.len());
            };
            assert_ne!(a.input, b.input);
            match (a.truth == b.truth, b.truth == c.truth) {
                (true, true) => still += 1,
                _ => moving += 1,
            }
            // One frame is the patch that single pictures train on.
            assert_eq!(
                source.sequence(7, index, 32, 1).unwrap(),
                [source.patch(7, index, 32).unwrap()]
            );
        }
        assert!(still > 4 && moving > 4, "{still} {moving}");
        let validation = source.validation_sequences(3).unwrap();
        assert!(validation.iter().all(|s| s.len() == 3));
        assert_eq!(validation, source.validation_sequences(3).unwrap());
    }
}

//! What cameras do to sharp pictures: typed, seeded, composable.
//!
//! A [`Degradation`] is a list of [`Step`]s. In a recipe it is a preset's name, a line of text, or a list:
//!
//! ```toml
//! degradation = "conference"
//! degradation = "disc:radius=1..2.5 + noise:shot=0.002 + jpeg:quality=60..90"
//! degradation = [{ kind = "disc", radius = [1, 2.5] }, { kind = "jpeg", quality = 80 }]
//! ```
//!
//! Blur and sensor noise happen in linear light (gamma 2.2; `light=display` blurs display codes instead), grain,
//! codecs and resampling on display codes. The result is always rounded to bytes, which is what a camera delivers.

mod codec;
mod drawn;
mod kernel;
mod noise;
mod preset;
mod range;
pub mod resize;
mod spec;
mod step;

pub use kernel::Light;
pub use preset::{PRESETS, preset};
pub use range::Range;
pub use step::{Choice, Step};

use anyhow::ensure;

use crate::data::random::Stream;
use crate::picture::Picture;
use drawn::Drawn;

/// A camera: steps applied in order, each with parameters drawn anew for every picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Degradation {
    /// What happens, in order.
    pub steps: Vec<Step>,
}

impl Degradation {
    /// The camera's picture of a sharp RGB one, same size, rounded to bytes.
    ///
    /// # Errors
    /// When a codec fails or is not installed.
    pub fn apply(&self, sharp: &Picture, rng: &mut Stream) -> anyhow::Result<Picture> {
        let mut picture = sharp.clone();
        for step in &self.steps {
            let mut drawn = Vec::new();
            step.draw(rng, &mut drawn);
            for one in drawn {
                one.apply(&mut picture, rng)?;
            }
        }
        picture.round_to_bytes();
        Ok(picture)
    }

    /// Draws what happens to one patch.
    pub fn draw(&self, rng: &mut Stream) -> Exposure {
        let mut drawn = Vec::new();
        for step in &self.steps {
            step.draw(rng, &mut drawn);
        }
        Exposure { drawn }
    }

    /// The most pixels around a patch that its degraded version may depend on.
    pub fn margin(&self) -> usize {
        self.steps.iter().map(Step::margin).sum()
    }

    /// Refuses to average frames, for where nothing follows in time.
    ///
    /// # Errors
    /// When the first step asks for it.
    pub fn for_single_pictures(&self) -> anyhow::Result<()> {
        ensure!(
            self.frames().is_none(),
            "'frames' averages neighbours in time, which single pictures do not have: train on sequences with it, \
             or use the pairs that `hone data synth --sequences` writes"
        );
        Ok(())
    }

    /// Frames to average before all else, when the first step asks for it.
    pub fn frames(&self) -> Option<Range> {
        match self.steps.first() {
            Some(Step::Frames { count }) => Some(*count),
            _ => None,
        }
    }
}

/// A degradation with its parameters drawn, for one patch.
pub struct Exposure {
    drawn: Vec<Drawn>,
}

impl Exposure {
    /// Pixels around the patch that its degraded version depends on.
    pub fn margin(&self) -> usize {
        self.drawn.iter().map(Drawn::margin).sum()
    }

    /// The camera's picture of a sharp window that reaches [`Self::margin`] beyond the patch on every
    /// side: the patch, rounded to bytes. What later steps do not look at is cut off on the way.
    ///
    /// # Errors
    /// When a codec fails or is not installed.
    pub fn apply(&self, window: Picture, rng: &mut Stream) -> anyhow::Result<Picture> {
        let mut picture = window;
        for one in &self.drawn {
            one.apply(&mut picture, rng)?;
            let margin = one.margin();
            if margin > 0 {
                let (height, width) = (picture.height - 2 * margin, picture.width - 2 * margin);
                picture = picture.crop(margin, margin, height, width);
            }
        }
        picture.round_to_bytes();
        Ok(picture)
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::data::random::stream;
    use crate::data::synth::scene;

    fn apply(text: &str, sharp: &Picture) -> Picture {
        let degradation: Degradation = text.parse().unwrap();
        degradation.apply(sharp, &mut stream(&[7])).unwrap()
    }

    fn difference(a: &Picture, b: &Picture) -> f32 {
        let total: f32 = a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs()).sum();
        total / a.data.len() as f32
    }

    #[test]
    fn every_step_changes_the_picture_and_repeats() {
        let sharp = scene(1, 1, 96, 80);
        for text in [
            "gaussian:sigma=1",
            "gaussian:sigma=1,light=display",
            "grain:sigma=0.01",
            "disc:radius=2",
            "motion:length=7",
            "shake:length=9",
            "resize:factor=2",
            "noise:shot=0.002,read=0.01",
            "lowlight:exposure=0.1",
            "jpeg:quality=30",
            "chroma",
            "h264:kbps=500",
            "vp8:kbps=500",
            "mixed",
            "conference",
        ] {
            let once = apply(text, &sharp);
            assert_eq!(once, apply(text, &sharp), "{text}");
            let change = difference(&once, &sharp);
            assert!((0.002..0.3).contains(&change), "{text}: {change}");
        }
        assert_eq!(apply("none", &sharp), apply("gaussian:sigma=0", &sharp));
    }

    #[test]
    fn blur_keeps_light_and_grows_with_its_size() {
        let sharp = scene(2, 0, 96, 80);
        for (small, large) in [
            ("gaussian:sigma=0.7", "gaussian:sigma=2"),
            ("disc:radius=1", "disc:radius=3"),
            ("motion:length=3", "motion:length=12"),
        ] {
            let (a, b) = (apply(small, &sharp), apply(large, &sharp));
            assert!(
                difference(&a, &sharp) < difference(&b, &sharp),
                "{small} {large}"
            );
            let light = |p: &Picture| p.data.iter().map(|v| v.powf(2.2)).sum::<f32>();
            assert!((light(&b) / light(&sharp) - 1.0).abs() < 0.02, "{large}");
        }
    }

    #[test]
    fn a_patch_with_its_margin_equals_the_whole_pictures_part() {
        // Black and white at random: a row of mirrored pixels in place of true ones shows, if only they are looked at.
        let mut rng = stream(&[3]);
        let mut sharp = Picture::new(3, 128, 96);
        sharp
            .data
            .fill_with(|| f32::from(u8::from(rng.random_bool(0.5))));
        for text in [
            "gaussian:sigma=1.5",
            "disc:radius=2.5",
            "motion:length=9",
            "shake:length=9",
            "gaussian:sigma=0.8 + disc:radius=1..2 + motion:length=3..5",
        ] {
            let degradation: Degradation = text.parse().unwrap();
            let exposure = degradation.draw(&mut stream(&[7]));
            let margin = exposure.margin();
            assert!(margin <= degradation.margin(), "{text}");
            let side = 24 + 2 * margin;
            let window = sharp.crop(40 - margin, 50 - margin, side, side);
            let part = exposure.apply(window, &mut stream(&[8])).unwrap();
            let whole = apply(text, &sharp).crop(40, 50, 24, 24);
            assert_eq!(whole, part, "{text}");
        }
    }

    #[test]
    fn codecs_cost_more_the_fewer_bits_they_get() {
        let sharp = scene(5, 0, 160, 128);
        for (rich, poor) in [
            ("jpeg:quality=95", "jpeg:quality=20"),
            ("h264:kbps=8000", "h264:kbps=200"),
            ("vp8:kbps=8000", "vp8:kbps=200"),
        ] {
            let (rich, worse) = (apply(rich, &sharp), apply(poor, &sharp));
            let (rich, worse) = (difference(&rich, &sharp), difference(&worse, &sharp));
            assert!(rich < worse && worse < 0.2, "{poor}: {rich} {worse}");
        }
    }
}

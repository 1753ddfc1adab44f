//! The steps of a degradation and their parameters.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::Range;
use super::drawn::Drawn;
use super::kernel::{self, Kernel, Light};
use crate::data::random::Stream;

/// One thing that a camera does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Step {
    /// Mean of `count` consecutive frames around the sharp one in linear light (GoPro's way, Nah et al. 2017).
    /// Only as the first step, on sequences; the data source carries it out.
    Frames {
        /// Number of frames, odd.
        count: Range,
    },
    /// Gaussian blur.
    Gaussian {
        /// Deviation in pixels, up to 12.
        sigma: Range,
        /// What is averaged.
        #[serde(default, skip_serializing_if = "Light::is_default")]
        light: Light,
    },
    /// Defocus: a disc, the image of a point through a round aperture.
    Disc {
        /// Radius in pixels, up to 24.
        radius: Range,
        /// What is averaged.
        #[serde(default, skip_serializing_if = "Light::is_default")]
        light: Light,
    },
    /// Uniform linear motion.
    Motion {
        /// Pixels travelled, up to 64.
        length: Range,
        /// Degrees.
        #[serde(default = "any_angle")]
        angle: Range,
        /// What is averaged.
        #[serde(default, skip_serializing_if = "Light::is_default")]
        light: Light,
    },
    /// Camera shake along a random trajectory (after Boracchi and Foi 2012).
    Shake {
        /// Pixels travelled, up to 64.
        length: Range,
        /// What is averaged.
        #[serde(default, skip_serializing_if = "Light::is_default")]
        light: Light,
    },
    /// Bicubic reduction and enlargement to the old size, antialiased as Pillow does it.
    Resize {
        /// Reduction, 1 to 8.
        factor: Range,
    },
    /// Sensor noise: variance `shot * light + read^2` in linear light.
    Noise {
        /// Poisson part, variance per light.
        #[serde(default = "zero")]
        shot: Range,
        /// Gaussian part, deviation.
        #[serde(default = "zero")]
        read: Range,
    },
    /// Noise on display codes, the same in shadows and lights.
    Grain {
        /// Deviation, 0..1.
        sigma: Range,
    },
    /// Little light and automatic gain: noise and a 10-bit converter behind a factor of `exposure`.
    LowLight {
        /// Part of the light that arrives, above 0 to 1.
        exposure: Range,
    },
    /// JPEG.
    Jpeg {
        /// 1 to 100.
        quality: Range,
    },
    /// Chroma at half the resolution (4:2:0).
    // With braces: serde takes any key beside a variant that has none.
    Chroma {},
    /// H.264 at a bit rate, after some frames of slow panning.
    H264 {
        /// kbit/s as for 1280x720 at 30 frames per second; scaled to the picture's area.
        kbps: Range,
        /// Frames coded; the last is kept.
        #[serde(default = "coded_frames")]
        frames: Range,
    },
    /// VP8 at a bit rate, through an installed GStreamer; slow, for fixed sets rather than live patches.
    Vp8 {
        /// As for `h264`.
        kbps: Range,
        /// Frames coded; the last is kept.
        #[serde(default = "coded_frames")]
        frames: Range,
    },
    /// One of several, by weight.
    OneOf {
        /// The alternatives.
        choices: Vec<Choice>,
    },
}

/// An alternative of [`Step::OneOf`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// How often, relative to the others.
    pub weight: f32,
    /// What happens; nothing when empty.
    pub steps: Vec<Step>,
}

fn any_angle() -> Range {
    Range::new(0.0, 180.0)
}

fn zero() -> Range {
    Range::new(0.0, 0.0)
}

fn coded_frames() -> Range {
    Range::new(4.0, 4.0)
}

impl Step {
    /// Draws this step's parameters; the choice of a `oneof` with them.
    pub(super) fn draw(&self, rng: &mut Stream, drawn: &mut Vec<Drawn>) {
        drawn.push(match self {
            Self::Frames { .. } => return,
            Self::Gaussian { sigma, light } => Drawn::Gaussian(sigma.draw(rng), *light),
            Self::Disc { radius, light } => Drawn::Blur(Kernel::disc(radius.draw(rng)), *light),
            Self::Motion {
                length,
                angle,
                light,
            } => Drawn::Blur(Kernel::motion(length.draw(rng), angle.draw(rng)), *light),
            Self::Shake { length, light } => {
                Drawn::Blur(Kernel::shake(length.draw(rng), rng), *light)
            }
            Self::Resize { factor } => Drawn::Resize(factor.draw(rng)),
            Self::Noise { shot, read } => Drawn::Noise {
                shot: shot.draw(rng),
                read: read.draw(rng),
            },
            Self::Grain { sigma } => Drawn::Grain(sigma.draw(rng)),
            Self::LowLight { exposure } => Drawn::LowLight(exposure.draw(rng)),
            Self::Jpeg { quality } => Drawn::Jpeg(quality.draw(rng)),
            Self::Chroma {} => Drawn::Chroma,
            Self::H264 { kbps, frames } => Drawn::H264 {
                kbps: kbps.draw(rng),
                frames: frames.draw(rng),
            },
            Self::Vp8 { kbps, frames } => Drawn::Vp8 {
                kbps: kbps.draw(rng),
                frames: frames.draw(rng),
            },
            Self::OneOf { choices } => {
                let total: f32 = choices.iter().map(|c| c.weight).sum();
                let mut ticket = rng.random::<f32>() * total;
                for choice in choices {
                    ticket -= choice.weight;
                    if ticket < 0.0 {
                        for step in &choice.steps {
                            step.draw(rng, drawn);
                        }
                        break;
                    }
                }
                return;
            }
        });
    }

    /// Pixels around a patch that the step looks at, at most. Of `resize` this is approximate: down and up again
    /// reach about `4 * factor + 1` pixels, with little weight on those beyond.
    pub(super) fn margin(&self) -> usize {
        match self {
            Self::Frames { .. }
            | Self::Noise { .. }
            | Self::Grain { .. }
            | Self::LowLight { .. } => 0,
            Self::Gaussian { sigma, .. } => kernel::gaussian_radius(sigma.high),
            Self::Disc { radius, .. } => radius.high.ceil() as usize + 1,
            Self::Motion { length, .. } | Self::Shake { length, .. } => {
                length.high.ceil() as usize + 1
            }
            Self::Resize { factor } => (2.0 * factor.high).ceil() as usize + 2,
            Self::Jpeg { .. } => 8,
            Self::Chroma {} => 2,
            Self::H264 { .. } | Self::Vp8 { .. } => 16,
            Self::OneOf { choices } => {
                let of = |c: &Choice| c.steps.iter().map(Self::margin).sum();
                choices.iter().map(of).max().unwrap_or(0)
            }
        }
    }

    /// One sentence about a parameter out of bounds.
    pub(super) fn check(&self, first: bool) -> Result<(), String> {
        let bound = |name: &str, range: &Range, low: f32, high: f32| {
            if range.within(low, high) {
                Ok(())
            } else {
                Err(format!(
                    "degradation: {name} must lie in {low}..{high}, got {}..{}",
                    range.low, range.high
                ))
            }
        };
        match self {
            Self::Frames { count } if first => bound("frames' count", count, 1.0, 63.0),
            Self::Frames { .. } => Err("degradation: 'frames' must be the first step".into()),
            Self::Gaussian { sigma, .. } => bound("gaussian's sigma", sigma, 0.0, 12.0),
            Self::Disc { radius, .. } => bound("disc's radius", radius, 0.0, 24.0),
            Self::Motion { length, angle, .. } => bound("motion's length", length, 0.0, 64.0)
                .and(bound("motion's angle", angle, -360.0, 360.0)),
            Self::Shake { length, .. } => bound("shake's length", length, 0.0, 64.0),
            Self::Resize { factor } => bound("resize's factor", factor, 1.0, 8.0),
            Self::Noise { shot, read } => {
                bound("noise's shot", shot, 0.0, 1.0).and(bound("noise's read", read, 0.0, 1.0))
            }
            Self::Grain { sigma } => bound("grain's sigma", sigma, 0.0, 1.0),
            Self::LowLight { exposure } => bound("lowlight's exposure", exposure, 0.001, 1.0),
            Self::Jpeg { quality } => bound("jpeg's quality", quality, 1.0, 100.0),
            Self::Chroma {} => Ok(()),
            Self::H264 { kbps, frames } | Self::Vp8 { kbps, frames } => {
                bound("kbps", kbps, 10.0, 100_000.0).and(bound("frames", frames, 1.0, 30.0))
            }
            Self::OneOf { choices } => {
                if choices.is_empty()
                    || choices.iter().any(|c| c.weight <= 0.0 || c.weight.is_nan())
                {
                    return Err("degradation: oneof needs choices with weights above 0".into());
                }
                choices
                    .iter()
                    .flat_map(|c| &c.steps)
                    .try_for_each(|s| s.check(false))
            }
        }
    }
}

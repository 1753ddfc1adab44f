//! Steps with their parameters drawn: what happens to one picture.

use super::kernel::{self, Kernel, Light};
use super::{codec, noise, resize};
use crate::data::random::Stream;
use crate::picture::Picture;

pub(super) enum Drawn {
    /// Deviation in pixels.
    Gaussian(f32, Light),
    Blur(Kernel, Light),
    /// Reduction.
    Resize(f32),
    Noise {
        shot: f32,
        read: f32,
    },
    /// Deviation.
    Grain(f32),
    /// Part of the light that arrives.
    LowLight(f32),
    /// Quality.
    Jpeg(f32),
    Chroma,
    H264 {
        kbps: f32,
        frames: f32,
    },
    Vp8 {
        kbps: f32,
        frames: f32,
    },
}

impl Drawn {
    pub(super) fn apply(&self, picture: &mut Picture, rng: &mut Stream) -> anyhow::Result<()> {
        match self {
            Self::Gaussian(sigma, light) => kernel::gaussian(picture, *sigma, *light),
            Self::Blur(kernel, light) => kernel.blur(picture, *light),
            Self::Resize(factor) => resize::down_up(picture, *factor),
            Self::Noise { shot, read } => noise::sensor(picture, *shot, *read, rng),
            Self::Grain(sigma) => noise::grain(picture, *sigma, rng),
            Self::LowLight(exposure) => noise::low_light(picture, *exposure, rng),
            Self::Jpeg(quality) => codec::jpeg(picture, *quality)?,
            Self::Chroma => codec::subsample_chroma(picture),
            Self::H264 { kbps, frames } => codec::h264(picture, *kbps, *frames, rng)?,
            Self::Vp8 { kbps, frames } => codec::vp8(picture, *kbps, *frames, rng)?,
        }
        Ok(())
    }

    /// Pixels around a patch that its result depends on; more than any codec's blocks reach. Approximate for
    /// `resize`, which reaches about `4 * factor + 1` pixels, with little weight on those beyond.
    pub(super) fn margin(&self) -> usize {
        match self {
            Self::Noise { .. } | Self::Grain(_) | Self::LowLight(_) => 0,
            Self::Gaussian(sigma, _) => kernel::gaussian_radius(*sigma),
            Self::Blur(kernel, _) => kernel.reach(),
            Self::Resize(factor) => (2.0 * factor).ceil() as usize + 2,
            Self::Jpeg(_) => 8,
            Self::Chroma => 2,
            Self::H264 { .. } | Self::Vp8 { .. } => 16,
        }
    }
}

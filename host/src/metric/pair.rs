//! Two pictures to compare, and what several metrics need of both.

use std::cell::OnceCell;

use super::ssim::{Similarity, gaussian_channels};
use super::{MetricError, same_shape, studio_luma};
use crate::picture::Picture;

/// A reference and its distorted version, of one shape. What metrics share is worked out once.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    /// The reference.
    pub reference: &'a Picture,
    /// What is judged.
    pub distorted: &'a Picture,
    luma: OnceCell<(Picture, Picture)>,
    gaussian: OnceCell<Result<Vec<Similarity>, MetricError>>,
}

impl<'a> Pair<'a> {
    /// Takes two pictures.
    ///
    /// # Errors
    /// When they differ in shape.
    pub fn new(reference: &'a Picture, distorted: &'a Picture) -> Result<Self, MetricError> {
        same_shape(reference, distorted)?;
        Ok(Self {
            reference,
            distorted,
            luma: OnceCell::new(),
            gaussian: OnceCell::new(),
        })
    }

    /// [`studio_luma`] of both.
    pub fn studio_luma(&self) -> (&Picture, &Picture) {
        let (reference, distorted) = self.luma.get_or_init(|| {
            rayon::join(
                || studio_luma(self.reference),
                || studio_luma(self.distorted),
            )
        });
        (reference, distorted)
    }

    /// Similarity of each channel under the 11x11 Gaussian, the finest scale of MS-SSIM.
    ///
    /// # Errors
    /// When a side is under 11 pixels.
    pub fn gaussian(&self) -> Result<&[Similarity], MetricError> {
        self.gaussian
            .get_or_init(|| gaussian_channels(self.reference, self.distorted))
            .as_deref()
            .map_err(Clone::clone)
    }
}

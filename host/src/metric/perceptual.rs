//! Distance between VGG maps (Johnson, Alahi, Fei-Fei, ECCV 2016), for weights that the user gives.

use std::path::Path;

use anyhow::{Context, Result};
use tch::{Device, Kind, Tensor};

use super::{MetricError, at_least, same_shape};
use crate::loss::{Vgg, VggKind};
use crate::picture::Picture;
use crate::teacher::load::read_weights;

/// Least side of a picture, so that every block of a VGG still has a pixel.
const LEAST: usize = 16;

/// Mean absolute difference between maps of torchvision's VGG16 or VGG19, mean over the layers.
#[derive(Debug)]
pub struct VggDistance {
    vgg: Vgg,
    layers: Vec<String>,
}

impl VggDistance {
    /// Reads torchvision's weights as deep as `layers` (such as `relu2_2`) need. Whether the file is a
    /// VGG16 or a VGG19 shows in its third block.
    ///
    /// # Errors
    /// When the file cannot be read or lacks a layer, or a layer has an unknown name.
    pub fn load(weights: &Path, layers: &[String]) -> Result<Self> {
        let entries = read_weights(weights, None)
            .with_context(|| format!("cannot read the VGG in {}", weights.display()))?;
        // Both agree in two blocks; the third has three convolutions, or four.
        let deep = entries.iter().any(|(name, _)| name == "features.16.weight");
        let kind = if deep { VggKind::Vgg19 } else { VggKind::Vgg16 };
        Ok(Self {
            vgg: Vgg::load(kind, weights, layers, Device::Cpu)?,
            layers: layers.to_vec(),
        })
    }

    /// The distance, 0 for equal pictures; a picture of one plane counts as grey.
    ///
    /// # Errors
    /// When the pictures differ in shape or have a side under 16 pixels.
    pub fn distance(&self, reference: &Picture, distorted: &Picture) -> Result<f64, MetricError> {
        same_shape(reference, distorted)?;
        at_least(reference, LEAST, "vgg_l1")?;
        let sum: f64 = tch::no_grad(|| {
            let a = self.vgg.maps(&tensor(reference), &self.layers);
            let b = self.vgg.maps(&tensor(distorted), &self.layers);
            let pairs = a.iter().zip(&b);
            pairs
                .map(|(a, b)| (a - b).abs().mean(Kind::Double).double_value(&[]))
                .sum()
        });
        Ok(sum / self.layers.len() as f64)
    }
}

/// `[1,3,H,W]`; one plane is repeated.
pub(super) fn tensor(picture: &Picture) -> Tensor {
    let size = [1, picture.channels, picture.height, picture.width].map(|s| s as i64);
    let x = Tensor::from_slice(&picture.data).reshape(size);
    x.expand([-1, 3, -1, -1], false)
}

//! Perceptual loss: distance between VGG maps (Johnson, Alahi, Fei-Fei, ECCV 2016).

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::measure::Measure;
use super::{Term, View};
use crate::teacher::load::read_weights;

/// Which network of Simonyan and Zisserman (ICLR 2015) looks at the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VggKind {
    /// 13 convolutions.
    Vgg16,
    /// 16 convolutions.
    Vgg19,
}

impl VggKind {
    /// Convolutions in each of the five blocks.
    fn blocks(self) -> [usize; 5] {
        match self {
            Self::Vgg16 => [2, 2, 3, 3, 3],
            Self::Vgg19 => [2, 2, 4, 4, 4],
        }
    }
}

/// The first layers of a VGG with torchvision's weights, frozen.
#[derive(Debug)]
pub struct Vgg {
    /// Kernel, bias, whether a pooling comes before, and the name of the ReLU after.
    layers: Vec<(Tensor, Tensor, bool, String)>,
    mean: Tensor,
    deviation: Tensor,
}

impl Vgg {
    /// Reads torchvision's weight file (`features.N.weight`) as deep as the named layers need.
    ///
    /// # Errors
    /// When a layer has an unknown name, or the file cannot be read or lacks a layer.
    pub fn load(kind: VggKind, weights: &Path, wanted: &[String], device: Device) -> Result<Self> {
        let mut names = Vec::new();
        for (block, count) in kind.blocks().into_iter().enumerate() {
            names.extend(
                (0..count).map(|i| (format!("relu{}_{}", block + 1, i + 1), i == 0 && block > 0)),
            );
        }
        let position = |name: &String| names.iter().position(|(n, _)| n == name);
        let mut depth = 0;
        for name in wanted {
            let at = position(name).with_context(|| {
                format!(
                    "there is no VGG layer '{name}'; layers are relu1_1 to relu5_{}",
                    kind.blocks()[4]
                )
            })?;
            depth = depth.max(at + 1);
        }
        let file = weights.display();
        let entries = read_weights(weights, None)
            .with_context(|| format!("a VGG needs torchvision's weights in {file}"))?;
        let find = |name: String| {
            let found = entries.iter().find(|(n, _)| *n == name);
            let (_, tensor) = found.with_context(|| format!("{file} holds no '{name}'"))?;
            let kernel = tensor.to_device(device).to_kind(Kind::Float);
            anyhow::Ok(kernel.detach())
        };
        let mut layers = Vec::with_capacity(depth);
        let mut index = 0;
        for (name, pooled) in names.into_iter().take(depth) {
            index += usize::from(pooled);
            let kernel = find(format!("features.{index}.weight"))?;
            if kernel.dim() != 4 {
                bail!("{file}: 'features.{index}.weight' is no convolution");
            }
            layers.push((
                kernel,
                find(format!("features.{index}.bias"))?,
                pooled,
                name,
            ));
            // A convolution and its ReLU.
            index += 2;
        }
        let row = |values: [f32; 3]| {
            Tensor::from_slice(&values)
                .reshape([1, 3, 1, 1])
                .to_device(device)
        };
        Ok(Self {
            layers,
            mean: row([0.485, 0.456, 0.406]),
            deviation: row([0.229, 0.224, 0.225]),
        })
    }

    /// Maps after each named ReLU, for pictures `[N,3,H,W]` (or luma, repeated) in 0..1, in their kind of
    /// numbers.
    pub fn maps(&self, x: &Tensor, wanted: &[String]) -> Vec<Tensor> {
        let kind = x.kind();
        let [mean, deviation] = [&self.mean, &self.deviation].map(|row| row.to_kind(kind));
        let mut y = (x.expand([-1, 3, -1, -1], false) - mean) / deviation;
        let mut maps = Vec::with_capacity(wanted.len());
        for (kernel, bias, pooled, name) in &self.layers {
            if *pooled {
                y = y.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
            }
            y = y
                .conv2d(
                    &kernel.to_kind(kind),
                    Some(&bias.to_kind(kind)),
                    [1, 1],
                    [1, 1],
                    [1, 1],
                    1,
                )
                .relu();
            if wanted.contains(name) {
                maps.push(y.shallow_clone());
            }
        }
        maps
    }
}

/// Mean over the layers of the distance between the output's and the truth's maps.
#[derive(Debug)]
pub(super) struct PerceptualTerm {
    pub vgg: Vgg,
    pub layers: Vec<String>,
    pub measure: Measure,
}

impl Term for PerceptualTerm {
    fn value(&self, view: &View) -> Result<Tensor> {
        let of_truth = tch::no_grad(|| self.vgg.maps(view.truth, &self.layers));
        let of_output = self.vgg.maps(view.restored, &self.layers);
        let distances: Vec<Tensor> = of_output
            .iter()
            .zip(&of_truth)
            .map(|(a, b)| self.measure.between(a, b))
            .collect();
        Ok(Tensor::stack(&distances, 0).mean(None))
    }
}

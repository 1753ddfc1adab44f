//! LPIPS: learned perceptual distance (Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018), version 0.1.
//!
//! Two weight files: torchvision's AlexNet or VGG16 (`features.N.weight`), and the authors' linear
//! layers (`lin0.model.1.weight` to `lin4`, one number for each channel), whose widths say which of
//! the two networks they belong to.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use tch::{Kind, Tensor};

use super::{MetricError, at_least, same_shape};
use crate::picture::Picture;
use crate::teacher::load::read_weights;

/// One step of the network.
#[derive(Debug)]
enum Step {
    Conv {
        kernel: Tensor,
        bias: Tensor,
        stride: i64,
        padding: i64,
    },
    /// Side of the window; the stride is 2.
    Pool(i64),
    /// Gives a map to compare.
    Map,
}

/// Which network, as the linear layers' widths tell.
struct Shape {
    name: &'static str,
    widths: [i64; 5],
    /// Least side of a picture, so that no map is empty.
    least: usize,
    steps: &'static [Plan],
}

#[derive(Clone, Copy)]
enum Plan {
    /// A convolution and ReLU: index in torchvision's `features`, stride, padding.
    C(usize, i64, i64),
    /// A pooling: side of the window.
    P(i64),
    /// A map to compare.
    M,
}

use Plan::{C, M, P};

const SHAPES: [Shape; 2] = [
    Shape {
        name: "lpips_alex",
        widths: [64, 192, 384, 256, 256],
        least: 31,
        steps: &[
            C(0, 4, 2),
            M,
            P(3),
            C(3, 1, 2),
            M,
            P(3),
            C(6, 1, 1),
            M,
            C(8, 1, 1),
            M,
            C(10, 1, 1),
            M,
        ],
    },
    Shape {
        name: "lpips_vgg",
        widths: [64, 128, 256, 512, 512],
        least: 16,
        steps: &[
            C(0, 1, 1),
            C(2, 1, 1),
            M,
            P(2),
            C(5, 1, 1),
            C(7, 1, 1),
            M,
            P(2),
            C(10, 1, 1),
            C(12, 1, 1),
            C(14, 1, 1),
            M,
            P(2),
            C(17, 1, 1),
            C(19, 1, 1),
            C(21, 1, 1),
            M,
            P(2),
            C(24, 1, 1),
            C(26, 1, 1),
            C(28, 1, 1),
            M,
        ],
    },
];

/// A loaded LPIPS.
#[derive(Debug)]
pub struct Lpips {
    name: &'static str,
    least: usize,
    steps: Vec<Step>,
    /// `[1,C,1,1]` for each map.
    linear: Vec<Tensor>,
    shift: Tensor,
    scale: Tensor,
}

impl Lpips {
    /// Reads both weight files.
    ///
    /// # Errors
    /// When a file cannot be read, the linear layers are none of LPIPS, or the backbone is another
    /// network than theirs.
    pub fn load(linear: &Path, backbone: &Path) -> Result<Self> {
        let entries = read_weights(linear, None)?;
        let mut layers = Vec::new();
        for i in 0..5 {
            let name = format!("lin{i}.model.1.weight");
            let (_, tensor) = entries.iter().find(|(n, _)| *n == name).with_context(|| {
                let file = linear.display();
                format!("{file} holds no '{name}': give the linear layers of LPIPS 0.1")
            })?;
            layers.push(tensor.to_kind(Kind::Float));
        }
        let widths: Vec<i64> = layers.iter().map(|t| t.numel() as i64).collect();
        let shape = SHAPES.iter().find(|s| s.widths[..] == widths[..]);
        let shape = shape.with_context(|| {
            format!(
                "{}: linear layers of {widths:?} channels belong to neither AlexNet nor VGG16",
                linear.display()
            )
        })?;
        let steps = steps(shape, backbone)?;
        let linear = layers.iter().map(|t| t.reshape([1, -1, 1, 1])).collect();
        let row = |values: [f32; 3]| Tensor::from_slice(&values).reshape([1, 3, 1, 1]);
        Ok(Self {
            name: shape.name,
            least: shape.least,
            steps,
            linear,
            shift: row([-0.030, -0.088, -0.188]),
            scale: row([0.458, 0.448, 0.450]),
        })
    }

    /// `lpips_alex` or `lpips_vgg`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The distance, 0 for equal pictures; a picture of one plane counts as grey.
    ///
    /// # Errors
    /// When the pictures differ in shape or are too small for the network's last map.
    pub fn distance(&self, reference: &Picture, distorted: &Picture) -> Result<f64, MetricError> {
        same_shape(reference, distorted)?;
        at_least(reference, self.least, self.name)?;
        let sum = tch::no_grad(|| {
            let (a, b) = (self.maps(reference), self.maps(distorted));
            let layers = a.iter().zip(&b).zip(&self.linear);
            layers
                .map(|((a, b), linear)| {
                    let difference = (unit(a) - unit(b)).square() * linear;
                    let channels = difference.sum_dim_intlist([1i64].as_slice(), false, None);
                    channels.mean(Kind::Double).double_value(&[])
                })
                .sum()
        });
        Ok(sum)
    }

    fn maps(&self, picture: &Picture) -> Vec<Tensor> {
        let mut x = super::perceptual::tensor(picture) * 2.0 - 1.0;
        x = (x - &self.shift) / &self.scale;
        let mut maps = Vec::new();
        for step in &self.steps {
            x = match step {
                Step::Conv {
                    kernel,
                    bias,
                    stride,
                    padding,
                } => x
                    .conv2d(kernel, Some(bias), [*stride; 2], [*padding; 2], [1, 1], 1)
                    .relu(),
                Step::Pool(side) => x.max_pool2d([*side; 2], [2, 2], [0, 0], [1, 1], false),
                Step::Map => {
                    maps.push(x.shallow_clone());
                    x
                }
            };
        }
        maps
    }
}

/// Each pixel's channels scaled to length 1.
fn unit(map: &Tensor) -> Tensor {
    let squares = map
        .square()
        .sum_dim_intlist([1i64].as_slice(), true, Kind::Float);
    map / (squares.sqrt() + 1e-10)
}

fn steps(shape: &Shape, backbone: &Path) -> Result<Vec<Step>> {
    let entries = read_weights(backbone, None)?;
    let file = backbone.display();
    let find = |name: String| {
        let found = entries.iter().find(|(n, _)| *n == name);
        let (_, tensor) = found.with_context(|| {
            format!(
                "{file} holds no '{name}': {} needs torchvision's weights of its network",
                shape.name
            )
        })?;
        anyhow::Ok(tensor.to_kind(Kind::Float))
    };
    let mut steps = Vec::new();
    let (mut channels, mut maps) = (3, shape.widths.iter());
    for plan in shape.steps {
        steps.push(match *plan {
            C(index, stride, padding) => {
                let kernel = find(format!("features.{index}.weight"))?;
                let size = kernel.size();
                if size.len() != 4 || size[1] != channels {
                    bail!("{file}: 'features.{index}.weight' has the shape {size:?}");
                }
                channels = size[0];
                let bias = find(format!("features.{index}.bias"))?;
                ensure!(
                    bias.size() == [channels],
                    "{file}: 'features.{index}.bias' does not fit its kernel"
                );
                Step::Conv {
                    kernel,
                    bias,
                    stride,
                    padding,
                }
            }
            P(side) => Step::Pool(side),
            M => {
                let width = maps.next().copied().unwrap_or(0);
                ensure!(
                    width == channels,
                    "{file} is another network than the linear layers belong to"
                );
                Step::Map
            }
        });
    }
    Ok(steps)
}

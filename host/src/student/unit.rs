//! How one convolution of a chain trains.

use anyhow::{Result, anyhow};
use tch::nn::{BatchNorm, BatchNormConfig, Init, ModuleT, Path};
use tch::{Kind, Tensor};

use super::BranchedConv;

/// Side of every kernel.
const SIDE: i64 = 3;

/// How one convolution of a chain trains; all fold into a kernel and a bias.
#[derive(Debug)]
pub(super) enum Unit {
    /// A kernel and a bias.
    Plain { kernel: Tensor, bias: Tensor },
    /// Several linear branches, merged.
    Branched(BranchedConv),
    /// A kernel followed by batch normalisation.
    Normed {
        kernel: Tensor,
        bias: Tensor,
        norm: BatchNorm,
    },
}

/// Shape of one 3x3 convolution to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConvShape {
    pub outputs: usize,
    pub branches: bool,
    pub norm: bool,
}

impl Unit {
    pub fn new(path: &Path, inputs: i64, shape: ConvShape, gain: f64) -> Self {
        let outputs = shape.outputs as i64;
        if shape.branches {
            return Self::Branched(BranchedConv::new(path, inputs, outputs, gain));
        }
        // He's uniform initialisation for ReLU, scaled.
        let bound = gain * (6.0 / (inputs * SIDE * SIDE) as f64).sqrt();
        let init = Init::Uniform {
            lo: -bound,
            up: bound,
        };
        let kernel = path.var("kernel", &[outputs, inputs, SIDE, SIDE], init);
        let bias = path.zeros("bias", &[outputs]);
        if shape.norm {
            let config = BatchNormConfig::default();
            let norm = tch::nn::batch_norm2d(path / "norm", outputs, config);
            return Self::Normed { kernel, bias, norm };
        }
        Self::Plain { kernel, bias }
    }

    /// Makes a new unit begin near zero, where its gain is small.
    pub fn begin_near_zero(&self) {
        if let Self::Branched(conv) = self {
            conv.without_identity();
        }
    }

    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        match self {
            Self::Plain { kernel, bias } => convolve(x, kernel, bias),
            Self::Branched(conv) => {
                let (kernel, bias) = conv.merged();
                convolve(x, &kernel, &bias)
            }
            Self::Normed { kernel, bias, norm } => {
                // Statistics of bytes' size differences need all of f32.
                let y = convolve(x, kernel, bias).to_kind(Kind::Float);
                norm.forward_t(&y, train).to_kind(x.kind())
            }
        }
    }

    /// Takes over a plain convolution's kernel `[O,I,k,k]` and bias `[O]`.
    pub fn unfold(&self, plain: &Tensor, shift: &Tensor) -> Result<()> {
        match self {
            Self::Branched(conv) => conv.unmerge(plain, shift),
            Self::Plain { kernel, bias } => tch::no_grad(|| {
                kernel.shallow_clone().copy_(plain);
                bias.shallow_clone().copy_(shift);
            }),
            Self::Normed { kernel, bias, norm } => {
                let (scale, offset) = trained(norm)?;
                let unchanged = 1.0 + BatchNormConfig::default().eps;
                tch::no_grad(|| {
                    kernel.shallow_clone().copy_(plain);
                    bias.shallow_clone().copy_(shift);
                    let _ = scale.shallow_clone().fill_(unchanged.sqrt());
                    let _ = offset.shallow_clone().zero_();
                    let _ = norm.running_mean.shallow_clone().zero_();
                    let _ = norm.running_var.shallow_clone().fill_(1.0);
                });
            }
        }
        Ok(())
    }

    /// Kernel `[O,I,k,k]` and bias `[O]` of the equivalent plain convolution.
    pub fn folded(&self) -> Result<(Tensor, Tensor)> {
        Ok(match self {
            Self::Plain { kernel, bias } => (kernel.shallow_clone(), bias.shallow_clone()),
            Self::Branched(conv) => conv.merged(),
            Self::Normed { kernel, bias, norm } => {
                let (scale, shift) = trained(norm)?;
                let epsilon = BatchNormConfig::default().eps;
                let factor = scale / (&norm.running_var + epsilon).sqrt();
                let kernel = kernel * factor.reshape([-1, 1, 1, 1]);
                let bias = (bias - &norm.running_mean) * &factor + shift;
                (kernel, bias)
            }
        })
    }
}

/// The scale and shift of a batch normalisation.
fn trained(norm: &BatchNorm) -> Result<(&Tensor, &Tensor)> {
    let both = norm.ws.as_ref().zip(norm.bs.as_ref());
    both.ok_or_else(|| anyhow!("the batch normalisation has no scale and shift"))
}

pub(super) fn convolve(x: &Tensor, kernel: &Tensor, bias: &Tensor) -> Tensor {
    let pad = kernel.size()[2] / 2;
    let (kernel, bias) = (kernel.to_kind(x.kind()), bias.to_kind(x.kind()));
    x.conv2d(&kernel, Some(&bias), [1, 1], [pad, pad], [1, 1], 1)
}

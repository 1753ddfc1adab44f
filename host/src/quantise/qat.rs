//! Fine-tuning with the board's arithmetic in the loop.
//!
//! Rounding passes gradients straight through (Jacob et al., CVPR 2018); the scales of activations
//! are learnt (Esser et al., "Learned Step Size Quantization", ICLR 2020), those of weights follow
//! their largest magnitude. Beside the truth, the f32 student is the teacher, at its output and at
//! its last inner map: a heavy teacher pulls an INT8 student away from where it can stand.

use anyhow::{Context, Result, ensure};
use hone_shared::quant::{Affine, INPUT, QuantChain};
use hone_shared::student::{ConvChain, ConvLayer};
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Tensor};

use super::fake::{IntegerConv, levels, round};
use super::mixed::{self, MixedLayer};
use super::weights::{self, BIAS_LIMIT, LEVELS, SMALLEST};
use crate::student::{depth_to_space, limit, space_to_depth};

/// Parameter group of the scales.
const SCALES: usize = 1;
/// How much faster scales learn: they are few, and relative to what they started from.
const SCALES_FASTER: f64 = 10.0;

/// How long and how fast to fine-tune.
#[derive(Debug, Clone, PartialEq)]
pub struct QatConfig {
    /// Updates.
    pub steps: u64,
    /// Adam's learning rate at the start; falls to 0 on a cosine.
    pub learning_rate: f64,
    /// Weight of the L1 distance to the f32 student's output.
    pub student_weight: f64,
    /// Weight of the distance to the f32 student's last inner map, in its own scale.
    pub feature_weight: f64,
}

impl Default for QatConfig {
    fn default() -> Self {
        Self {
            steps: 400,
            learning_rate: 1e-4,
            student_weight: 0.5,
            feature_weight: 0.05,
        }
    }
}

/// Degraded and true patches `[N,C,H,W]`, 0..1.
#[derive(Debug)]
pub struct QatBatch {
    /// What the student gets.
    pub input: Tensor,
    /// What it should give.
    pub truth: Tensor,
}

/// A chain whose weights and activation scales are trained.
pub(super) struct Trainee {
    pub store: nn::VarStore,
    layers: Vec<TraineeLayer>,
    shape: ConvChain,
}

struct TraineeLayer {
    weights: Tensor,
    bias: Tensor,
    /// The scale is `start * exp(change)`.
    start: f32,
    /// `None` keeps the scale: the residual's, whose steps are the frame's own.
    change: Option<Tensor>,
    zero_point: u8,
}

impl Trainee {
    pub fn new(chain: &ConvChain, affines: &[Affine], device: Device) -> Result<Self> {
        let store = nn::VarStore::new(device);
        let root = store.root();
        let mut layers = Vec::new();
        for (i, (layer, affine)) in chain.layers.iter().zip(affines).enumerate() {
            let dims = [layer.outputs, layer.inputs, layer.kernel, layer.kernel].map(|d| d as i64);
            let path = &root / i;
            let weights = Tensor::f_from_slice(&layer.weights)?.reshape(dims);
            layers.push(TraineeLayer {
                weights: path.var_copy("weights", &weights),
                bias: path.var_copy("bias", &Tensor::f_from_slice(&layer.bias)?),
                start: affine.scale,
                change: layer.relu.then(|| {
                    let faster = path.set_group(SCALES);
                    faster.var("change", &[], nn::Init::Const(0.0))
                }),
                zero_point: affine.zero_point,
            });
        }
        Ok(Self {
            store,
            layers,
            shape: chain.clone(),
        })
    }

    /// Whether any scale is learnt: the residual's is not, and a single convolution has no other.
    fn learns_scales(&self) -> bool {
        self.layers.iter().any(|layer| layer.change.is_some())
    }

    /// Residual levels as reals `[N,C,H,W]`, and the last inner map.
    pub fn forward(&self, frame: &Tensor) -> (Tensor, Tensor) {
        let s = self.shape.scale as i64;
        let mut q = levels(&space_to_depth(frame, s), INPUT);
        let mut input = (
            Tensor::from(INPUT.scale).to_device(frame.device()),
            INPUT.zero_point,
        );
        let mut inner = q.shallow_clone();
        let mut last = (&q - f64::from(INPUT.zero_point)) * f64::from(INPUT.scale);
        for layer in &self.layers {
            inner = last;
            q = layer.integer(&input.0, input.1).forward(&q);
            input = (layer.scale(frame.device()), layer.zero_point);
            last = (&q - f64::from(input.1)) * &input.0;
        }
        (depth_to_space(&last, s), inner)
    }

    /// What the training has come to, in integers.
    pub fn export(&self) -> Result<QuantChain> {
        let mut input = INPUT;
        let mut layers = Vec::new();
        for (layer, shape) in self.layers.iter().zip(&self.shape.layers) {
            let floats =
                |t: &Tensor| Vec::<f32>::try_from(t.detach().to_device(Device::Cpu).flatten(0, -1));
            let trained = ConvLayer {
                weights: floats(&layer.weights)?,
                bias: floats(&layer.bias)?,
                ..shape.clone()
            };
            let scale = layer.scale(Device::Cpu).double_value(&[]) as f32;
            let output = Affine {
                scale,
                zero_point: layer.zero_point,
            };
            layers.push(weights::quantise(&trained, input, output));
            input = output;
        }
        let chain = QuantChain {
            colour: self.shape.colour,
            scale: self.shape.scale,
            layers,
            limited: self.shape.limited,
        };
        chain
            .validate()
            .map_err(|e| anyhow::anyhow!("fine-tuning broke the student: {e}"))?;
        Ok(chain)
    }
}

impl TraineeLayer {
    /// Scale of the output.
    fn scale(&self, device: Device) -> Tensor {
        let start = Tensor::from(self.start).to_device(device);
        match &self.change {
            Some(change) => start * change.exp().to_device(device),
            None => start,
        }
    }

    /// The layer in whole numbers, as [`weights::quantise`] makes it, with gradients.
    fn integer(&self, input_scale: &Tensor, zero_in: u8) -> IntegerConv {
        let largest = self.weights.abs().amax([1i64, 2, 3].as_slice(), false) / f64::from(LEVELS);
        let for_bias = self.bias.abs() / (input_scale * f64::from(BIAS_LIMIT));
        let scale = largest
            .maximum(&for_bias)
            .clamp_min(f64::from(SMALLEST))
            .detach();
        let unit = input_scale * &scale;
        let steps = &self.weights / scale.reshape([-1, 1, 1, 1]);
        IntegerConv {
            weights: round(&steps).clamp(-f64::from(LEVELS), f64::from(LEVELS)),
            bias: round(&(&self.bias / &unit)),
            multipliers: unit / self.scale(self.weights.device()),
            zero_in,
            zero_out: self.zero_point,
        }
    }
}

/// Fine-tunes `chain` from the scales of `start`; `next` gives batches, `progress` hears the loss.
///
/// # Errors
/// When `next` fails, or the loss stops being a number.
pub fn fine_tune(
    chain: &ConvChain,
    start: &QuantChain,
    config: &QatConfig,
    mut next: impl FnMut() -> Result<QatBatch>,
    mut progress: impl FnMut(u64, f64),
) -> Result<QuantChain> {
    ensure!(
        chain.layers.len() == start.layers.len(),
        "the scales belong to another student"
    );
    let affines: Vec<Affine> = start.layers.iter().map(|l| l.output).collect();
    let first = next()?;
    let trainee = Trainee::new(&corrected(chain, start), &affines, first.input.device())?;
    let mut adam = nn::Adam::default().build(&trainee.store, config.learning_rate)?;
    let mut batch = Some(first);
    for step in 0..config.steps {
        let QatBatch { input, truth } = match batch.take() {
            Some(first) => first,
            None => next()?,
        };
        let (guide, guide_inner) = tch::no_grad(|| float_forward(chain, &input));
        let (residual, inner) = trainee.forward(&input);
        let restored = held(&input + residual, &input, chain);
        let spread = guide_inner.abs().mean(Kind::Float).clamp_min(1e-6);
        let to_truth = (&restored - truth).abs().mean(Kind::Float);
        let to_student = (&restored - guide).abs().mean(Kind::Float);
        let to_inner = (inner - guide_inner).abs().mean(Kind::Float) / spread * 0.01;
        let loss = to_truth + to_student * config.student_weight + to_inner * config.feature_weight;
        let value = loss.double_value(&[]);
        ensure!(
            value.is_finite(),
            "the loss is {value} at step {step}: lower the learning rate"
        );
        let share = step as f64 / config.steps as f64;
        let rate = config.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * share).cos());
        adam.set_lr_group(0, rate);
        if trainee.learns_scales() {
            adam.set_lr_group(SCALES, SCALES_FASTER * rate);
        }
        adam.backward_step(&loss);
        progress(step + 1, value);
    }
    trainee.export().context("after fine-tuning")
}

/// The chain with the biases of its INT8 version, which calibration has corrected.
fn corrected(chain: &ConvChain, start: &QuantChain) -> ConvChain {
    let mut chain = chain.clone();
    for (i, (layer, int8)) in chain.layers.iter_mut().zip(&start.layers).enumerate() {
        let unit = start.input_of(i).scale;
        let biases = int8.bias.iter().zip(&int8.weight_scales);
        layer.bias = biases.map(|(b, scale)| *b as f32 * unit * scale).collect();
    }
    chain
}

/// What a chain makes of `frame + residual`.
fn held(restored: Tensor, frame: &Tensor, chain: &ConvChain) -> Tensor {
    match chain.limited {
        true => limit(&restored, frame),
        false => restored,
    }
}

/// What the f32 chain restores, and its last inner map.
fn float_forward(chain: &ConvChain, frame: &Tensor) -> (Tensor, Tensor) {
    let mut x = mixed::blocks(frame, chain.scale);
    let mut inner = x.shallow_clone();
    for layer in &chain.layers {
        inner = x;
        x = MixedLayer::Float(layer.clone()).run(&inner);
    }
    let restored = frame + depth_to_space(&x, chain.scale as i64);
    (held(restored, frame, chain), inner)
}

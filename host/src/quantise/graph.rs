//! Graph students whose convolutions are INT8.
//!
//! Every INT8 convolution reads a u8 tensor and gives one (its ReLU, where one follows, is the clamp at
//! zero point 0); all other operations compute in f32 between them. All steps, of tensors and weights,
//! are powers of two, and the frame's bytes are read as steps of 1/256 by weights that are 256/255
//! larger. So products and sums of an INT8 convolution are whole numbers of one power of two below
//! 2^24 of it, which f32 holds exactly in any order: ONNX Runtime's integer convolutions, tract's f32
//! ones and torch's here give the same bytes, and a difference of the last bit cannot grow from layer
//! to layer as it does through rounding after rounding.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use hone_shared::quant::{Affine, INPUT};
use hone_shared::student::Colour;
use tch::{Kind, Tensor};

use super::fake::{levels, reals, round_trip};
use super::histogram::power_above;
use super::weights::LEVELS;
use crate::onnx::{Metadata, write_graph};
use crate::student::graph::{Graph, Node, Op};

/// The frame's bytes as an INT8 convolution reads them.
pub(super) const FRAME: Affine = Affine {
    scale: 1.0 / 256.0,
    zero_point: 0,
};

/// What the weights on the frame are multiplied with, for [`FRAME`] to mean 0..1.
const FRAME_GAIN: f64 = 256.0 / 255.0;

/// Whole numbers up to this are exact in f32.
const EXACT: i64 = 1 << 24;

/// Largest bias, in units of the accumulator.
const BIAS_LIMIT: f32 = (1 << 21) as f32;

/// One convolution in INT8.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphConv {
    /// Levels `[O,I/groups,k,k]`, -127..=127, row-major.
    pub weights: Vec<i8>,
    /// Step of each output channel's weights `[O]`, powers of two.
    pub weight_scales: Vec<f32>,
    /// Bias `[O]` in units of `input step * weight step`.
    pub bias: Vec<i32>,
    /// What it reads.
    pub input: Affine,
    /// What it gives, after the ReLU behind it.
    pub output: Affine,
}

/// A graph student in INT8, but for convolutions that stay f32.
#[derive(Debug, Clone)]
pub struct MixedGraph<'a> {
    /// The f32 student.
    pub graph: &'a Graph,
    /// Planes restored.
    pub colour: Colour,
    /// INT8 convolutions by their node.
    pub convs: BTreeMap<Node, GraphConv>,
}

/// A convolution of a graph.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConvOp<'a> {
    pub kernel: &'a Tensor,
    pub bias: Option<&'a Tensor>,
    stride: i64,
    padding: i64,
    groups: i64,
}

impl<'a> ConvOp<'a> {
    pub fn of(op: &'a Op) -> Option<Self> {
        match op {
            Op::Conv {
                kernel,
                bias,
                stride,
                padding,
                groups,
            } => Some(Self {
                kernel,
                bias: bias.as_ref(),
                stride: *stride,
                padding: *padding,
                groups: *groups,
            }),
            _ => None,
        }
    }

    /// Sums with another kernel and bias.
    pub fn run(&self, x: &Tensor, kernel: &Tensor, bias: &Tensor) -> Tensor {
        let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
        x.conv2d(kernel, Some(bias), stride, padding, [1, 1], self.groups)
    }

    /// The kernel as it is applied to what node `input` reads, and the bias; f32.
    pub fn learned(&self, input: Node) -> (Tensor, Tensor) {
        let gain = if input == 0 { FRAME_GAIN } else { 1.0 };
        let kernel = self.kernel.detach().to_kind(Kind::Double) * gain;
        let bias = match self.bias {
            Some(bias) => bias.detach().to_kind(Kind::Float),
            None => Tensor::zeros([kernel.size()[0]], (Kind::Float, kernel.device())),
        };
        (kernel.to_kind(Kind::Float), bias)
    }
}

impl GraphConv {
    /// Rounds a kernel `[O,I/groups,k,k]` and a bias `[O]`. A channel of small weights beside a large
    /// bias gets a larger step than its weights ask for, so that the bias fits.
    ///
    /// # Errors
    /// When a weight is no finite number, or a sum could leave what f32 holds exactly.
    pub(super) fn new(
        kernel: &Tensor,
        bias: &Tensor,
        input: Affine,
        output: Affine,
    ) -> Result<Self> {
        let outputs = kernel.size()[0] as usize;
        let kernel = Vec::<f32>::try_from(kernel.contiguous().flatten(0, -1))?;
        let biases = Vec::<f32>::try_from(bias.contiguous())?;
        ensure!(
            kernel.iter().chain(&biases).all(|w| w.is_finite()),
            "holds a weight that is not a finite number"
        );
        let mut conv = Self {
            weights: Vec::with_capacity(kernel.len()),
            weight_scales: Vec::with_capacity(outputs),
            bias: Vec::with_capacity(outputs),
            input,
            output,
        };
        for (channel, bias) in kernel.chunks_exact(kernel.len() / outputs).zip(biases) {
            let largest = channel.iter().fold(0f32, |m, w| m.max(w.abs()));
            let scale = (largest / LEVELS).max(bias.abs() / (input.scale * BIAS_LIMIT));
            let scale = power_above(scale);
            let level = |w: &f32| (w / scale).round_ties_even().clamp(-LEVELS, LEVELS) as i8;
            let levels: Vec<i8> = channel.iter().map(level).collect();
            let bias = (bias / (input.scale * scale)).round_ties_even() as i32;
            let reach: i64 = levels
                .iter()
                .map(|w| 255 * i64::from(w.unsigned_abs()))
                .sum();
            ensure!(
                reach + i64::from(bias.unsigned_abs()) <= EXACT,
                "can add up to more than 2^24 steps, where f32 is no longer exact"
            );
            conv.weights.extend(levels);
            conv.weight_scales.push(scale);
            conv.bias.push(bias);
        }
        Ok(conv)
    }

    /// The numbers that its integers stand for: kernel of the shape `like`, and bias.
    pub(super) fn reals(&self, like: &Tensor) -> (Tensor, Tensor) {
        let device = like.device();
        let levels: Vec<f32> = self.weights.iter().map(|&w| f32::from(w)).collect();
        let scales = Tensor::from_slice(&self.weight_scales).to_device(device);
        let levels = Tensor::from_slice(&levels)
            .to_device(device)
            .reshape(like.size());
        let bias: Vec<f32> = self.bias.iter().map(|&b| b as f32).collect();
        let bias = Tensor::from_slice(&bias).to_device(device) * f64::from(self.input.scale);
        (levels * scales.reshape([-1, 1, 1, 1]), bias * scales)
    }
}

/// What an INT8 convolution makes of the value of node `node`.
pub(super) fn read(x: &Tensor, node: Node, input: Affine) -> Tensor {
    match node {
        0 => reals(&levels(x, INPUT), FRAME),
        _ => round_trip(x, input),
    }
}

/// The node whose value a convolution gives: the ReLU behind it where nothing else reads its sums.
pub(super) fn written(graph: &Graph, conv: Node) -> Node {
    let mut readers = (conv + 1..graph.nodes.len()).filter(|n| graph.nodes[*n].1.contains(&conv));
    match (readers.next(), readers.next()) {
        (Some(reader), None) if matches!(graph.nodes[reader].0, Op::Relu) => reader,
        _ => conv,
    }
}

/// Convolutions in the order of computation: layer number to node.
pub(super) fn convolutions(graph: &Graph) -> Vec<Node> {
    let nodes = graph.nodes.iter().enumerate();
    let convs = nodes.filter(|(_, (op, _))| matches!(op, Op::Conv { .. }));
    convs.map(|(node, _)| node).collect()
}

impl MixedGraph<'_> {
    /// `frame + residual`, `[N,C,H,W]`; sides are multiples of the graph's.
    pub fn restore(&self, frame: &Tensor) -> Tensor {
        let mut values: Vec<Tensor> = Vec::with_capacity(self.graph.nodes.len());
        let given = self.given();
        for (node, (op, inputs)) in self.graph.nodes.iter().enumerate() {
            let at = |i: usize| inputs.get(i).map_or(frame, |n| &values[*n]);
            let value = match (ConvOp::of(op), self.convs.get(&node)) {
                (Some(op), Some(conv)) => {
                    let (kernel, bias) = conv.reals(op.kernel);
                    op.run(&read(at(0), inputs[0], conv.input), &kernel, &bias)
                }
                _ => op.apply(at(0), at(1)),
            };
            values.push(match given.get(&node) {
                Some(output) => round_trip(&value, *output),
                None => value,
            });
        }
        values
            .pop()
            .map_or_else(|| frame.shallow_clone(), |residual| frame + residual)
    }

    /// Nodes whose values INT8 convolutions give, and their steps.
    pub fn given(&self) -> BTreeMap<Node, Affine> {
        let convs = self.convs.iter();
        convs
            .map(|(node, conv)| (written(self.graph, *node), conv.output))
            .collect()
    }

    /// The student with none of its convolutions in INT8, or one of them alone.
    pub fn with_only(&self, layer: Option<Node>) -> Self {
        let convs = self.convs.iter().filter(|(node, _)| Some(**node) == layer);
        Self {
            graph: self.graph,
            colour: self.colour,
            convs: convs.map(|(node, conv)| (*node, conv.clone())).collect(),
        }
    }

    /// The student's ONNX file.
    ///
    /// # Errors
    /// When a weight is no finite number.
    pub fn write(&self, metadata: &Metadata) -> Result<Vec<u8>> {
        write_graph(self.graph, Some(self), self.colour, metadata)
    }
}

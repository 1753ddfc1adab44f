//! Students as a small graph of operations: one description that torch runs and ONNX export walks.

use tch::nn::{Init, Path};
use tch::{Kind, Tensor};

/// Number of a node's output.
pub type Node = usize;

/// One operation on maps `[N,F,h,w]`.
#[derive(Debug)]
pub enum Op {
    /// The frame.
    Input,
    /// Convolution; kernel `[O,I/groups,k,k]`, zero padding on all sides.
    Conv {
        /// Weights.
        kernel: Tensor,
        /// `[O]`.
        bias: Option<Tensor>,
        /// Step in both directions.
        stride: i64,
        /// Zeros on every side.
        padding: i64,
        /// Groups of channels.
        groups: i64,
    },
    /// `max(x, 0)`.
    Relu,
    /// Sum of two maps.
    Add,
    /// Product of two maps; a `[N,F,1,1]` factor is spread over the picture.
    Mul,
    /// Product with a learned factor for each channel, `[1,F,1,1]`.
    Scale(Tensor),
    /// Two maps one behind the other.
    Concat,
    /// Some of the channels.
    Slice {
        /// First channel.
        start: i64,
        /// Number of channels.
        length: i64,
    },
    /// Mean over the picture, `[N,F,1,1]`.
    GlobalPool,
    /// Normalisation over the channels of each pixel.
    LayerNorm {
        /// `[F]`.
        scale: Tensor,
        /// `[F]`.
        shift: Tensor,
        /// Added to the variance.
        epsilon: f64,
    },
    /// Each pixel becomes 2 x 2 equal ones.
    Upsample,
    /// Channels become pixels, torch's order (ONNX DepthToSpace, mode CRD).
    PixelShuffle(i64),
}

/// Operations in the order of computation; the last one is the residual added to the frame.
#[derive(Debug)]
pub struct Graph {
    /// Operations and the nodes that they take.
    pub nodes: Vec<(Op, Vec<Node>)>,
    /// Named nodes for feature distillation.
    pub taps: Vec<(String, Node)>,
    /// H and W must be multiples of this.
    pub multiple: usize,
}

impl Graph {
    /// A graph that only has its input, node 0.
    pub fn new(multiple: usize) -> Self {
        Self {
            nodes: vec![(Op::Input, Vec::new())],
            taps: Vec::new(),
            multiple,
        }
    }

    /// Appends an operation.
    pub fn add(&mut self, op: Op, inputs: &[Node]) -> Node {
        self.nodes.push((op, inputs.to_vec()));
        self.nodes.len() - 1
    }

    /// Offers a node to feature distillation.
    pub fn tap(&mut self, name: String, node: Node) {
        self.taps.push((name, node));
    }

    /// Appends a convolution with fresh weights (He's uniform times `gain`).
    pub fn conv(&mut self, path: &Path, input: Node, shape: ConvSpec) -> Node {
        let ConvSpec {
            inputs,
            outputs,
            kernel: k,
            stride,
            groups,
            gain,
        } = shape;
        let bound = gain * (6.0 / (inputs / groups * k * k) as f64).sqrt();
        let init = Init::Uniform {
            lo: -bound,
            up: bound,
        };
        let op = Op::Conv {
            kernel: path.var("kernel", &[outputs, inputs / groups, k, k], init),
            bias: Some(path.zeros("bias", &[outputs])),
            stride,
            padding: (k - 1) / 2,
            groups,
        };
        self.add(op, &[input])
    }

    /// Runs the graph in torch, in the frame's kind of numbers; gives the residual and the named maps.
    pub fn run(&self, frame: &Tensor) -> (Tensor, Vec<(String, Tensor)>) {
        let mut values: Vec<Tensor> = Vec::with_capacity(self.nodes.len());
        for (op, inputs) in &self.nodes {
            let value = {
                let at = |i: usize| inputs.get(i).map_or(frame, |n| &values[*n]);
                op.apply(at(0), at(1))
            };
            values.push(value);
        }
        let named = |(name, node): &(String, Node)| (name.clone(), values[*node].shallow_clone());
        let maps = self.taps.iter().map(named).collect();
        (values.pop().unwrap_or_else(|| frame.zeros_like()), maps)
    }

    /// How far an output pixel looks in each direction, in full-resolution pixels counted from the
    /// border of its block of [`Graph::multiple`]; `None` when every pixel sees the whole frame.
    pub fn halo(&self) -> Option<usize> {
        // Pixels between neighbouring samples of each node, and how far beyond its own pixels a
        // sample looks.
        let mut reach: Vec<(i64, i64)> = Vec::with_capacity(self.nodes.len());
        for (op, inputs) in &self.nodes {
            let step = inputs.iter().map(|n| reach[*n].0).max().unwrap_or(1);
            let far = inputs.iter().map(|n| reach[*n].1).max().unwrap_or(0);
            reach.push(match op {
                Op::Conv {
                    kernel,
                    stride,
                    padding,
                    ..
                } => {
                    let beyond = kernel.size()[2] - padding - stride;
                    (step * stride, far + step * beyond.max(*padding))
                }
                Op::Upsample => (step / 2, far),
                Op::PixelShuffle(s) => (step / s, far),
                Op::GlobalPool => return None,
                _ => (step, far),
            });
        }
        let far = reach.last().map_or(0, |(_, far)| *far as usize);
        Some(far.next_multiple_of(self.multiple))
    }

    /// Multiply-accumulates of all convolutions for each full-resolution pixel.
    pub fn macs_per_pixel(&self) -> f64 {
        // Size of each node relative to the frame, along one side; 0 stands for one pixel.
        let mut sides: Vec<f64> = Vec::with_capacity(self.nodes.len());
        let mut macs = 0.0;
        for (op, inputs) in &self.nodes {
            let side = inputs.iter().map(|n| sides[*n]).fold(0.0, f64::max);
            sides.push(match op {
                Op::Input => 1.0,
                Op::Conv { kernel, stride, .. } => {
                    let side = side / *stride as f64;
                    macs += kernel.numel() as f64 * side * side;
                    side
                }
                Op::Upsample => side * 2.0,
                Op::PixelShuffle(s) => side * *s as f64,
                Op::GlobalPool => 0.0,
                _ => side,
            });
        }
        macs
    }
}

/// Shape of a convolution for [`Graph::conv`].
#[derive(Debug, Clone, Copy)]
pub struct ConvSpec {
    /// Channels taken.
    pub inputs: i64,
    /// Channels given.
    pub outputs: i64,
    /// Side of the kernel.
    pub kernel: i64,
    /// Step in both directions.
    pub stride: i64,
    /// Groups of channels.
    pub groups: i64,
    /// Factor on the initial weights.
    pub gain: f64,
}

impl ConvSpec {
    /// A `kernel` x `kernel` convolution of stride 1 over all channels.
    pub fn new(inputs: i64, outputs: i64, kernel: i64) -> Self {
        Self {
            inputs,
            outputs,
            kernel,
            stride: 1,
            groups: 1,
            gain: 1.0,
        }
    }
}

impl Op {
    /// Computes one operation; `y` counts for those that take two maps.
    pub(crate) fn apply(&self, x: &Tensor, y: &Tensor) -> Tensor {
        match self {
            Self::Input => x.shallow_clone(),
            Self::Conv {
                kernel,
                bias,
                stride,
                padding,
                groups,
            } => {
                let (stride, padding) = ([*stride; 2], [*padding; 2]);
                let kernel = kernel.to_kind(x.kind());
                let bias = bias.as_ref().map(|b| b.to_kind(x.kind()));
                x.conv2d(&kernel, bias.as_ref(), stride, padding, [1, 1], *groups)
            }
            Self::Relu => x.relu(),
            Self::Add => x + y,
            Self::Mul => x * y,
            Self::Scale(factor) => x * factor.to_kind(x.kind()),
            Self::Concat => Tensor::cat(&[x, y], 1),
            Self::Slice { start, length } => x.narrow(1, *start, *length),
            Self::GlobalPool => x.mean_dim([2i64, 3].as_slice(), true, None::<Kind>),
            Self::LayerNorm {
                scale,
                shift,
                epsilon,
            } => {
                let kind = x.kind();
                let x = x.to_kind(Kind::Float);
                let mean = x.mean_dim([1i64].as_slice(), true, None::<Kind>);
                let centred = x - mean;
                let variance = centred
                    .square()
                    .mean_dim([1i64].as_slice(), true, None::<Kind>);
                let unit = centred / (variance + *epsilon).sqrt();
                let y = unit * scale.reshape([1, -1, 1, 1]) + shift.reshape([1, -1, 1, 1]);
                y.to_kind(kind)
            }
            Self::Upsample => {
                let size = x.size();
                x.upsample_nearest2d([size[2] * 2, size[3] * 2], None, None)
            }
            Self::PixelShuffle(s) => x.pixel_shuffle(*s),
        }
    }
}

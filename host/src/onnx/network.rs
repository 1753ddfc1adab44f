//! Writing students that are no chain: their graph of operations, node by node, f32 or INT8 (QDQ).

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use hone_shared::quant::{Affine, INPUT};
use hone_shared::student::{Colour, INPUT_NAME};
use tch::{Device, Kind, Tensor};

use super::Metadata;
use super::graph::{Attribute, Graph, Int8};
use crate::quantise::{GraphConv, MixedGraph};
use crate::student::graph::{self, Op};

/// The file of a graph student, its convolutions INT8 where `int8` has them so. Each of those reads
/// DequantizeLinear of a u8 tensor, of its s8 weights and of its s32 bias, and a QuantizeLinear follows;
/// what lies between convolutions is f32.
///
/// # Errors
/// When a weight is no finite number.
pub fn write_graph(
    student: &graph::Graph,
    int8: Option<&MixedGraph<'_>>,
    colour: Colour,
    metadata: &Metadata,
) -> Result<Vec<u8>> {
    let mut writer = Writer {
        graph: Graph::new(),
        names: Vec::new(),
        int8,
        given: int8.map(MixedGraph::given).unwrap_or_default(),
        dequantised: BTreeMap::new(),
        held: BTreeMap::new(),
    };
    for (i, (op, inputs)) in student.nodes.iter().enumerate() {
        let name = writer
            .node(i, op, inputs)
            .with_context(|| format!("operation {i} of the student cannot be exported"))?;
        writer.names.push(name);
    }
    let residual = writer.names.pop().context("the student has no operation")?;
    Ok(writer.graph.finish(&residual, colour, metadata))
}

/// Numbers of a Conv's attributes.
struct Geometry {
    sides: [i64; 2],
    pads: [i64; 4],
    strides: [i64; 2],
    groups: i64,
}

impl Geometry {
    fn of(kernel: &Tensor, stride: i64, padding: i64, groups: i64) -> Self {
        Self {
            sides: [kernel.size()[2]; 2],
            pads: [padding; 4],
            strides: [stride; 2],
            groups,
        }
    }

    fn attributes(&self) -> [(&'static str, Attribute<'_>); 4] {
        [
            ("kernel_shape", Attribute::Ints(&self.sides)),
            ("pads", Attribute::Ints(&self.pads)),
            ("strides", Attribute::Ints(&self.strides)),
            ("group", Attribute::Int(self.groups)),
        ]
    }
}

struct Writer<'a> {
    graph: Graph,
    /// Name of each node's f32 output so far.
    names: Vec<String>,
    int8: Option<&'a MixedGraph<'a>>,
    /// Nodes whose values INT8 convolutions give.
    given: BTreeMap<graph::Node, Affine>,
    /// Names of the values that have been in u8, by node.
    dequantised: BTreeMap<graph::Node, String>,
    /// Names of the values that Slices read, by node.
    held: BTreeMap<graph::Node, String>,
}

impl Writer<'_> {
    fn node(&mut self, i: usize, op: &Op, inputs: &[graph::Node]) -> Result<String> {
        let names: Vec<String> = inputs.iter().map(|n| self.names[*n].clone()).collect();
        let read: Vec<&str> = names.iter().map(String::as_str).collect();
        let out = format!("n{i}");
        let one = |writer: &mut Self, kind: &str, attributes: &[(&str, Attribute<'_>)]| {
            writer.graph.node(kind, &read, &out, attributes)
        };
        Ok(match op {
            Op::Input => INPUT_NAME.to_owned(),
            Op::Conv {
                kernel,
                bias,
                stride,
                padding,
                groups,
            } => {
                let geometry = Geometry::of(kernel, *stride, *padding, *groups);
                if let Some(conv) = self.int8.and_then(|int8| int8.convs.get(&i)) {
                    return Ok(self.int8_conv(i, (kernel, &geometry), inputs[0], conv));
                }
                let weight = self.store(&format!("{out}.weight"), kernel, &kernel.size())?;
                let mut inputs = vec![names[0].clone(), weight];
                if let Some(bias) = bias {
                    inputs.push(self.store(&format!("{out}.bias"), bias, &bias.size())?);
                }
                let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                self.graph
                    .node("Conv", &inputs, &out, &geometry.attributes())
            }
            // The ReLU of an INT8 convolution is the clamp of its bytes.
            Op::Relu if self.given.contains_key(&i) => names[0].clone(),
            Op::Relu => one(self, "Relu", &[]),
            Op::Add => one(self, "Add", &[]),
            Op::Mul => one(self, "Mul", &[]),
            Op::Concat => one(self, "Concat", &[("axis", Attribute::Int(1))]),
            Op::GlobalPool => one(self, "GlobalAveragePool", &[]),
            Op::PixelShuffle(s) => {
                let attributes = [
                    ("blocksize", Attribute::Int(*s)),
                    ("mode", Attribute::Text("CRD")),
                ];
                one(self, "DepthToSpace", &attributes)
            }
            Op::Scale(factor) => {
                let factor = self.store(&format!("{out}.factor"), factor, &factor.size())?;
                self.graph.node("Mul", &[read[0], &factor], &out, &[])
            }
            Op::Slice { start, length } => {
                let ends = [
                    self.graph.longs(&format!("{out}.starts"), &[1], &[*start]),
                    self.graph
                        .longs(&format!("{out}.ends"), &[1], &[start + length]),
                    self.graph.longs(&format!("{out}.axes"), &[1], &[1]),
                ];
                let [starts, ends, axes] = ends.each_ref().map(String::as_str);
                let from = self.beyond_fusion(inputs[0], read[0]);
                self.graph
                    .node("Slice", &[&from, starts, ends, axes], &out, &[])
            }
            // Four copies of each channel, one for each pixel of a block: every runtime has these
            // two operators, and both are exact.
            Op::Upsample => {
                let copies = self.graph.node(
                    "Concat",
                    &[read[0]; 4],
                    &format!("{out}.copies"),
                    &[("axis", Attribute::Int(1))],
                );
                let attributes = [
                    ("blocksize", Attribute::Int(2)),
                    ("mode", Attribute::Text("DCR")),
                ];
                self.graph
                    .node("DepthToSpace", &[&copies], &out, &attributes)
            }
            Op::LayerNorm {
                scale,
                shift,
                epsilon,
            } => self.layer_norm(&out, read[0], scale, shift, *epsilon)?,
        })
    }

    /// Name of the f32 tensor that an INT8 convolution reads: a node's value after a stay in u8.
    fn after_bytes(&mut self, node: graph::Node, affine: Affine) -> String {
        if self.given.contains_key(&node) {
            return self.names[node].clone();
        }
        if let Some(name) = self.dequantised.get(&node) {
            return name.clone();
        }
        let from = self.names[node].clone();
        // The frame's bytes are quantised as the camera made them and read in steps of 1/256.
        let written = if node == 0 { INPUT } else { affine };
        let bytes = self.quantise(&format!("n{node}.in"), &from, written);
        let name = self.dequantise(&format!("n{node}.in"), &bytes, affine, node == 0);
        self.dequantised.insert(node, name.clone());
        name
    }

    /// `name.u8` of the f32 tensor `from`, its step and zero point stored as `name.scale` and `name.zero_point`.
    fn quantise(&mut self, name: &str, from: &str, affine: Affine) -> String {
        let g = &mut self.graph;
        let scale = g.floats(&format!("{name}.scale"), &[], &[affine.scale]);
        let zero = g.bytes(&format!("{name}.zero_point"), &[], &[affine.zero_point]);
        g.node(
            "QuantizeLinear",
            &[from, &scale, &zero],
            &format!("{name}.u8"),
            &[],
        )
    }

    /// `name.f32` of bytes that [`Writer::quantise`] named; `other_step` when they are read with another
    /// step than they were written with.
    fn dequantise(&mut self, name: &str, bytes: &str, affine: Affine, other_step: bool) -> String {
        let g = &mut self.graph;
        let scale = match other_step {
            true => g.floats(&format!("{name}.read_scale"), &[], &[affine.scale]),
            false => format!("{name}.scale"),
        };
        let zero = format!("{name}.zero_point");
        g.node(
            "DequantizeLinear",
            &[bytes, &scale, &zero],
            &format!("{name}.f32"),
            &[],
        )
    }

    /// The value of a node that a Slice reads. ONNX Runtime (1.31) pulls DequantizeLinear through two Slices and makes
    /// a QLinearMul of their product, which is far off; a factor between them, exact as steps are powers of two, keeps it away.
    fn beyond_fusion(&mut self, node: graph::Node, name: &str) -> String {
        let (Some(&affine), Some(base)) = (self.given.get(&node), name.strip_suffix(".f32")) else {
            return name.into();
        };
        if let Some(held) = self.held.get(&node) {
            return held.clone();
        }
        let g = &mut self.graph;
        let half = g.floats(&format!("{base}.half_scale"), &[], &[affine.scale / 2.0]);
        let (bytes, zero) = (format!("{base}.u8"), format!("{base}.zero_point"));
        let halves = g.node(
            "DequantizeLinear",
            &[&bytes, &half, &zero],
            &format!("{base}.half"),
            &[],
        );
        let two = g.floats(&format!("{base}.two"), &[], &[2.0]);
        let held = g.node("Mul", &[&halves, &two], &format!("{base}.held"), &[]);
        self.held.insert(node, held.clone());
        held
    }

    fn int8_conv(
        &mut self,
        i: usize,
        (kernel, geometry): (&Tensor, &Geometry),
        input: graph::Node,
        conv: &GraphConv,
    ) -> String {
        let x = self.after_bytes(input, conv.input);
        let out = format!("n{i}");
        let dims: Vec<usize> = kernel.size().iter().map(|d| *d as usize).collect();
        let numbers = Int8 {
            dims: &dims,
            weights: &conv.weights,
            scales: &conv.weight_scales,
            bias: &conv.bias,
            input: conv.input.scale,
        };
        let [weight, bias] = self.graph.int8_read(&out, &numbers);
        let sums = self.graph.node(
            "Conv",
            &[&x, &weight, &bias],
            &format!("{out}.sum"),
            &geometry.attributes(),
        );
        let bytes = self.quantise(&out, &sums, conv.output);
        self.dequantise(&out, &bytes, conv.output, false)
    }

    /// Over the channels of each pixel; ONNX's LayerNormalization works on the last axes only.
    fn layer_norm(
        &mut self,
        out: &str,
        x: &str,
        scale: &Tensor,
        shift: &Tensor,
        epsilon: f64,
    ) -> Result<String> {
        let shape = [1, -1, 1, 1];
        let size = [1, scale.numel() as i64, 1, 1];
        let scale = self.store(&format!("{out}.scale"), &scale.reshape(shape), &size)?;
        let shift = self.store(&format!("{out}.shift"), &shift.reshape(shape), &size)?;
        let epsilon = self
            .graph
            .floats(&format!("{out}.epsilon"), &[], &[epsilon as f32]);
        let over_channels = [
            ("axes", Attribute::Ints(&[1])),
            ("keepdims", Attribute::Int(1)),
        ];
        let part = |name: &str| format!("{out}.{name}");
        let g = &mut self.graph;
        let mean = g.node("ReduceMean", &[x], &part("mean"), &over_channels);
        let centred = g.node("Sub", &[x, &mean], &part("centred"), &[]);
        let square = g.node("Mul", &[&centred, &centred], &part("square"), &[]);
        let variance = g.node("ReduceMean", &[&square], &part("variance"), &over_channels);
        let stable = g.node("Add", &[&variance, &epsilon], &part("stable"), &[]);
        let deviation = g.node("Sqrt", &[&stable], &part("deviation"), &[]);
        let unit = g.node("Div", &[&centred, &deviation], &part("unit"), &[]);
        let scaled = g.node("Mul", &[&unit, &scale], &part("scaled"), &[]);
        Ok(g.node("Add", &[&scaled, &shift], out, &[]))
    }

    fn store(&mut self, name: &str, tensor: &Tensor, size: &[i64]) -> Result<String> {
        let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float);
        let values = Vec::<f32>::try_from(flat.contiguous().flatten(0, -1))?;
        ensure!(
            values.iter().all(|v| v.is_finite()),
            "'{name}' holds a weight that is not a finite number"
        );
        let dims: Vec<usize> = size.iter().map(|d| *d as usize).collect();
        Ok(self.graph.floats(name, &dims, &values))
    }
}

//! Writing students that are no chain: their graph of operations, node by node, in f32.

use anyhow::{Context, Result, ensure};
use hone_shared::student::{Colour, INPUT_NAME};
use tch::{Device, Kind, Tensor};

use super::Metadata;
use super::graph::{Attribute, Graph};
use crate::student::graph::{self, Op};

/// The file of a graph student.
///
/// # Errors
/// When a weight is no finite number.
pub fn write_graph_f32(
    student: &graph::Graph,
    colour: Colour,
    metadata: &Metadata,
) -> Result<Vec<u8>> {
    let mut writer = Writer {
        graph: Graph::new(),
        names: Vec::new(),
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

struct Writer {
    graph: Graph,
    /// Name of each node's output so far.
    names: Vec<String>,
}

impl Writer {
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
                let weight = self.store(&format!("{out}.weight"), kernel, &kernel.size())?;
                let mut inputs = vec![names[0].clone(), weight];
                if let Some(bias) = bias {
                    inputs.push(self.store(&format!("{out}.bias"), bias, &bias.size())?);
                }
                let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                let side = kernel.size()[2];
                let (sides, pads, strides) = ([side; 2], [*padding; 4], [*stride; 2]);
                let attributes = [
                    ("kernel_shape", Attribute::Ints(&sides)),
                    ("pads", Attribute::Ints(&pads)),
                    ("strides", Attribute::Ints(&strides)),
                    ("group", Attribute::Int(*groups)),
                ];
                self.graph.node("Conv", &inputs, &out, &attributes)
            }
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
                self.graph
                    .node("Slice", &[read[0], starts, ends, axes], &out, &[])
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

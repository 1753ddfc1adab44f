//! The INT8 form: QuantizeLinear and DequantizeLinear around each convolution.
//!
//! Tools place them differently (before or after SpaceToDepth, one ReLU more or less); what counts
//! is the affine map in force where a convolution reads and where it writes.

use hone_shared::quant::{Affine, INPUT, QuantChain, QuantConv};
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use super::{Model, Reason, block, column_row_depth, is_column_row_depth, reader, shape, start};
use crate::engine::normalise;
use crate::engine::stored::{Stored, floats, integers};

/// A convolution whose output is not quantised yet.
struct Open {
    conv: QuantConv,
    relu: bool,
    /// What its Clip lets through at most.
    ceiling: f32,
}

/// Where the walk stands.
struct Walk<'a> {
    stored: &'a Stored<'a>,
    graph: &'a GraphProto,
    chain: QuantChain,
    /// The affine map of the tensor, once it was quantised.
    affine: Option<Affine>,
    open: Option<Open>,
    /// Whether DepthToSpace reads its channels the other way round.
    reordered: bool,
    done: bool,
}

/// The chain of an INT8 model.
pub(super) fn recognise(
    model: &Model,
    graph: &GraphProto,
    stored: &Stored<'_>,
) -> Result<QuantChain, Reason> {
    let mut walk = Walk {
        stored,
        graph,
        chain: QuantChain {
            colour: model.colour,
            scale: 1,
            layers: Vec::new(),
            limited: model.limited,
        },
        affine: None,
        open: None,
        reordered: false,
        done: false,
    };
    let mut at = start(model, graph)?;
    while at != model.residual {
        let node = reader(graph, at)?;
        walk.step(node)?;
        at = node.output.first().map_or("", String::as_str);
    }
    if walk.open.is_some() || (!walk.done && walk.chain.scale > 1) {
        return Err("its residual is not quantised, or SpaceToDepth is not undone".into());
    }
    let mut chain = walk.chain;
    if walk.reordered {
        reorder(&mut chain)?;
    }
    chain.validate()?;
    check_products(&chain)?;
    Ok(chain)
}

impl Walk<'_> {
    fn step(&mut self, node: &NodeProto) -> Result<(), Reason> {
        match node.op_type.as_str() {
            "QuantizeLinear" => self.quantise(affine(node, self.stored)?),
            "DequantizeLinear" if self.affine == Some(affine(node, self.stored)?) => Ok(()),
            "DequantizeLinear" => Err("a tensor is dequantised as something else".into()),
            "SpaceToDepth" if self.chain.layers.is_empty() && self.chain.scale == 1 => {
                self.chain.scale = block(node)?;
                Ok(())
            }
            "DepthToSpace" if !self.done && block(node)? == self.chain.scale => {
                self.reordered = is_column_row_depth(node);
                self.done = true;
                Ok(())
            }
            "Conv" if !self.done && self.open.is_none() => {
                let input = self.affine.ok_or("a convolution reads f32")?;
                let conv = self.convolution(node, input)?;
                self.open = Some(Open {
                    conv,
                    relu: false,
                    ceiling: f32::INFINITY,
                });
                Ok(())
            }
            "Relu" => match (&mut self.open, self.affine) {
                (Some(open), _) => {
                    open.relu = true;
                    Ok(())
                }
                // Bytes with zero point 0 stand for nothing below 0.
                (None, Some(Affine { zero_point: 0, .. })) if !self.chain.layers.is_empty() => {
                    Ok(())
                }
                _ => Err("a ReLU stands where none is expected".into()),
            },
            "Clip" => {
                let high = normalise::ceiling(node, self.stored)?;
                let open = self
                    .open
                    .as_mut()
                    .ok_or("a Clip does not follow a convolution")?;
                open.relu = true;
                open.ceiling = open.ceiling.min(high);
                Ok(())
            }
            other => Err(format!("it holds {other}")),
        }
    }

    fn quantise(&mut self, affine: Affine) -> Result<(), Reason> {
        match self.open.take() {
            Some(open) if open.relu && affine.zero_point != 0 => {
                return Err("a tensor after a ReLU has a zero point above 0".into());
            }
            // Bytes end at 255 by themselves.
            Some(open) if (open.ceiling / affine.scale).round_ties_even() < 255.0 => {
                return Err("a Clip cuts off bytes".into());
            }
            Some(mut open) => {
                open.conv.output = affine;
                self.chain.layers.push(open.conv);
            }
            None if self.affine.is_none() => {
                let off = (affine.scale / INPUT.scale - 1.0).abs();
                if off > 1e-6 || affine.zero_point != 0 {
                    return Err("the frame is not quantised to the camera's bytes".into());
                }
            }
            None if self.affine == Some(affine) => {}
            None => return Err("a tensor is quantised twice".into()),
        }
        self.affine = Some(affine);
        Ok(())
    }

    fn convolution(&self, node: &NodeProto, input: Affine) -> Result<QuantConv, Reason> {
        let source = |i: usize| {
            let name = node.input.get(i).filter(|n| !n.is_empty())?;
            let giver = self
                .graph
                .node
                .iter()
                .find(|n| n.output.first() == Some(name));
            Some(
                giver
                    .filter(|n| n.op_type == "DequantizeLinear")
                    .ok_or(name),
            )
        };
        let Some(Ok(dequantise)) = source(1) else {
            return Err("a convolution's weight is not quantised".into());
        };
        let weight = self.input(dequantise, 0)?;
        let [outputs, inputs, kernel] = shape(node, weight)?;
        let weights = signed(weight)?;
        if let Some(zero) = self.optional(dequantise, 2)?
            && signed(zero)?.iter().any(|&z| z != 0)
        {
            return Err("a weight has a zero point".into());
        }
        let per_channel = |scales: Vec<f32>| match scales.as_slice() {
            [one] => Ok(vec![*one; outputs]),
            all if all.len() == outputs => Ok(scales),
            _ => Err("a weight's scales are not one for each output".to_string()),
        };
        let weight_scales = per_channel(floats(self.input(dequantise, 1)?)?)?;
        let bias = match source(2) {
            None => vec![0; outputs],
            Some(Ok(dequantise)) => {
                let values = integers(self.input(dequantise, 0)?)?;
                let scales = per_channel(floats(self.input(dequantise, 1)?)?)?;
                let unit = weight_scales.iter().map(|w| input.scale * w);
                if scales
                    .iter()
                    .zip(unit)
                    .any(|(s, unit)| (s / unit - 1.0).abs() > 1e-5)
                {
                    return Err("a bias has another scale than its products".into());
                }
                values
            }
            Some(Err(name)) => {
                let stored = self.stored.get(name.as_str());
                let values = floats(stored.ok_or("a bias is computed, not stored")?)?;
                let units = values.iter().zip(&weight_scales);
                units
                    .map(|(b, w)| (b / (input.scale * w)).round_ties_even() as i32)
                    .collect()
            }
        };
        Ok(QuantConv {
            inputs,
            outputs,
            kernel,
            weights,
            weight_scales,
            bias,
            output: INPUT,
        })
    }

    fn input(&self, node: &NodeProto, i: usize) -> Result<&TensorProto, Reason> {
        self.optional(node, i)?
            .ok_or_else(|| format!("{} lacks an input", node.op_type))
    }

    fn optional(&self, node: &NodeProto, i: usize) -> Result<Option<&TensorProto>, Reason> {
        stored(node, i, self.stored)
    }
}

fn stored<'a>(
    node: &NodeProto,
    i: usize,
    stored: &Stored<'a>,
) -> Result<Option<&'a TensorProto>, Reason> {
    let Some(name) = node.input.get(i).filter(|n| !n.is_empty()) else {
        return Ok(None);
    };
    let tensor = stored.get(name.as_str()).copied();
    tensor
        .map(Some)
        .ok_or_else(|| format!("'{name}' is computed, not stored"))
}

/// Scale and u8 zero point of a QuantizeLinear or DequantizeLinear.
fn affine(node: &NodeProto, tensors: &Stored<'_>) -> Result<Affine, Reason> {
    let scale = stored(node, 1, tensors)?.ok_or("a scale is missing")?;
    let zero = stored(node, 2, tensors)?;
    let scale = match floats(scale)?.as_slice() {
        &[scale] => scale,
        _ => return Err("an activation has more than one scale".into()),
    };
    let zero_point = match zero {
        None => 0,
        Some(zero) => match (
            DataType::try_from(zero.data_type),
            integers(zero)?.as_slice(),
        ) {
            (Ok(DataType::Uint8), &[z]) => z,
            // Signed bytes are the same steps, counted from -128.
            (Ok(DataType::Int8), &[z]) => z + 128,
            _ => return Err("an activation is not quantised to bytes".into()),
        },
    };
    let zero_point = u8::try_from(zero_point).map_err(|_| "a zero point is no byte")?;
    Ok(Affine { scale, zero_point })
}

fn signed(tensor: &TensorProto) -> Result<Vec<i8>, Reason> {
    if tensor.data_type != DataType::Int8 as i32 {
        return Err(format!("'{}' is not s8", tensor.name));
    }
    let values = integers(tensor)?.into_iter().map(i8::try_from);
    values
        .collect::<Result<_, _>>()
        .map_err(|_| format!("'{}' is not s8", tensor.name))
}

fn reorder(chain: &mut QuantChain) -> Result<(), Reason> {
    let order = column_row_depth(chain.colour.channels(), chain.scale);
    let Some(layer) = chain.layers.last_mut().filter(|l| l.outputs == order.len()) else {
        return Err("DepthToSpace does not follow the last convolution".into());
    };
    let size = layer.inputs * layer.kernel * layer.kernel;
    let weights = order
        .iter()
        .flat_map(|&o| layer.weights[o * size..][..size].to_vec());
    layer.weights = weights.collect();
    layer.bias = order.iter().map(|&o| layer.bias[o]).collect();
    layer.weight_scales = order.iter().map(|&o| layer.weight_scales[o]).collect();
    Ok(())
}

/// Products with multipliers must fit in i32, where instruction sets convert alike.
fn check_products(chain: &QuantChain) -> Result<(), Reason> {
    for (i, layer) in chain.layers.iter().enumerate() {
        let taps = (layer.inputs * layer.kernel * layer.kernel).max(1);
        let kernels = layer.weights.chunks_exact(taps).zip(&layer.bias);
        for ((weights, bias), multiplier) in kernels.zip(chain.multipliers(i)) {
            let sum: f32 = weights
                .iter()
                .map(|&w| 255.0 * f32::from(w.unsigned_abs()))
                .sum();
            let most = (sum + bias.unsigned_abs() as f32) * multiplier;
            if most.is_nan() || most >= (1 << 30) as f32 {
                return Err("its scales are out of range".into());
            }
        }
    }
    Ok(())
}

//! The INT8 form: QuantizeLinear and DequantizeLinear around each convolution.
//!
//! Tools place them differently (before or after SpaceToDepth, one ReLU more or less); what counts
//! is the affine map in force where a convolution reads and where it writes.

use hone_shared::quant::{Affine, INPUT, QuantChain, QuantConv};
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::quantiser::{affine, is_camera, scales, signed, stored};
use super::{
    Model, Reason, bias, block, column_row_depth, is_column_row_depth, reader, reordered, shape,
    start,
};
use crate::engine::model::giver;
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
    columns: bool,
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
        columns: false,
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
    // Before the order of channels is laid out: a file may tell any block and lack any number.
    chain.validate()?;
    if let Some(last) = chain.layers.last_mut().filter(|_| walk.columns) {
        let order = column_row_depth(chain.colour.channels(), chain.scale);
        last.weights = reordered(&last.weights, &order);
        last.bias = reordered(&last.bias, &order);
        last.weight_scales = reordered(&last.weight_scales, &order);
    }
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
                self.columns = is_column_row_depth(node);
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
                if !is_camera(affine) {
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
            let dequantise = giver(self.graph, name).filter(|n| n.op_type == "DequantizeLinear");
            Some(dequantise.ok_or(name))
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
        let weight_scales = scales(dequantise, weight, outputs, self.stored)?;
        let biases = match source(2) {
            None => vec![0; outputs],
            Some(Ok(dequantise)) => {
                let stored = self.input(dequantise, 0)?;
                let values = bias(integers(stored)?, outputs)?;
                let scales = scales(dequantise, stored, outputs, self.stored)?;
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
                let values = bias(values, outputs)?;
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
            bias: biases,
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

//! Factors and offsets for each channel become part of a neighbouring convolution.

use tract_onnx::pb::{GraphProto, NodeProto};

use super::{Floats, attribute, readers};

/// A node that multiplies or shifts the maps of `input` by constants, one for each channel.
struct PerChannel {
    at: usize,
    /// The tensor that is changed.
    input: String,
    output: String,
    multiplies: bool,
    constant: Floats,
}

fn per_channel(graph: &GraphProto) -> Vec<PerChannel> {
    let one = |(at, node): (usize, &NodeProto)| {
        let multiplies = match node.op_type.as_str() {
            "Mul" => true,
            "Add" => false,
            _ => return None,
        };
        let [a, b] = node.input.as_slice() else {
            return None;
        };
        let (input, constant) = match (Floats::of(graph, a), Floats::of(graph, b)) {
            (None, Some(constant)) => (a, constant),
            (Some(constant), None) => (b, constant),
            _ => return None,
        };
        Some(PerChannel {
            at,
            input: input.clone(),
            output: node.output.first()?.clone(),
            multiplies,
            constant,
        })
    };
    graph.node.iter().enumerate().filter_map(one).collect()
}

/// Weights and bias of a convolution, when both are f32 constants that nothing else reads.
struct Conv {
    weight: String,
    kernel: Floats,
    bias: Option<String>,
    offsets: Vec<f32>,
}

impl Conv {
    fn of(graph: &GraphProto, node: &NodeProto) -> Option<Self> {
        if node.op_type != "Conv" {
            return None;
        }
        let weight = node.input.get(1)?.clone();
        let kernel = Floats::of(graph, &weight).filter(|k| k.dims.len() == 4)?;
        let bias = node.input.get(2).filter(|n| !n.is_empty()).cloned();
        let offsets = match &bias {
            Some(name) => Floats::of(graph, name)?.values,
            None => vec![0.0; usize::try_from(kernel.dims[0]).ok()?],
        };
        let own = |name: &String| readers(graph, name) == 1;
        (own(&weight) && bias.as_ref().is_none_or(own)).then_some(Self {
            weight,
            kernel,
            bias,
            offsets,
        })
    }

    fn outputs(&self) -> usize {
        self.offsets.len()
    }

    fn store(self, graph: &mut GraphProto, at: usize) {
        let name = self.bias.unwrap_or_else(|| {
            let name = format!("{}.bias", self.weight);
            graph.node[at].input.truncate(2);
            graph.node[at].input.push(name.clone());
            name
        });
        let bias = Floats {
            dims: vec![self.offsets.len() as i64],
            values: self.offsets,
        };
        self.kernel.store(graph, &self.weight);
        bias.store(graph, &name);
    }
}

/// `Conv > (Mul or Add of a constant for each channel)` becomes one Conv.
pub(super) fn behind(graph: &mut GraphProto) -> bool {
    let found = per_channel(graph).into_iter().find_map(|change| {
        let gives = |n: &NodeProto| n.output.first() == Some(&change.input);
        let at = graph.node.iter().position(gives)?;
        let mut conv = Conv::of(graph, &graph.node[at])?;
        let constants = change.constant.for_channels(conv.outputs())?;
        if readers(graph, &change.input) != 1 {
            return None;
        }
        let taps = conv.kernel.values.len() / conv.outputs().max(1);
        for (o, c) in constants.into_iter().enumerate() {
            if change.multiplies {
                let weights = &mut conv.kernel.values[o * taps..(o + 1) * taps];
                weights.iter_mut().for_each(|w| *w *= c);
                conv.offsets[o] *= c;
            } else {
                conv.offsets[o] += c;
            }
        }
        Some((at, conv, change))
    });
    let Some((at, conv, change)) = found else {
        return false;
    };
    conv.store(graph, at);
    graph.node[at].output[0].clone_from(&change.output);
    graph.node.remove(change.at);
    true
}

/// `(Mul or Add of a constant for each channel) > 1x1 Conv without groups or padding` becomes one Conv.
pub(super) fn in_front(graph: &mut GraphProto) -> bool {
    let found = per_channel(graph).into_iter().find_map(|change| {
        let reads = |n: &NodeProto| n.op_type == "Conv" && n.input.first() == Some(&change.output);
        let at = graph.node.iter().position(reads)?;
        let node = &graph.node[at];
        let alone = readers(graph, &change.output) == 1;
        let grouped = attribute(node, "group").is_some_and(|a| a.i != 1);
        let padded = attribute(node, "pads").is_some_and(|a| a.ints.iter().any(|p| *p != 0));
        let mut conv = Conv::of(graph, node)?;
        if !alone || grouped || padded || conv.kernel.dims[2..] != [1, 1] {
            return None;
        }
        let inputs = usize::try_from(conv.kernel.dims[1]).ok()?;
        let constants = change.constant.for_channels(inputs)?;
        for (row, offset) in conv
            .kernel
            .values
            .chunks_exact_mut(inputs)
            .zip(&mut conv.offsets)
        {
            for (w, c) in row.iter_mut().zip(&constants) {
                if change.multiplies {
                    *w *= c;
                } else {
                    *offset += *w * c;
                }
            }
        }
        Some((at, conv, change))
    });
    let Some((at, conv, change)) = found else {
        return false;
    };
    conv.store(graph, at);
    graph.node[at].input[0].clone_from(&change.input);
    graph.node.remove(change.at);
    true
}

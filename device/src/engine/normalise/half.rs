//! Numbers of 16 bits as what they are computed in here: those of 32. An f16 is one of them exactly.

use std::collections::HashSet;

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use crate::engine::model::attribute;

const F32: i32 = DataType::Float as i32;
const F16: i32 = DataType::Float16 as i32;

/// Makes stored f16 tensors f32, and every Cast between the two an Identity. A graph that names f16 elsewhere stays as it is.
pub(super) fn widen(graph: &mut GraphProto) {
    let of_half = || graph.initializer.iter().filter(|t| t.data_type == F16);
    // Numbers in the place of wider ones would count once these are of 32 bits, and nobody has looked at them.
    let odd = of_half().any(|t| !t.float_data.is_empty());
    if of_half().next().is_none() || odd || graph.node.iter().any(names_half) {
        return;
    }
    let of_half = graph.initializer.iter_mut().filter(|t| t.data_type == F16);
    of_half.for_each(widen_tensor);
    let stored = graph.initializer.iter().filter(|t| t.data_type == F32);
    let names = stored.map(|t| &t.name);
    // The contract has every input of a student in f32.
    let names = names.chain(graph.input.iter().map(|i| &i.name));
    let mut floats: HashSet<String> = names.cloned().collect();
    for node in &mut graph.node {
        let is_float = |i: usize| node.input.get(i).is_some_and(|name| floats.contains(name));
        if node.op_type == "Cast" {
            for to in node.attribute.iter_mut().filter(|a| a.i == i64::from(F16)) {
                to.i = F32.into();
            }
            if !is_f32_cast(node) {
                continue;
            }
            if is_float(0) {
                node.op_type = "Identity".into();
                node.attribute.clear();
            }
        } else if !gives_floats(&node.op_type, is_float) {
            continue;
        }
        // What else a node may give is numbers of places.
        let given = match node.op_type.as_str() {
            "Split" => node.output.len(),
            _ => 1,
        };
        floats.extend(node.output.iter().take(given).cloned());
    }
}

/// Whether a node other than a Cast asks for f16, or holds a tensor of it.
fn names_half(node: &NodeProto) -> bool {
    let asks = node.op_type != "Cast"
        && ["dtype", "to", "output_dtype"]
            .iter()
            .any(|name| attribute(node, name).is_some_and(|a| a.i == i64::from(F16)));
    let tensors = node.attribute.iter().filter_map(|a| a.t.as_ref());
    asks || tensors.into_iter().any(|t| t.data_type == F16)
}

fn is_f32_cast(node: &NodeProto) -> bool {
    attribute(node, "to").is_some_and(|a| a.i == i64::from(F32))
}

/// Whether an operation gives f32, of which `is_float` tells the inputs that are.
fn gives_floats(op: &str, is_float: impl Fn(usize) -> bool) -> bool {
    match op {
        "DequantizeLinear" => true,
        "Where" => is_float(1),
        "QuantizeLinear"
        | "DynamicQuantizeLinear"
        | "CastLike"
        | "Shape"
        | "Size"
        | "ArgMax"
        | "ArgMin"
        | "NonZero"
        | "TopK"
        | "OneHot"
        | "Greater"
        | "GreaterOrEqual"
        | "Less"
        | "LessOrEqual"
        | "Equal"
        | "IsNaN"
        | "IsInf" => false,
        _ => is_float(0),
    }
}

fn widen_tensor(tensor: &mut TensorProto) {
    let stored = std::mem::take(&mut tensor.int32_data);
    let raw = std::mem::take(&mut tensor.raw_data);
    let (pairs, _) = raw.as_chunks::<2>();
    let bits = stored.into_iter().map(|v| v as u16);
    let bits = bits.chain(pairs.iter().map(|&v| u16::from_le_bytes(v)));
    tensor.raw_data = bits.flat_map(|v| widened(v).to_le_bytes()).collect();
    tensor.data_type = F32;
}

/// What these bits of an f16 stand for.
fn widened(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let rest = u32::from(bits & 0x7fff) << 13;
    if bits & 0x7c00 == 0x7c00 {
        return f32::from_bits(sign | 0x7f80_0000 | rest);
    }
    // Exponents of f32 count from 112 lower.
    let magnitude = f32::from_bits(rest) * 2f32.powi(112);
    f32::from_bits(sign | magnitude.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_f16_becomes_the_same_number() {
        let known = [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 2f32.powi(-24)),
            (0x83ff, -1023.0 * 2f32.powi(-24)),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
        ];
        for (bits, number) in known {
            assert_eq!(widened(bits), number, "{bits:#x}");
        }
        assert!(widened(0x7e00).is_nan());
    }
}

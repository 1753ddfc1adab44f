//! Holding a file's numbers to what can be computed with. A training that diverged leaves NaN in a file whose shapes are
//! sound, and its frames would be noise that nothing complains about.

use std::collections::HashSet;

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use super::broken;
use crate::engine::EngineError;

/// Largest quantisation scale believed: bytes of it stand for numbers up to 255 million, of frames in 0..1.
const MAX_SCALE: f64 = 1e6;

/// Numbers are finite.
pub(super) fn check(graph: &GraphProto) -> Result<(), EngineError> {
    let bounds = read_at(graph, bounds);
    // A Clip without a bound is written with an infinite one, too.
    let wrong = |name: &str, number: f64| {
        !(number.is_finite() || number.is_infinite() && bounds.contains(name))
    };
    for (name, tensor) in tensors(graph) {
        if find(tensor, |v| wrong(name, v)).is_some() {
            return broken(format!(
                "tensor '{name}' holds a number that is not finite: export it again"
            ));
        }
    }
    for node in graph.node.iter().filter(|n| n.op_type != "Clip") {
        for attribute in &node.attribute {
            let mut numbers = attribute.floats.iter().chain([&attribute.f]);
            if numbers.any(|&v| wrong(given(node), v.into())) {
                return broken(format!(
                    "attribute '{}' of node '{}' ({}) holds a number that is not finite: export it again",
                    attribute.name, node.name, node.op_type
                ));
            }
        }
    }
    Ok(())
}

/// Scales of bytes are none that sums overflow with. Of a normalised graph, where each is a stored tensor, however the
/// file spelt it.
pub(super) fn check_scales(graph: &GraphProto) -> Result<(), EngineError> {
    let scales = read_at(graph, scales);
    for (name, tensor) in tensors(graph).filter(|(name, _)| scales.contains(name)) {
        if let Some(scale) = find(tensor, |v| !(0.0..=MAX_SCALE).contains(&v)) {
            return broken(format!(
                "tensor '{name}' holds the quantisation scale {:e}, which is not in 0 to {MAX_SCALE:e}: export it again",
                scale as f32
            ));
        }
    }
    Ok(())
}

/// Inputs of a node that bound what it lets through.
fn bounds(node: &NodeProto) -> &[usize] {
    match node.op_type.as_str() {
        "Clip" => &[1, 2],
        _ => &[],
    }
}

/// Inputs of a node that are scales of bytes.
fn scales(node: &NodeProto) -> &[usize] {
    match node.op_type.as_str() {
        "QuantizeLinear" | "DequantizeLinear" => &[1],
        "QLinearConv" => &[1, 4, 6],
        _ => &[],
    }
}

/// The names that nodes read at these places.
fn read_at(graph: &GraphProto, places: fn(&NodeProto) -> &[usize]) -> HashSet<&str> {
    let of = |node| places(node).iter().filter_map(|&i| node.input.get(i));
    let names = graph.node.iter().flat_map(of);
    names.map(String::as_str).collect()
}

/// Stored tensors, and those in nodes by what the node gives.
fn tensors(graph: &GraphProto) -> impl Iterator<Item = (&str, &TensorProto)> {
    let stored = graph.initializer.iter().map(|t| (t.name.as_str(), t));
    let attributes = graph
        .node
        .iter()
        .flat_map(|node| node.attribute.iter().map(move |a| (given(node), a)));
    stored.chain(attributes.filter_map(|(name, a)| Some((name, a.t.as_ref()?))))
}

/// The name of what a node gives.
fn given(node: &NodeProto) -> &str {
    node.output.first().map_or("", String::as_str)
}

/// The first of a tensor's real numbers that is `wrong`.
fn find(tensor: &TensorProto, wrong: impl Fn(f64) -> bool) -> Option<f64> {
    let raw = &tensor.raw_data;
    let wrong = |v: &f64| wrong(*v);
    match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) if raw.is_empty() => {
            tensor.float_data.iter().map(|&v| v.into()).find(wrong)
        }
        Ok(DataType::Float) => {
            let (values, _) = raw.as_chunks::<4>();
            let mut values = values.iter().map(|&v| f32::from_le_bytes(v).into());
            values.find(wrong)
        }
        Ok(DataType::Double) if raw.is_empty() => tensor.double_data.iter().copied().find(wrong),
        Ok(DataType::Double) => {
            let (values, _) = raw.as_chunks::<8>();
            values.iter().map(|&v| f64::from_le_bytes(v)).find(wrong)
        }
        Ok(DataType::Float16) if raw.is_empty() => {
            let values = tensor.int32_data.iter();
            values.map(|&v| of_half(v as u16)).find(wrong)
        }
        Ok(DataType::Float16) => {
            let (values, _) = raw.as_chunks::<2>();
            let values = values.iter().map(|&v| u16::from_le_bytes(v));
            values.map(of_half).find(wrong)
        }
        _ => None,
    }
}

/// What these bits of an f16 stand for, where that is not finite; else 0, for no f16 is too large.
fn of_half(bits: u16) -> f64 {
    match (bits & 0x7c00 == 0x7c00, bits & 0x03ff) {
        (true, 0) => f64::INFINITY,
        (true, _) => f64::NAN,
        (false, _) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use hone_shared::student::Colour;
    use prost::Message;
    use tract_onnx::pb::{AttributeProto, ModelProto};

    use super::super::Model;
    use super::*;
    use crate::engine::sample;

    fn read(model: &[u8], change: impl FnOnce(&mut GraphProto)) -> Result<Model, EngineError> {
        let mut proto = ModelProto::decode(model).unwrap();
        change(proto.graph.as_mut().unwrap());
        Model::parse(&proto.encode_to_vec())
    }

    fn refusal(model: &[u8], change: impl FnOnce(&mut GraphProto)) -> String {
        read(model, change).unwrap_err().to_string()
    }

    /// A Constant that gives `strange`.
    fn constant(attribute: AttributeProto) -> NodeProto {
        sample::node("Constant", &[], "strange", vec![attribute])
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused_wherever_they_stand() {
        let model = sample::f32_chain();
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let text = refusal(&model, |graph| {
                graph.initializer[0].raw_data[4..8].copy_from_slice(&number.to_le_bytes());
            });
            assert!(
                text.contains("tensor 'w0'") && text.contains("not finite"),
                "{text}"
            );
        }
        let tensors = [
            TensorProto {
                float_data: vec![f32::NAN],
                ..sample::floats("", &[1], &[])
            },
            TensorProto {
                data_type: DataType::Double as i32,
                raw_data: f64::NAN.to_le_bytes().to_vec(),
                ..sample::floats("", &[], &[])
            },
            TensorProto {
                data_type: DataType::Float16 as i32,
                raw_data: 0xfe00_u16.to_le_bytes().to_vec(),
                ..sample::floats("", &[], &[])
            },
        ];
        let value = tensors.map(|tensor| AttributeProto {
            name: "value".into(),
            t: Some(tensor),
            ..AttributeProto::default()
        });
        for attribute in value {
            let text = refusal(&model, |graph| graph.node.insert(0, constant(attribute)));
            assert!(text.contains("tensor 'strange'"), "{text}");
        }
        let text = refusal(&model, |graph| {
            let attribute = AttributeProto {
                name: "value_float".into(),
                f: f32::NAN,
                ..AttributeProto::default()
            };
            graph.node.insert(0, constant(attribute));
        });
        assert!(text.contains("'value_float'"), "{text}");
    }

    #[test]
    fn an_infinite_bound_of_a_clip_is_none() {
        let clipped = |high: f32| {
            read(&sample::f32_chain(), |graph| {
                let bounds = [("low", 0.0), ("high", high)];
                let bounds = bounds.map(|(name, v)| sample::floats(name, &[], &[v]));
                graph.initializer.extend(bounds);
                for node in graph.node.iter_mut().filter(|n| n.op_type == "Relu") {
                    node.op_type = "Clip".into();
                    node.input.extend(["low".into(), "high".into()]);
                }
            })
        };
        assert!(clipped(f32::INFINITY).is_ok());
        assert!(clipped(f32::NAN).is_err());
    }

    #[test]
    fn scales_that_nobody_can_mean_are_refused() {
        let model = sample::qdq(&sample::quantised(Colour::Luma, 2, &[4, 8, 4], 3));
        assert!(read(&model, |_| ()).is_ok());
        for scale in [1e30_f32, -1.0, f32::NAN] {
            for name in ["ws0", "bs1", "s1"] {
                let text = refusal(&model, |graph| {
                    let mut tensors = graph.initializer.iter_mut();
                    let tensor = tensors.find(|t| t.name == name).unwrap();
                    tensor.raw_data[..4].copy_from_slice(&scale.to_le_bytes());
                });
                assert!(text.contains(&format!("tensor '{name}'")), "{text}");
            }
        }
        // As a number of its node, and under another name.
        let text = refusal(&model, |graph| {
            graph.initializer.retain(|t| t.name != "s1");
            let number = AttributeProto {
                name: "value_float".into(),
                f: 1e38,
                ..AttributeProto::default()
            };
            let alias = sample::node("Identity", &["strange"], "s1", vec![]);
            graph.node.splice(0..0, [constant(number), alias]);
        });
        assert!(text.contains("the quantisation scale 1e38"), "{text}");
    }
}

//! Tensors stored in a model file.

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, TensorProto, tensor_proto::DataType};

/// Stored tensors by name.
pub(super) type Stored<'a> = HashMap<&'a str, &'a TensorProto>;

/// The stored tensors of a graph.
pub(super) fn of(graph: &GraphProto) -> Stored<'_> {
    let tensors = graph.initializer.iter();
    tensors.map(|t| (t.name.as_str(), t)).collect()
}

/// The values of an f32 tensor.
///
/// # Errors
/// In words, when it is of another type.
pub(super) fn floats(tensor: &TensorProto) -> Result<Vec<f32>, String> {
    if tensor.data_type != DataType::Float as i32 {
        return Err(format!("'{}' is not f32", tensor.name));
    }
    if tensor.raw_data.is_empty() {
        return Ok(tensor.float_data.clone());
    }
    let (values, _) = tensor.raw_data.as_chunks::<4>();
    Ok(values.iter().map(|&v| f32::from_le_bytes(v)).collect())
}

/// The values of an integer tensor.
///
/// # Errors
/// In words, when it is of another type or a value does not fit.
pub(super) fn integers(tensor: &TensorProto) -> Result<Vec<i32>, String> {
    let raw = &tensor.raw_data;
    let wrong = || format!("'{}' holds no small integers", tensor.name);
    let narrow = |values: &mut dyn Iterator<Item = i64>| {
        let narrowed = values.map(|v| i32::try_from(v).map_err(|_| wrong()));
        narrowed.collect::<Result<_, _>>()
    };
    Ok(match DataType::try_from(tensor.data_type) {
        Ok(DataType::Int64) if raw.is_empty() => narrow(&mut tensor.int64_data.iter().copied())?,
        Ok(DataType::Int64) => {
            let (values, _) = raw.as_chunks::<8>();
            narrow(&mut values.iter().map(|&v| i64::from_le_bytes(v)))?
        }
        Ok(DataType::Int8 | DataType::Uint8 | DataType::Int32) if raw.is_empty() => {
            tensor.int32_data.clone()
        }
        Ok(DataType::Int8) => raw.iter().map(|&b| i32::from(b as i8)).collect(),
        Ok(DataType::Uint8) => raw.iter().map(|&b| i32::from(b)).collect(),
        Ok(DataType::Int32) => {
            let (values, _) = raw.as_chunks::<4>();
            values.iter().map(|&v| i32::from_le_bytes(v)).collect()
        }
        _ => return Err(wrong()),
    })
}

//! What QuantizeLinear and DequantizeLinear say.

use hone_shared::quant::{Affine, INPUT};
use tract_onnx::pb::{NodeProto, TensorProto, tensor_proto::DataType};

use super::Reason;
use crate::engine::model::attribute;
use crate::engine::stored::{Stored, floats, integers};

/// The stored tensor that a node reads at `i`, if it reads one there.
pub(super) fn stored<'a>(
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
pub(in crate::engine) fn affine(node: &NodeProto, tensors: &Stored<'_>) -> Result<Affine, Reason> {
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

/// Whether these are the camera's own bytes.
pub(in crate::engine) fn is_camera(affine: Affine) -> bool {
    let off = (affine.scale / INPUT.scale - 1.0).abs();
    off <= 1e-6 && affine.zero_point == 0
}

/// The same, as near as a calibration on pictures finds them: half a byte off at white.
pub(in crate::engine) fn is_nearly_camera(affine: Affine) -> bool {
    let off = (affine.scale / INPUT.scale - 1.0).abs();
    off <= 0.5 / 255.0 && affine.zero_point == 0
}

/// The scale of each output in what a DequantizeLinear makes of `tensor`.
pub(super) fn scales(
    dequantise: &NodeProto,
    tensor: &TensorProto,
    outputs: usize,
    tensors: &Stored<'_>,
) -> Result<Vec<f32>, Reason> {
    let scales = floats(stored(dequantise, 1, tensors)?.ok_or("a scale is missing")?)?;
    // Where a file names none, ONNX means a weight's inputs, of which there may be as many.
    let axis = attribute(dequantise, "axis").map_or(1, |a| a.i);
    match scales.as_slice() {
        &[one] => Ok(vec![one; outputs]),
        all if all.len() != outputs => Err("a weight's scales are not one for each output".into()),
        _ if axis != 0 && axis != -(tensor.dims.len() as i64) => Err(format!(
            "the scales of '{}' lie along axis {axis}, not its outputs",
            tensor.name
        )),
        _ => Ok(scales),
    }
}

/// The values of an s8 tensor.
pub(super) fn signed(tensor: &TensorProto) -> Result<Vec<i8>, Reason> {
    if tensor.data_type != DataType::Int8 as i32 {
        return Err(format!("'{}' is not s8", tensor.name));
    }
    let values = integers(tensor)?.into_iter().map(i8::try_from);
    values
        .collect::<Result<_, _>>()
        .map_err(|_| format!("'{}' is not s8", tensor.name))
}

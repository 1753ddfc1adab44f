//! The few names that a pickle of tensors needs, and what calling them means.

use super::graph::{Graph, Node, StorageRef, TensorRef, Value};
use crate::checkpoint::tensor::Element;
use crate::checkpoint::{CheckpointError, Result};

/// Most dimensions of a tensor.
const MAX_DIMENSIONS: usize = 16;

/// Everything that a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`
    RebuildParameter,
    /// `torch.FloatStorage` and its kin.
    Storage(Element),
}

impl Global {
    /// Looks a name up; any other is refused with its name.
    pub fn named(module: &str, name: &str) -> Result<Self> {
        let element = match name {
            "FloatStorage" => Some(Element::F32),
            "DoubleStorage" => Some(Element::F64),
            "HalfStorage" => Some(Element::F16),
            "BFloat16Storage" => Some(Element::BF16),
            "LongStorage" => Some(Element::I64),
            "IntStorage" => Some(Element::I32),
            "ByteStorage" => Some(Element::U8),
            "BoolStorage" => Some(Element::Bool),
            _ => None,
        };
        match (module, name, element) {
            ("collections", "OrderedDict", _) => Ok(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2", _) => Ok(Self::RebuildTensor),
            ("torch._utils", "_rebuild_parameter", _) => Ok(Self::RebuildParameter),
            ("torch", _, Some(element)) => Ok(Self::Storage(element)),
            _ => Err(CheckpointError::Refused(format!(
                "it wants to use {module:.80}.{name:.80}"
            ))),
        }
    }
}

/// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, ...)`; `None` when the
/// arguments are of other types.
pub fn rebuild_tensor(graph: &Graph, arguments: &[Value]) -> Option<TensorRef> {
    let [storage, Value::Int(offset), shape, strides, ..] = arguments else {
        return None;
    };
    let Value::Node(index) = *storage else {
        return None;
    };
    let Some(Node::Storage(_)) = graph.nodes.get(index) else {
        return None;
    };
    let sides = |value: &Value| -> Option<Vec<u64>> {
        let items = graph.sequence(value)?;
        let side = |v: &Value| match v {
            Value::Int(i) => u64::try_from(*i).ok(),
            _ => None,
        };
        (items.len() <= MAX_DIMENSIONS).then(|| items.iter().map(side).collect())?
    };
    let (shape, strides) = (sides(shape)?, sides(strides)?);
    let offset = u64::try_from(*offset).ok()?;
    (shape.len() == strides.len()).then_some(TensorRef {
        storage: index,
        offset,
        shape,
        strides,
    })
}

/// `('storage', torch.FloatStorage, key, location, count[, (view key, offset, size)])`; `None` when
/// the items are of other types.
pub fn storage(graph: &Graph, id: &Value) -> Option<StorageRef> {
    let [
        Value::Str(_),
        Value::Global(Global::Storage(element)),
        Value::Str(key),
        _,
        Value::Int(count),
        rest @ ..,
    ] = graph.sequence(id)?
    else {
        return None;
    };
    let view = rest.first().and_then(|v| graph.sequence(v));
    let (start, count) = match view {
        Some([_, Value::Int(offset), Value::Int(size), ..]) => (*offset, *size),
        _ => (0, *count),
    };
    Some(StorageRef {
        key: key.clone(),
        element: *element,
        count: u64::try_from(count).ok()?,
        start: u64::try_from(start).ok()?,
    })
}

//! `torch.save` before 1.6: magic number, protocol, system, weights, list of storage keys (a pickle
//! each), then each storage as its element count and its bytes.

use std::collections::HashMap;

use super::pickle::{self, Graph, Node, Value};
use super::tensor::{Element, Storages};
use super::{CheckpointError, Result};

/// The pickled magic number 0x1950a86a20f9469cfc6c.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// The pickle's graph, and the storages by key.
pub fn read(bytes: &[u8]) -> Result<(Graph, Storages<'_>)> {
    if !bytes.starts_with(MAGIC) {
        return Err(CheckpointError::Refused(
            "a pickle that torch.save did not write (wrong magic number)".to_owned(),
        ));
    }
    let mut rest = &bytes[MAGIC.len()..];
    let mut next = || -> Result<Graph> {
        let (graph, length) = pickle::load(rest)?;
        rest = &rest[length..];
        Ok(graph)
    };
    let protocol = next()?;
    if !matches!(protocol.root, Value::Int(1001)) {
        return Err(CheckpointError::Refused(
            "an unknown version of torch.save".to_owned(),
        ));
    }
    let system = next()?;
    let little = system.dict(&system.root).unwrap_or_default().iter().all(|(key, value)| {
        !matches!((key, value), (Value::Str(k), Value::Bool(false)) if &**k == "little_endian")
    });
    if !little {
        return Err(CheckpointError::Refused(
            "its numbers are not little-endian".to_owned(),
        ));
    }
    let graph = next()?;
    let keys = next()?;
    let described = graph.nodes.iter().filter_map(|node| match node {
        Node::Storage(storage) => Some((&*storage.key, storage.element)),
        _ => None,
    });
    let elements: HashMap<&str, Element> = described.collect();
    let mut storages = Storages::new();
    for key in keys.sequence(&keys.root).unwrap_or_default() {
        let Value::Str(key) = key else {
            return Err(CheckpointError::damaged("a storage key that is no string"));
        };
        let element = elements.get(&**key).ok_or_else(|| {
            CheckpointError::damaged(format!("the storage {key:.40} is not used"))
        })?;
        let cut = || CheckpointError::damaged(format!("the storage {key:.40} is cut off"));
        let (count, after) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
        let length = u64::from_le_bytes(*count).checked_mul(element.size());
        let length = length
            .and_then(|l| usize::try_from(l).ok())
            .ok_or_else(cut)?;
        let (data, after) = after.split_at_checked(length).ok_or_else(cut)?;
        rest = after;
        storages.insert(key.to_string(), data);
    }
    Ok((graph, storages))
}

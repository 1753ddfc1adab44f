//! Which dictionary of a checkpoint holds the weights.

use super::pickle::{Graph, Node, Value};
use super::tensor::{Budget, Storages, gather};
use super::{Checkpoint, CheckpointError, Format, Result};

/// Where publications nest their weights; averaged weights first, as their own code prefers them.
const KNOWN: [&str; 6] = [
    "params_ema",
    "params",
    "state_dict",
    "model_state_dict",
    "model",
    "net",
];

/// What `DataParallel` puts before every name.
const WRAPPER: &str = "module.";
/// Most of them that are taken off: a network is wrapped once, or twice by mistake.
const MAX_WRAPPERS: usize = 4;

type Pairs<'a> = &'a [(Value, Value)];

/// The tensors under `key`, or under the first known key, or at the top: a counter may lie beside nested weights.
pub fn collect<'a>(
    graph: &'a Graph,
    storages: &Storages<'_>,
    key: Option<&str>,
    format: Format,
    file_length: usize,
) -> Result<Checkpoint> {
    let top = graph.dict(&graph.root);
    let top = top.ok_or_else(|| CheckpointError::NoWeights("no dictionary".to_owned()))?;
    let (key, pairs) = match key {
        Some(key) => {
            let pairs = under(graph, top, key).filter(|p| has_tensors(graph, p));
            let missing = || CheckpointError::NoKey {
                key: key.to_owned(),
                found: keys(top),
            };
            (Some(key), pairs.ok_or_else(missing)?)
        }
        None => {
            let nested = KNOWN.iter().find_map(|&key| {
                let pairs = under(graph, top, key).filter(|p| has_tensors(graph, p))?;
                Some((Some(key), pairs))
            });
            let found = nested.or_else(|| has_tensors(graph, top).then_some((None, top)));
            found.ok_or_else(|| CheckpointError::NoWeights(keys(top)))?
        }
    };
    // Borrowed: one long name in the file may be the key of a million entries.
    let named = |(key, value): &'a (Value, Value)| match (key, graph.node(value)) {
        (Value::Str(name), Some(Node::Tensor(tensor))) => Some((&**name, tensor)),
        _ => None,
    };
    let tensors: Vec<_> = pairs.iter().filter_map(named).collect();
    let names = bare(tensors.iter().map(|(name, _)| *name).collect());
    let mut budget = Budget::for_file(file_length);
    let mut entries = Vec::new();
    for (name, (_, tensor)) in names.into_iter().zip(tensors) {
        let Some(Node::Storage(storage)) = graph.nodes.get(tensor.storage) else {
            return Err(CheckpointError::damaged(format!(
                "{name:.80} has no storage"
            )));
        };
        entries.push(gather(name, tensor, storage, storages, &mut budget)?);
    }
    Ok(Checkpoint {
        format,
        key: key.map(str::to_owned),
        entries,
    })
}

/// The names without what `DataParallel` puts before all of them.
pub fn bare(mut names: Vec<&str>) -> Vec<&str> {
    for _ in 0..MAX_WRAPPERS {
        let unwrapped = names.iter().map(|name| name.strip_prefix(WRAPPER));
        let Some(unwrapped) = unwrapped.collect() else {
            break;
        };
        names = unwrapped;
    }
    names
}

fn under<'a>(graph: &'a Graph, top: Pairs<'a>, key: &str) -> Option<Pairs<'a>> {
    let pair = top
        .iter()
        .find(|(k, _)| matches!(k, Value::Str(k) if &**k == key))?;
    graph.dict(&pair.1)
}

fn has_tensors(graph: &Graph, pairs: Pairs<'_>) -> bool {
    pairs.iter().any(|(key, value)| {
        matches!(
            (key, graph.node(value)),
            (Value::Str(_), Some(Node::Tensor(_)))
        )
    })
}

/// The first keys of a dictionary, for a message.
fn keys(pairs: Pairs<'_>) -> String {
    let names: Vec<_> = pairs
        .iter()
        .take(12)
        .filter_map(|(key, _)| match key {
            Value::Str(name) => Some(format!("'{name:.40}'")),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        "no named entries".to_owned()
    } else {
        names.join(", ")
    }
}

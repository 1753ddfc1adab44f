//! Which entries train and which validate: whole groups, by hash, so that new pictures do not move old ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sha2::{Digest, Sha256};

use super::{Entry, Problem, Split};

/// Gives every entry its split: the tree's own where it has one; where it has no validation, a part of the
/// training groups. Copies of one picture (same SHA-256) join their groups; a copy in another split is left out.
pub(super) fn assign(
    mut entries: Vec<(Entry, Option<Split>)>,
    problems: &mut Vec<Problem>,
    seed: u64,
    validation: f32,
) -> Vec<Entry> {
    join_copies(&mut entries);
    let has_validation = entries.iter().any(|(_, s)| *s == Some(Split::Validation));
    let groups: BTreeSet<String> = entries
        .iter()
        .filter(|(_, s)| matches!(s, None | Some(Split::Train)))
        .map(|(e, _)| e.group.clone())
        .collect();
    let mut ranked: Vec<_> = groups.into_iter().map(|g| (rank(seed, &g), g)).collect();
    ranked.sort();
    let wanted = if has_validation || validation <= 0.0 || ranked.len() < 2 {
        0
    } else {
        ((ranked.len() as f32 * validation).round() as usize).clamp(1, ranked.len() - 1)
    };
    let held_out: BTreeSet<String> = ranked.into_iter().take(wanted).map(|(_, g)| g).collect();
    for (entry, given) in &mut entries {
        entry.split = match *given {
            Some(split @ (Split::Validation | Split::Test)) => split,
            _ if held_out.contains(&entry.group) => Split::Validation,
            _ => Split::Train,
        };
    }
    drop_leaks(entries.into_iter().map(|(e, _)| e).collect(), problems)
}

fn rank(seed: u64, group: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(group.as_bytes());
    hasher.finalize().into()
}

/// Groups that share a picture, be it through others, all get the name of the first one.
fn join_copies(entries: &mut [(Entry, Option<Split>)]) {
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut names: Vec<String> = Vec::new();
    let mut joined: Vec<usize> = Vec::new();
    let mut first: HashMap<String, usize> = HashMap::new();
    for (entry, _) in entries.iter() {
        let group = *numbers.entry(entry.group.clone()).or_insert_with(|| {
            names.push(entry.group.clone());
            joined.push(joined.len());
            joined.len() - 1
        });
        if entry.truth.sha256.is_empty() {
            continue;
        }
        let other = *first.entry(entry.truth.sha256.clone()).or_insert(group);
        let (one, other) = (root(&mut joined, group), root(&mut joined, other));
        joined[one.max(other)] = one.min(other);
    }
    for (entry, _) in entries {
        if let Some(&group) = numbers.get(&entry.group) {
            entry.group.clone_from(&names[root(&mut joined, group)]);
        }
    }
}

/// The first group of those that `group` has been joined with.
fn root(joined: &mut [usize], mut group: usize) -> usize {
    while joined[group] != group {
        // Halves the way for the next one who asks.
        joined[group] = joined[joined[group]];
        group = joined[group];
    }
    group
}

/// Leaves out training entries whose picture or group is also in validation or test.
fn drop_leaks(entries: Vec<Entry>, problems: &mut Vec<Problem>) -> Vec<Entry> {
    let mut seen: BTreeMap<String, Split> = BTreeMap::new();
    let order = |split: Split| match split {
        Split::Test => 0,
        Split::Validation => 1,
        Split::Train => 2,
    };
    let mut numbered: Vec<(usize, Entry)> = entries.into_iter().enumerate().collect();
    numbered.sort_by_key(|(i, e)| (order(e.split), *i));
    numbered.retain(|(_, entry)| {
        let mut names = vec![entry.truth.path.clone(), format!("group {}", entry.group)];
        if !entry.truth.sha256.is_empty() {
            names.push(entry.truth.sha256.clone());
        }
        let leaks = names
            .iter()
            .any(|n| seen.get(n).is_some_and(|s| *s != entry.split));
        if leaks {
            problems.push(Problem {
                path: entry.truth.path.clone(),
                reason: "the same picture or sequence is in another split".to_owned(),
            });
            return false;
        }
        seen.extend(names.into_iter().map(|n| (n, entry.split)));
        true
    });
    numbered.sort_by_key(|(i, _)| *i);
    numbered.into_iter().map(|(_, e)| e).collect()
}

#[cfg(test)]
mod tests;

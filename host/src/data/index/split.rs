//! Which entries train and which validate: whole groups, those whose hashes are lowest. New pictures may move old ones to
//! the other side: an index keeps a split.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

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
    if !has_validation && validation > 0.0 {
        part_again(&mut entries, validation);
    }
    let groups: BTreeSet<String> = entries
        .iter()
        .filter(|(_, s)| trains(*s))
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

fn trains(given: Option<Split>) -> bool {
    matches!(given, None | Some(Split::Train))
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
            let name = &names[root(&mut joined, group)];
            if *name != entry.group {
                entry.sequence = Some(std::mem::replace(&mut entry.group, name.clone()));
            }
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

/// Undoes the joining of a group that leaves too little for the other side of the split, where few copies hold it
/// together: all clips may begin with the same black frame.
fn part_again(entries: &mut [(Entry, Option<Split>)], validation: f32) {
    let mut groups: HashMap<&str, Vec<&Entry>> = HashMap::new();
    for (entry, _) in entries.iter().filter(|(_, s)| trains(*s)) {
        groups.entry(&entry.group).or_default().push(entry);
    }
    let most = groups.values().map(Vec::len).sum::<usize>() as f32 * (1.0 - validation);
    groups.retain(|_, members| {
        let hashes = members.iter().map(|e| e.truth.sha256.as_str());
        let hashes: Vec<&str> = hashes.filter(|hash| !hash.is_empty()).collect();
        let copies = hashes.len() - hashes.iter().collect::<HashSet<_>>().len();
        members.len() as f32 > most && 4 * copies < members.len()
    });
    let apart: HashSet<String> = groups.into_keys().map(str::to_owned).collect();
    for (entry, _) in entries {
        if apart.contains(&entry.group)
            && let Some(sequence) = entry.sequence.take()
        {
            entry.group = sequence;
        }
    }
}

/// Leaves out training entries whose picture or sequence is also in validation or test. What was joined with
/// those stays: it may have no more in common with them than a black frame.
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
        let mut names = vec![
            entry.truth.path.clone(),
            format!("sequence {}", entry.sequence()),
        ];
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

//! Which entries follow each other in time.

use std::collections::HashMap;

use super::Entry;

/// A name for the sequence of each entry: its group, as far as that lies in one folder. Clips that share a
/// picture, be it a black one, are one group and remain two sequences.
pub(in crate::data) fn sequences(entries: &[Entry]) -> Vec<String> {
    let mut first: HashMap<&str, &str> = HashMap::new();
    let mut names = Vec::with_capacity(entries.len());
    for entry in entries {
        let folder = entry.first_path().rsplit_once('/');
        let folder = folder.map_or("", |(folder, _)| folder);
        // Nothing but the group's name where that will do: the caches of teachers' answers know it.
        names.push(match *first.entry(&entry.group).or_insert(folder) {
            known if known == folder => entry.group.clone(),
            _ => format!("{} in {folder}", entry.group),
        });
    }
    names
}

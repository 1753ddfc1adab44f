//! Which entries follow each other in time.

use std::collections::HashMap;

use super::Entry;

/// A name for the sequence of each entry, as far as that lies in one folder. Clips and stills that share
/// pictures are one group and remain sequences of their own.
pub(in crate::data) fn sequences(entries: &[Entry]) -> Vec<String> {
    let mut first: HashMap<&str, &str> = HashMap::new();
    let mut names = Vec::with_capacity(entries.len());
    for entry in entries {
        let folder = entry.first_path().rsplit_once('/');
        let folder = folder.map_or("", |(folder, _)| folder);
        // Nothing but this name where that will do: the caches of teachers' answers know it.
        let sequence = entry.sequence();
        names.push(match *first.entry(sequence).or_insert(folder) {
            known if known == folder => sequence.to_owned(),
            _ => format!("{sequence} in {folder}"),
        });
    }
    names
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::data::config::Layout;
    use crate::data::index::{Index, scan};
    use crate::picture::Picture;

    #[test]
    fn stills_joined_through_clips_are_no_sequence() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for (path, level) in [
            ("val/aclip/0.png", 0.0),
            ("val/aclip/50.png", 0.5),
            ("val/bclip/50.png", 0.5),
            ("val/bclip/90.png", 0.9),
            ("val/photos/intro.png", 0.0),
            ("val/photos/middle.png", 0.5),
            ("val/photos/outro.png", 0.9),
        ] {
            std::fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            let mut picture = Picture::new(3, 8, 8);
            picture.data.fill(level);
            picture.save(&at(path)).unwrap();
        }
        let index = scan(folder.path(), Layout::Sharp, 1, 0.1, false).unwrap();
        index.save(&at("index.toml")).unwrap();
        let index = Index::load(&at("index.toml")).unwrap();
        let groups: BTreeSet<&str> = index.entries.iter().map(|e| e.group.as_str()).collect();
        assert_eq!(groups.len(), 1);
        let right = [
            "val/aclip",
            "val/aclip",
            "val/bclip",
            "val/bclip",
            "validationphotos/intro",
            "validationphotos/middle",
            "validationphotos/outro",
        ];
        assert_eq!(sequences(&index.entries), right);
    }

    #[test]
    fn an_index_of_data_without_copies_names_no_sequences() {
        let folder = tempfile::tempdir().unwrap();
        for (name, level) in [("0.png", 0.0), ("1.png", 0.5)] {
            let mut picture = Picture::new(3, 8, 8);
            picture.data.fill(level);
            picture.save(&folder.path().join(name)).unwrap();
        }
        let index = scan(folder.path(), Layout::Sharp, 1, 0.0, true).unwrap();
        assert!(index.entries.iter().all(|e| e.sequence.is_none()));
        assert!(!toml::to_string(&index).unwrap().contains("sequence"));
    }
}

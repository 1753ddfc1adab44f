//! The files of a data set as a whole.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::data::index::{Index, Split};
use crate::recipe::sha256;

/// What is remembered of an index once its files are sorted.
pub(super) struct Listing {
    sha256: String,
    /// Whether all that trains is one sequence, or one picture.
    lonely: bool,
}

impl Listing {
    pub(super) fn of(index: &Index) -> Self {
        let mut text = String::new();
        for entry in &index.entries {
            let _ = write!(text, "{}", entry.split);
            for file in entry.files() {
                let _ = write!(text, "\t{}\t{}", file.bytes, file.path);
            }
            text.push('\n');
        }
        let training = index.entries.iter().filter(|e| e.split == Split::Train);
        let groups: BTreeSet<&str> = training.map(|e| e.group.as_str()).collect();
        Self {
            sha256: sha256(text.as_bytes()),
            lonely: groups.len() == 1 && index.count(Split::Validation) == 0,
        }
    }

    /// SHA-256 over splits, lengths and paths, in order.
    pub(super) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The sentence for data without validation pictures.
    pub(super) fn none_left(listing: Option<&Self>) -> &'static str {
        if listing.is_some_and(|listing| listing.lonely) {
            "no picture is left for validation: all are of one sequence, which is never split, for its frames are too much \
             alike; add another clip or picture in a folder of its own, or a 'val' folder with pictures of its own"
        } else {
            "no picture is left for validation: raise [data] validation (with an index, make it again with a larger \
             --validation) or add a 'val' folder"
        }
    }
}

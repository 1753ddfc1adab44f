use super::*;
use crate::data::index::FileRecord;

fn entry(group: &str, picture: &str) -> (Entry, Option<Split>) {
    let entry = Entry {
        split: Split::Train,
        group: group.to_owned(),
        truth: FileRecord {
            path: format!("{group}/{picture}.png"),
            bytes: 1,
            width: 1,
            height: 1,
            sha256: picture.to_owned(),
        },
        input: None,
    };
    (entry, None)
}

#[test]
fn groups_that_share_pictures_through_others_are_joined() {
    for (joined, pictures) in [
        // C shares one with A and one with B.
        (
            3,
            &["A x", "A a", "B y", "B b", "C x", "C y", "D d", "E e"][..],
        ),
        // Copies the other way round in between.
        (2, &["A x", "B y", "A y", "B x", "C c", "D d"]),
        (4, &["D x", "C y", "B z", "A z", "B y", "C x", "E e"]),
    ] {
        for seed in 0..8 {
            let entries = pictures.iter().map(|words| {
                let (group, picture) = words.split_once(' ').unwrap();
                entry(group, picture)
            });
            let mut problems = Vec::new();
            let assigned = assign(entries.collect(), &mut problems, seed, 0.5);
            assert!(problems.is_empty(), "{pictures:?} {seed}: {problems:?}");
            let groups: BTreeSet<&str> = assigned.iter().map(|e| e.group.as_str()).collect();
            let all: BTreeSet<&str> = pictures.iter().map(|words| &words[..1]).collect();
            assert_eq!(groups.len(), all.len() + 1 - joined, "{groups:?}");
            // Called after the first of them.
            assert_eq!(assigned[0].group, pictures[0][..1]);
        }
    }
}

use super::*;
use crate::data::index::FileRecord;

fn entry(group: &str, picture: &str) -> (Entry, Option<Split>) {
    let entry = Entry {
        split: Split::Train,
        group: group.to_owned(),
        sequence: None,
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

/// Five frames each, the first of which is black.
fn clips(groups: &[&str]) -> Vec<(Entry, Option<Split>)> {
    let frames = groups.iter().flat_map(|group| {
        (0..5).map(move |i| match i {
            0 => entry(group, "black"),
            _ => entry(group, &format!("{group}{i}")),
        })
    });
    frames.collect()
}

fn counts(entries: &[Entry]) -> [usize; 2] {
    let count = |split| entries.iter().filter(|e| e.split == split).count();
    [count(Split::Train), count(Split::Validation)]
}

#[test]
fn a_black_frame_in_all_clips_leaves_a_validation() {
    for seed in 0..8 {
        let mut problems = Vec::new();
        let assigned = assign(clips(&["A", "B", "C", "D"]), &mut problems, seed, 0.2);
        assert_eq!(counts(&assigned), [12, 5]);
        assert_eq!(problems.len(), 3);
    }
}

#[test]
fn one_clip_in_two_folders_is_not_parted() {
    let entries = ["A", "B"].map(|group| (0..4).map(move |i| entry(group, &i.to_string())));
    let entries = entries.into_iter().flatten().collect();
    let mut problems = Vec::new();
    assert_eq!(counts(&assign(entries, &mut problems, 1, 0.2)), [8, 0]);
    assert!(problems.is_empty());
}

#[test]
fn a_black_frame_in_validation_leaves_all_but_itself_for_training() {
    let mut entries = clips(&["A", "B", "C", "V"]);
    for (entry, given) in &mut entries {
        *given = Some(match entry.group.as_str() {
            "V" => Split::Validation,
            _ => Split::Train,
        });
    }
    let mut problems = Vec::new();
    assert_eq!(counts(&assign(entries, &mut problems, 1, 0.2)), [12, 5]);
    let left: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(left, ["A/black.png", "B/black.png", "C/black.png"]);
}

use std::collections::BTreeSet;

use super::*;
use crate::picture::Picture;

/// Writes little pictures, each different.
fn tree(paths: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (i, path) in paths.iter().enumerate() {
        let side = if path.contains("_LR_") { 8 } else { 16 };
        let mut picture = Picture::new(3, side, side);
        picture.data[0] = 1.0;
        picture.data[1] = i as f32 / 255.0;
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture.save(&path).unwrap();
    }
    folder
}

fn index(folder: &tempfile::TempDir) -> Index {
    scan(folder.path(), Layout::Auto, 1, 0.25, true).unwrap()
}

fn pairs(index: &Index) -> BTreeSet<(String, String)> {
    let pair = |e: &Entry| {
        let input = e.input.as_ref().map_or(String::new(), |i| i.path.clone());
        (input, e.truth.path.clone())
    };
    index.entries.iter().map(pair).collect()
}

#[test]
fn gopro_is_read_and_blur_gamma_never_mixed_in() {
    let folder = tree(&[
        "train/A/blur/1.png",
        "train/A/blur_gamma/1.png",
        "train/A/sharp/1.png",
        "train/B/blur/1.png",
        "train/B/sharp/1.png",
        "test/C/blur/1.png",
        "test/C/sharp/1.png",
        "test/C/sharp/2.png",
    ]);
    let index = index(&folder);
    assert_eq!(index.entries.len(), 3);
    assert!(
        pairs(&index)
            .iter()
            .all(|(i, t)| i.replace("blur", "sharp") == *t)
    );
    assert_eq!(
        (index.count(Split::Train), index.count(Split::Validation)),
        (1, 1)
    );
    assert_eq!(
        index.problem_counts()["another rendering of the same pictures"],
        1
    );
    assert_eq!(index.problem_counts()[tree::ORPHAN], 1);
}

#[test]
fn reds_is_read_and_its_other_renderings_never_mixed_in() {
    let folder = tree(&[
        "train/train_blur/000/00000000.png",
        "train/train_blur/000/00000001.png",
        "train/train_sharp/000/00000000.png",
        "train/train_sharp/000/00000001.png",
        "train/train_blur_comp/000/00000000.png",
        "train/train_sharp_bicubic/X4/000/00000000.png",
        "val/val_blur/000/00000000.png",
        "val/val_sharp/000/00000000.png",
    ]);
    let index = index(&folder);
    assert!(
        pairs(&index)
            .iter()
            .all(|(i, t)| i.replace("_blur/", "_sharp/") == *t)
    );
    assert_eq!(
        (index.count(Split::Train), index.count(Split::Validation)),
        (2, 1)
    );
    assert_eq!(
        index.problem_counts()["another rendering of the same pictures"],
        2
    );
}

#[test]
fn what_cannot_be_a_right_pair_is_left_out_by_name() {
    let folder = tree(&[
        "train/blur/a.png",
        "train/sharp/a.png",
        "train/blur/alone.png",
        "train/sharp/lonely.png",
        "train/blur/size.png",
        "train/sharp/size.png",
        "train/blur/cut.png",
        "train/sharp/cut.png",
        "train/blur/two.png",
        "train/sharp/two.png",
        "train/gt/two.png",
        "notes/a.png",
        "val/blur/v.png",
        "val/sharp/v.png",
    ]);
    let path = |p: &str| folder.path().join(p);
    Picture::new(3, 10, 16)
        .save(&path("train/blur/size.png"))
        .unwrap();
    let whole = std::fs::read(path("train/sharp/cut.png")).unwrap();
    std::fs::write(path("train/sharp/cut.png"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(path("train/film.mp4"), b"").unwrap();
    let index = index(&folder);
    let expected = [
        ("train/blur/a.png", "train/sharp/a.png"),
        ("val/blur/v.png", "val/sharp/v.png"),
    ];
    let expected = expected.map(|(i, t)| (i.to_owned(), t.to_owned()));
    assert_eq!(pairs(&index), expected.into());
    let reasons: Vec<_> = index
        .problems
        .iter()
        .map(|p| (p.path.as_str(), p.reason.as_str()))
        .collect();
    let video = "a video: take its frames with `hone data index FOLDER --frames OUT`";
    let twins = "two sharp pictures have this name";
    assert_eq!(
        reasons,
        [
            ("notes/a.png", "in no folder of degraded or sharp pictures"),
            ("train/blur/alone.png", "has no partner"),
            ("train/blur/cut.png", "its partner cannot be used"),
            ("train/blur/size.png", "size does not fit its sharp partner"),
            ("train/blur/two.png", twins),
            ("train/film.mp4", video),
            ("train/gt/two.png", twins),
            ("train/sharp/cut.png", "is damaged or cut off"),
            ("train/sharp/lonely.png", "has no partner"),
            ("train/sharp/size.png", "its partner cannot be used"),
            ("train/sharp/two.png", twins),
        ]
    );
}

#[test]
fn a_folder_of_videos_says_how_to_use_them() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("a.mp4");
    std::fs::write(&clip, b"").unwrap();
    for root in [folder.path(), &clip] {
        let error = scan(root, Layout::Auto, 0, 0.1, false).unwrap_err();
        assert!(error.to_string().contains("--frames OUT"), "{error}");
    }
}

#[test]
fn roles_and_splits_come_in_any_order() {
    for paths in [
        [
            "train/blur/a.png",
            "train/sharp/a.png",
            "val/blur/b.png",
            "val/sharp/b.png",
        ],
        [
            "input/train/a.png",
            "target/train/a.png",
            "input/val/b.png",
            "target/val/b.png",
        ],
        ["lq/a.png", "gt/a.png", "lq/b.png", "gt/b.png"],
        [
            "DIV2K_train_LR_bicubic/X2/0001x2.png",
            "DIV2K_train_HR/0001.png",
            "DIV2K_valid_LR_bicubic/X2/0801x2.png",
            "DIV2K_valid_HR/0801.png",
        ],
    ] {
        let index = index(&tree(&paths));
        let expected: BTreeSet<_> = [(0, 1), (2, 3)]
            .map(|(i, t)| (paths[i].to_owned(), paths[t].to_owned()))
            .into();
        assert_eq!(pairs(&index), expected);
        assert_eq!(
            (index.count(Split::Train), index.count(Split::Validation)),
            (1, 1),
            "{paths:?}"
        );
    }
}

#[test]
fn a_clip_with_the_word_of_a_split_in_its_name_stays_a_clip() {
    let clips = ["train_yard", "train_gate", "camera-test"];
    let sharp: Vec<String> = clips
        .iter()
        .flat_map(|clip| (0..3).map(move |i| format!("{clip}/{i}.png")))
        .collect();
    let paths: Vec<&str> = sharp.iter().map(String::as_str).collect();
    let found = index(&tree(&paths));
    for clip in clips {
        let frames = found
            .entries
            .iter()
            .filter(|e| e.truth.path.starts_with(clip));
        let told: BTreeSet<(&str, String)> = frames
            .map(|e| (e.group.as_str(), e.split.to_string()))
            .collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told.iter().all(|(group, _)| group.ends_with(clip)));
    }
    assert_eq!(found.count(Split::Validation), 3);

    let paths = ["input", "target"].map(|role| clips.map(|clip| format!("{role}/{clip}/1.png")));
    let paths: Vec<&str> = paths.iter().flatten().map(String::as_str).collect();
    let found = index(&tree(&paths));
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    let alike = |(input, truth): &(String, String)| input.replace("input", "target") == *truth;
    assert_eq!(found.entries.len(), 3);
    assert!(pairs(&found).iter().all(alike));
}

#[test]
fn names_that_end_like_reduced_ones_pair_by_the_whole_name_first() {
    let found = index(&tree(&[
        "input/0000x2.png",
        "input/0001x2.png",
        "target/0000x2.png",
        "target/0001.png",
    ]));
    let expected = [("0000x2", "0000x2"), ("0001x2", "0001")];
    let expected = expected.map(|(i, t)| (format!("input/{i}.png"), format!("target/{t}.png")));
    assert_eq!(pairs(&found), expected.into());
}

#[test]
fn list_files_of_realblur_are_followed() {
    let folder = tree(&[
        "R/s1/gt/gt_1.png",
        "R/s1/blur/blur_1.png",
        "R/s2/gt/gt_1.png",
        "R/s2/blur/blur_1.png",
    ]);
    let train = "R/s1/gt/gt_1.png R/s1/blur/blur_1.png 1\n/etc/passwd ../x.png\n";
    std::fs::write(folder.path().join("RealBlur_J_train_list.txt"), train).unwrap();
    let test = "R/s2/gt/gt_1.png R/s2/blur/blur_1.png\nR/s9/gt/gt_1.png R/s9/blur/blur_1.png\n";
    std::fs::write(folder.path().join("RealBlur_J_test_list.txt"), test).unwrap();
    let index = index(&folder);
    assert_eq!(
        (index.count(Split::Train), index.count(Split::Test)),
        (1, 1)
    );
    assert_eq!(index.problem_counts()["cannot be opened"], 1);
    assert_eq!(index.problems.len(), 1);
    assert!(verify(&index, folder.path()).unwrap().is_empty());
    let sharp = scan(folder.path(), Layout::Sharp, 1, 0.0, true).unwrap();
    assert_eq!(sharp.entries.len(), 2);
    assert_eq!(
        sharp.problem_counts()["neither sharp nor part of a pair"],
        2
    );
    assert!(verify(&sharp, folder.path()).unwrap().is_empty());
}

#[test]
fn only_a_picture_is_a_degraded_picture_without_a_partner() {
    let folder = tree(&["photos/a.png", "photos/b.png"]);
    let input = folder.path().join("photos/input");
    std::fs::create_dir(&input).unwrap();
    std::fs::write(input.join("clip.mp4"), "").unwrap();
    let found = index(&folder);
    assert!(found.problems.iter().any(|p| p.path.ends_with("clip.mp4")));
    assert_eq!(found.degraded_alone(), None);
    std::fs::copy(folder.path().join("photos/a.png"), input.join("c.png")).unwrap();
    let found = index(&folder);
    assert_eq!(found.degraded_alone(), Some("photos/input/c.png"));
}

#[test]
fn text_files_that_list_no_pairs_are_let_be() {
    let folder = tree(&["0001.png", "0002.png"]);
    let counts = "0001.png 3\n0002.png 5\n";
    std::fs::write(folder.path().join("image_list.txt"), counts).unwrap();
    std::fs::write(
        folder.path().join("latin1_list.txt"),
        b"caf\xe9.png 0001.png",
    )
    .unwrap();
    let index = index(&folder);
    assert_eq!((index.layout, index.entries.len()), (Layout::Sharp, 2));
    assert!(index.problems.is_empty(), "{:?}", index.problems);
}

#[test]
fn photos_and_sequences_are_split_without_leaks() {
    let mut paths: Vec<String> = (0..10).map(|i| format!("p{i}.png")).collect();
    paths.extend((0..12).map(|i| format!("clip{}/{:04}.png", i / 4, i)));
    let folder = tree(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    std::fs::copy(
        folder.path().join("p1.png"),
        folder.path().join("copy_of_p1.png"),
    )
    .unwrap();
    // Without an index file too, as a training scans.
    for (seed, thorough) in [(1, true), (1, false), (2, false), (3, false), (4, false)] {
        let index = scan(folder.path(), Layout::Auto, seed, 0.25, thorough).unwrap();
        assert_eq!(index.entries.len(), 23);
        assert!(index.count(Split::Validation) >= 3);
        let mut splits: BTreeMap<String, Split> = BTreeMap::new();
        let twin = |path: &str| path.replace("copy_of_", "");
        for entry in &index.entries {
            for name in [entry.group.clone(), twin(&entry.truth.path)] {
                let split = *splits.entry(name.clone()).or_insert(entry.split);
                assert_eq!(split, entry.split, "{name}");
            }
        }
    }
}

#[test]
fn damage_is_found_by_name() {
    let folder = tree(&[
        "train/blur/a.png",
        "train/sharp/a.png",
        "train/blur/b.png",
        "train/sharp/b.png",
        "val/blur/c.png",
        "val/sharp/c.png",
    ]);
    let path = |p: &str| folder.path().join(p);
    let good = index(&folder);
    assert!(verify(&good, folder.path()).unwrap().is_empty());
    let file = path("index.toml");
    good.save(&file).unwrap();
    assert_eq!(Index::load(&file).unwrap(), good);

    std::fs::write(path("train/blur/a.png"), b"").unwrap();
    std::fs::remove_file(path("train/sharp/b.png")).unwrap();
    Picture::new(3, 9, 11)
        .save(&path("val/blur/c.png"))
        .unwrap();
    Picture::new(3, 9, 11)
        .save(&path("val/sharp/d.png"))
        .unwrap();
    let what: Vec<_> = verify(&good, folder.path())
        .unwrap()
        .into_iter()
        .map(|c| (c.path, c.what))
        .collect();
    let expected = [
        ("train/blur/a.png", "changed"),
        ("train/sharp/b.png", "missing"),
        ("val/blur/c.png", "changed"),
        ("val/sharp/d.png", "new"),
    ];
    assert_eq!(what, expected.map(|(p, w)| (p.to_owned(), w)));
    let bad = index(&folder);
    assert!(bad.entries.is_empty());
    assert_eq!(
        bad.problem_counts().values().sum::<usize>(),
        6,
        "{:?}",
        bad.problems
    );
}

#[test]
fn files_outside_of_the_folder_are_none_of_an_index() {
    let folder = tree(&["a.png", "b.png"]);
    let file = folder.path().join("index.toml");
    for path in ["/elsewhere/x.png", "../x.png", "sub/../../x.png"] {
        let mut foreign = index(&folder);
        path.clone_into(&mut foreign.entries[1].truth.path);
        foreign.save(&file).unwrap();
        let error = Index::load(&file).unwrap_err().to_string();
        assert!(error.contains("does not lie in the folder"), "{error}");
    }
}

#[test]
fn a_newer_index_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("i.toml");
    std::fs::write(
        &path,
        "version = 2\nlayout = 'sharp'\nseed = 0\nvalidation = 0.1\n",
    )
    .unwrap();
    let error = format!("{:#}", Index::load(&path).unwrap_err());
    assert!(error.contains("index version 2"), "{error}");
}

#[test]
fn frames_without_leading_zeros_are_in_the_order_of_time_and_half_taken_ones_unseen() {
    let folder = tree(&[
        "clip/10.png",
        "clip/2.png",
        "clip/1.png",
        "clip/0.png",
        "other/0.png",
        "other/1.png",
        ".third.hone-part/000000.png",
    ]);
    let index = index(&folder);
    let paths: Vec<&str> = index.entries.iter().map(Entry::first_path).collect();
    let right = [
        "clip/0.png",
        "clip/1.png",
        "clip/2.png",
        "clip/10.png",
        "other/0.png",
        "other/1.png",
    ];
    assert_eq!(paths, right);
    assert!(index.problems.is_empty(), "{:?}", index.problems);
    assert!(verify(&index, folder.path()).unwrap().is_empty());
}

#[test]
fn linked_folders_are_walked_once_and_what_cannot_be_written_down_is_told() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    let store = tree(&["a/1.png", "a/2.png"]);
    let folder = tree(&["own/3.png"]);
    let at = |name: &str| folder.path().join(name);
    symlink(store.path().join("a"), at("first")).unwrap();
    symlink(store.path().join("a"), at("second")).unwrap();
    symlink(store.path(), at("third")).unwrap();
    symlink(folder.path(), at("own/round")).unwrap();
    let odd = folder.path().join(OsStr::from_bytes(b"bad\xff.png"));
    std::fs::copy(at("own/3.png"), odd).unwrap();
    let index = index(&folder);
    let paths: Vec<&str> = index.entries.iter().map(Entry::first_path).collect();
    assert_eq!(paths, ["first/1.png", "first/2.png", "own/3.png"]);
    let left: Vec<&str> = index.problems.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(left, ["bad\u{fffd}.png", "own/round", "second", "third/a"]);
    assert!(verify(&index, folder.path()).unwrap().is_empty());
}

use std::path::Path;

use super::*;
use crate::data::config::{DataConfig, Layout};
use crate::data::index::Split;

fn save(folder: &Path, names: &[&str], side: usize) {
    for (i, name) in names.iter().enumerate() {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        crate::data::synth::scene(i as u64, 0, side, side)
            .save(&path)
            .unwrap();
    }
}

fn camera(text: &str) -> Camera {
    Camera {
        degradation: text.parse().unwrap(),
        seed: 3,
        asked_for: true,
    }
}

#[test]
fn sharp_folders_are_degraded_always_alike() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &["a.png", "b.png", "c.png"], 40);
    let camera = camera("gaussian:sigma=1..2 + noise:shot=0.001");
    let opened = PairSet::open(folder.path(), Some(&camera), Take::Spread(2), &[]).unwrap();
    let set = opened.evaluated;
    assert_eq!((set.len(), opened.training.is_none()), (2, true));
    let pair = set.get(1).unwrap();
    assert_eq!((pair.input.width, pair.truth.width), (40, 40));
    assert_ne!(pair.input, pair.truth);
    assert_eq!(set.get(1).unwrap().input, pair.input);
    let error = PairSet::open(folder.path(), None, Take::Spread(9), &[]).unwrap_err();
    assert!(error.to_string().contains("--degrade"), "{error}");
    let missing = folder.path().join("nothing");
    assert!(PairSet::open(&missing, None, Take::Spread(9), &[]).is_err());
}

#[test]
fn a_picture_is_degraded_alike_however_many_are_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["a.png", "b.png", "c.png", "d.png", "e.png"];
    save(folder.path(), &names, 40);
    let camera = camera("gaussian:sigma=1..2 + noise:shot=0.001");
    let open = |limit| {
        let opened = PairSet::open(folder.path(), Some(&camera), Take::Spread(limit), &[]).unwrap();
        opened.evaluated.usable().0
    };
    let whole = open(9);
    let input = |set: &PairSet, name: &str| {
        let at = set.names().iter().position(|n| n == name).unwrap();
        set.get(at).unwrap().input
    };
    let few = open(2);
    for name in few.names() {
        assert_eq!(input(&few, &name), input(&whole, &name), "{name}");
    }
    let last = input(&whole, "e");
    let damaged = folder.path().join("b.png");
    let bytes = std::fs::read(&damaged).unwrap();
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    let left = open(9);
    assert_eq!(left.names(), ["a", "c", "d", "e"]);
    assert_eq!(input(&left, "e"), last);
    // Tuning draws by place among the pictures tuned on.
    let tuning = left.limited(1).get(0).unwrap();
    let renumbered = input(&open(9), &tuning.name);
    assert_eq!(tuning.input == renumbered, tuning.name == "a");
}

#[test]
fn splits_and_enlarged_inputs_are_found() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &["val/lq/x.png", "train/lq/y.png"], 20);
    save(folder.path(), &["val/gt/x.png", "train/gt/y.png"], 40);
    let opened = PairSet::open(folder.path(), None, Take::Spread(9), &[]).unwrap();
    assert_eq!(opened.evaluated.names(), ["x"]);
    assert_eq!(opened.training.unwrap().names(), ["y"]);
    let pair = opened.evaluated.get(0).unwrap();
    assert_eq!((pair.input.height, pair.input.width), (40, 40));
    save(folder.path(), &["val/lq/x.png"], 21);
    let error = opened.evaluated.get(0).unwrap_err().to_string();
    assert!(error.contains("differ in size"), "{error}");
}

#[test]
fn pairs_that_cannot_be_used_are_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &["lq/a.png", "lq/b.png", "lq/c.png"], 20);
    save(folder.path(), &["gt/a.png", "gt/b.png", "gt/c.png"], 40);
    save(folder.path(), &["lq/c.png"], 21);
    let damaged = folder.path().join("gt/b.png");
    let bytes = std::fs::read(&damaged).unwrap();
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    save(folder.path(), &["gt/orphan.png"], 40);
    let opened = PairSet::open(folder.path(), None, Take::Spread(9), &[]).unwrap();
    let (usable, problems) = opened.evaluated.usable();
    assert_eq!(usable.names(), ["a"]);
    let all = opened.problems.iter().chain(&problems);
    let told: Vec<String> = all.map(|p| format!("{}: {}", p.path, p.reason)).collect();
    for ending in [
        "gt/b.png: is damaged or cut off",
        "lq/c.png: size does not fit its sharp partner",
        "gt/orphan.png: has no partner",
    ] {
        assert!(told.iter().any(|t| t.ends_with(ending)), "{told:?}");
    }
}

#[test]
fn pairs_whose_names_do_not_match_are_not_replaced_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    save(
        folder.path(),
        &["val/blur/a_blur.png", "val/sharp/a_sharp.png"],
        40,
    );
    let asked = camera("gaussian:sigma=1..2");
    let of_recipe = Camera {
        asked_for: false,
        ..asked.clone()
    };
    for camera in [None, Some(&of_recipe)] {
        let error = PairSet::open(folder.path(), camera, Take::Spread(9), &[]).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("as val/blur/a_blur.png, and none"),
            "{error}"
        );
    }
    let opened = PairSet::open(folder.path(), Some(&asked), Take::Spread(9), &[]).unwrap();
    assert_eq!(opened.evaluated.names(), ["a_sharp"]);
}

#[test]
fn frames_of_two_folders_come_as_people_count() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    save(
        at,
        &[
            "blur/f2.png",
            "blur/f10.png",
            "sharp/f2.png",
            "sharp/f10.png",
        ],
        20,
    );
    let (blur, sharp) = (at.join("blur"), at.join("sharp"));
    let named = PairSet::folders(&blur, &sharp, Take::Spread(9)).unwrap();
    assert_eq!(named.names(), ["f2", "f10"]);
    let found = PairSet::open(at, None, Take::Spread(9), &[]).unwrap();
    assert_eq!(found.evaluated.names(), named.names());
}

#[test]
fn test_pictures_come_first_and_clips_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let names = |split: &str| {
        ["blur", "sharp"].map(|role| format!("{split}/{role}/clip/{}.png", split.len()))
    };
    let mut files = names("train").to_vec();
    let evaluated = |files: &[String], side| {
        for (i, file) in files.iter().enumerate() {
            save(folder.path(), &[file], side + 2 * (i / 2));
        }
        let opened = PairSet::open(folder.path(), None, Take::Spread(9), &[]).unwrap();
        (opened.split, opened.evaluated.names())
    };
    assert_eq!(evaluated(&files, 20), (None, vec!["5".to_owned()]));
    files.extend(names("val"));
    let (split, found) = evaluated(&files, 30);
    assert_eq!(
        (split, found),
        (Some(Split::Validation), vec!["3".to_owned()])
    );
    files.extend(names("test"));
    let (split, found) = evaluated(&files, 40);
    assert_eq!((split, found), (Some(Split::Test), vec!["4".to_owned()]));
}

#[test]
fn the_first_frames_are_consecutive_and_those_evaluated_tune_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = |role: &str, i: usize| format!("{role}/f{i}.png");
    for i in 0..12 {
        save(
            folder.path(),
            &[&file("blur", i), &file("sharp", i)],
            20 + i,
        );
    }
    let open = |take| {
        PairSet::open(folder.path(), None, take, &[])
            .unwrap()
            .evaluated
    };
    let first = open(Take::First(3));
    assert_eq!(first.names(), ["f0", "f1", "f2"]);
    assert_ne!(open(Take::Spread(3)).names(), first.names());
    let rest = open(Take::First(99)).without(&first);
    assert_eq!((rest.len(), rest.names()[0].as_str()), (9, "f3"));
}

#[test]
fn what_a_run_was_trained_on_is_not_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..12).map(|i| format!("photos/p{i}.png")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    save(folder.path(), &names, 24);
    let photos = folder.path().join("photos");
    let data = DataConfig {
        root: Some("photos".into()),
        seed: 4,
        validation: 0.25,
        ..DataConfig::default()
    };
    let run = Learnt {
        data: &data,
        base: folder.path(),
    };
    let camera = camera("gaussian:sigma=1");
    let open = |data: &Path| PairSet::open(data, Some(&camera), Take::Spread(99), &[run]).unwrap();
    let own = open(&photos);
    let (held_out, training) = (own.evaluated.names(), own.training.unwrap().names());
    assert_eq!((own.split, held_out.len()), (Some(Split::Validation), 3));
    assert!(held_out.iter().all(|name| !training.contains(name)));
    assert!(own.note.unwrap().contains("its validation pictures"));
    // A folder around it, with a picture of its own.
    save(folder.path(), &["new.png"], 30);
    let around = open(folder.path());
    assert_eq!((around.split, around.evaluated.len()), (None, 4));
    assert!(around.note.unwrap().contains("left out 9 pictures"));
    // Nothing else is there.
    for name in &held_out {
        std::fs::remove_file(photos.join(format!("{name}.png"))).unwrap();
    }
    let index = crate::data::index::scan(&photos, Layout::Auto, 0, 0.0, false).unwrap();
    index.save(&photos.join("hone-index.toml")).unwrap();
    let rest = open(&photos);
    assert_eq!((rest.split, rest.evaluated.len()), (None, 9));
    assert!(rest.note.unwrap().contains("trained on all 9"));
}

#[test]
fn more_frames_than_memory_may_hold_are_refused_with_a_number_that_fits() {
    let format = crate::restore::video::Format {
        width: 1920,
        height: 1080,
        rate: (30, 1),
        aspect: (1, 1),
    };
    let bounded = |frames| open::bounded(Path::new("film.mp4"), &format, frames);
    bounded(643).unwrap();
    let error = bounded(1000).unwrap_err().to_string();
    assert!(
        error.contains("film.mp4, 1920x1080 each, take 6.22 GB"),
        "{error}"
    );
    assert!(error.contains("give --limit 643"), "{error}");
}

#[test]
fn a_copy_of_a_set_shares_its_pictures() {
    let scene = crate::data::synth::scene(1, 0, 16, 16);
    let photo = Arc::new(Photo::from_picture(&scene));
    let item = |place| Item::Frame {
        name: String::new(),
        truth: Arc::clone(&photo),
        place,
    };
    let set = PairSet::new(vec![item(0), item(1)], Some(camera("gaussian:sigma=1")));
    let copy = set.clone().limited(1);
    assert_eq!((Arc::strong_count(&photo), copy.len()), (4, 1));
}

use std::path::Path;

use super::*;

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
    }
}

#[test]
fn sharp_folders_are_degraded_always_alike() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &["a.png", "b.png", "c.png"], 40);
    let camera = camera("gaussian:sigma=1..2 + noise:shot=0.001");
    let opened = PairSet::open(folder.path(), Some(&camera), 2).unwrap();
    let set = opened.evaluated;
    assert_eq!((set.len(), opened.training.is_none()), (2, true));
    let pair = set.get(1).unwrap();
    assert_eq!((pair.input.width, pair.truth.width), (40, 40));
    assert_ne!(pair.input, pair.truth);
    assert_eq!(set.get(1).unwrap().input, pair.input);
    let error = PairSet::open(folder.path(), None, 9).unwrap_err();
    assert!(error.to_string().contains("--degrade"), "{error}");
    let missing = folder.path().join("nothing");
    assert!(PairSet::open(&missing, None, 9).is_err());
}

#[test]
fn a_picture_is_degraded_alike_however_many_are_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["a.png", "b.png", "c.png", "d.png", "e.png"];
    save(folder.path(), &names, 40);
    let camera = camera("gaussian:sigma=1..2 + noise:shot=0.001");
    let open = |limit| {
        let opened = PairSet::open(folder.path(), Some(&camera), limit).unwrap();
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
    let opened = PairSet::open(folder.path(), None, 9).unwrap();
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
    let opened = PairSet::open(folder.path(), None, 9).unwrap();
    let (usable, problems) = opened.evaluated.usable();
    assert_eq!(usable.names(), ["a"]);
    let named = |i: usize| format!("{}: {}", problems[i].path, problems[i].reason);
    assert!(named(0).ends_with("gt/b.png: is damaged or cut off"));
    assert!(named(1).ends_with("lq/c.png: size does not fit its sharp partner"));
}

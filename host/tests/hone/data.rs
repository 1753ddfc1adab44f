//! `hone data` as a user drives it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{fails, said, told, works};

#[test]
fn photographs_are_indexed_verified_shown_and_paired() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let synth = "data synth --images 8 --size 96x80 --validation 0 --degrade none --out scenes";
    works(at, synth);
    std::fs::rename(at.join("scenes/train/sharp"), at.join("photos")).unwrap();
    std::fs::write(at.join("photos/empty.jpg"), b"").unwrap();

    let said = works(at, "data index photos --validation 0.25");
    assert!(
        said.contains("8 sharp pictures (train 6, validation 2"),
        "{said}"
    );
    assert!(
        said.contains("left out 1: is empty\n    empty.jpg"),
        "{said}"
    );
    assert!(works(at, "data verify photos").contains("8 entries"));
    let json = works(at, "data index photos --out again.toml --json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["entries"].as_array().unwrap().len(), 8);

    let first = json["entries"][0]["truth"]["path"].as_str().unwrap();
    let bytes = std::fs::read(at.join("photos").join(first)).unwrap();
    std::fs::write(at.join("photos").join(first), &bytes[1..]).unwrap();
    let output = told(at, "data verify photos --json");
    assert_eq!(output.status.code(), Some(1));
    let changes: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(changes[0]["what"], "changed");
    std::fs::write(at.join("photos").join(first), &bytes).unwrap();

    let said = works(
        at,
        "data degrade --preset conference --variants 2 --side 32 photos sheet.png",
    );
    assert!(said.contains("6 pictures"), "{said}");
    assert!(at.join("sheet.png").exists());
    let said = works(at, "data sharpness photos --crop 32 --patches 100");
    assert!(said.contains("50 % of the patches are below 0."), "{said}");
    let said = works(
        at,
        "data pairs photos --out pairs --degrade light --limit 3",
    );
    assert!(said.contains("3 pairs"), "{said}");
    let said = works(at, "data index pairs --validation 0.4");
    assert!(said.contains("3 pairs (train 2, validation 1"), "{said}");

    for words in [
        "data pairs photos --out none --degrade frames:count=7",
        "data degrade --preset frames:count=7 photos none",
        "data synth --images 1 --out none --degrade frames:count=7",
    ] {
        let error = fails(at, words);
        assert!(
            error.contains("'frames' averages neighbours") && !at.join("none").exists(),
            "{words}: {error}"
        );
    }

    std::fs::create_dir(at.join("nothing")).unwrap();
    std::fs::write(at.join("nothing/a.png"), b"text").unwrap();
    let error = fails(at, "data index nothing");
    assert!(
        error.contains("is no picture of a known format")
            && error.contains("no picture that can be used"),
        "{error}"
    );
    assert!(!at.join("nothing/hone-index.toml").exists());
}

#[test]
fn a_folder_of_clips_is_indexed_by_its_frames() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("clips")).unwrap();
    for (clip, pattern) in [("a", "ball"), ("b", "snow")] {
        let launch = format!(
            "videotestsrc num-buffers=6 pattern={pattern} ! video/x-raw,width=64,height=48 ! jpegenc ! matroskamux \
             ! filesink location=clips/{clip}.mkv"
        );
        let status = Command::new("gst-launch-1.0")
            .arg("--quiet")
            .args(launch.split_whitespace())
            .current_dir(at)
            .status()
            .unwrap();
        assert!(status.success());
    }
    let error = fails(at, "data index clips");
    assert!(error.contains("2 videos and no pictures"), "{error}");
    let said = works(
        at,
        "data index clips --frames frames --every 2 --validation 0.5",
    );
    assert!(
        said.contains("6 sharp pictures (train 3, validation 3"),
        "{said}"
    );
    works(at, "data frames clips/a.mkv --out more");
    assert!(at.join("more/a/000005.png").exists());
    let error = fails(at, "data frames clips/a.mkv --out more --every 2");
    assert!(error.contains("there already"), "{error}");

    // The damaged are left out, and what is there is not decoded again.
    let whole = std::fs::read(at.join("clips/a.mkv")).unwrap();
    std::fs::write(at.join("clips/cut.mkv"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(at.join("clips/text.mp4"), "no video").unwrap();
    let first = at.join("frames/a/000000.png");
    let before = std::fs::metadata(&first).unwrap().modified().unwrap();
    let output = told(
        at,
        "data index clips --frames frames --every 2 --validation 0.5",
    );
    let error = super::said(&output);
    assert!(output.status.success(), "{error}");
    for words in [
        "clips/cut.mkv is cut off",
        "left out clips/text.mp4",
        "left out 2, kept 2",
    ] {
        assert!(error.contains(words), "{error}");
    }
    let after = std::fs::metadata(&first).unwrap().modified().unwrap();
    assert_eq!(before, after);
    std::fs::write(at.join("empty.mp4"), b"").unwrap();
    let error = fails(at, "data frames empty.mp4 --out none");
    assert!(
        error.contains("empty.mp4 is empty") && !at.join("none").exists(),
        "{error}"
    );
}

#[test]
fn what_a_training_leaves_out_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let synth = "data synth --images 4 --size 96x80 --validation 0 --degrade none --out scenes";
    works(at, synth);
    std::fs::rename(at.join("scenes/train/sharp"), at.join("photos")).unwrap();
    std::fs::write(at.join("photos/empty.jpg"), b"").unwrap();
    let recipe = r#"name = "s"
colour = "luma"
data = { root = "photos", crop = 32, drop_flattest = 0.3, degradation = "light" }
student = { architecture = "plain", scale = 2, channels = 8, convs = 3 }
loss = [{ kind = "l1", weight = 1.0 }]
optimizer = { learning_rate = 1e-3 }
stage = [{ epochs = 1, steps = 1, batch = 4, crop = 32 }]
"#;
    std::fs::write(at.join("s.toml"), recipe).unwrap();
    let output = told(
        at,
        "data bench s.toml --loader-only --seconds 0.1 --device cpu",
    );
    let error = said(&output);
    assert!(output.status.success(), "{error}");
    assert_eq!(error.matches("data: left out 1").count(), 1, "{error}");
}

#[test]
fn the_loader_and_the_training_it_feeds_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let recipe = r#"name = "s"
colour = "luma"
data = { layout = "scenes", count = 4, size = [96, 80], pool = 64, degradation = "light" }
student = { architecture = "plain", scale = 2, channels = 8, convs = 3 }
loss = [{ kind = "l1", weight = 1.0 }]
optimizer = { learning_rate = 1e-3 }
stage = [{ epochs = 1, steps = 1, batch = 4, crop = 32 }]
"#;
    std::fs::write(at.join("s.toml"), recipe).unwrap();
    let json = works(at, "data bench s.toml --seconds 0.1 --device cpu --json");
    let live: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(live["patches_per_second"].as_f64().unwrap() > 0.0);
    let waiting = live["training"]["waiting"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&waiting), "{waiting}");
    works(
        at,
        "teacher cache s.toml --no-teacher --device cpu --out pool",
    );
    let said = works(
        at,
        "data bench s.toml --cache pool --seconds 0.1 --device cpu",
    );
    assert!(
        said.contains("64 patches in pool") && said.contains("waits for batches"),
        "{said}"
    );
    let said = works(
        at,
        "data bench s.toml --loader-only --seconds 0.1 --device cpu",
    );
    assert!(
        said.contains("patches a second") && !said.contains("training"),
        "{said}"
    );
}

#[test]
fn pictures_are_not_overwritten_and_values_without_meaning_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (values, words) in [
        ("--images 0", "nothing to draw"),
        ("--sequences 1 --frames 0", "0 is not in 1..="),
        ("--speed nan", "is no speed"),
        ("--speed 1e9", "is no speed"),
    ] {
        let output = told(at, &format!("data synth --out bad {values}"));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && error.contains(words),
            "{values}: {error}"
        );
    }
    assert!(!at.join("bad").exists());
    let synth = "data synth --images 3 --size 96x80 --validation 0 --degrade none --out scenes";
    works(at, synth);
    assert!(!at.join("scenes.part").exists());
    std::fs::rename(at.join("scenes/train/sharp"), at.join("photos")).unwrap();
    let photo = at.join("photos/00002.png");
    let before = std::fs::read(&photo).unwrap();

    // One row is shown; the third picture is safe nevertheless.
    for input in ["photos", "photos/00002.png"] {
        let degrade = format!("data degrade --rows 1 {input} photos/../photos/00002.png");
        assert!(fails(at, &degrade).contains("would overwrite"));
    }
    let error = fails(at, "data index photos --out photos/00002.png");
    assert!(error.contains("is no index of hone"), "{error}");
    assert_eq!(std::fs::read(&photo).unwrap(), before);
    works(at, "data index photos --out i.toml");
    works(at, "data index photos --out i.toml");
    let error = fails(at, "data index photos --layout scenes");
    assert!(error.contains("have no index"), "{error}");

    let half = &before[..before.len() / 2];
    std::fs::write(at.join("photos/00000.png"), half).unwrap();
    let output = told(at, "data degrade --variants 1 --side 32 photos sheet.png");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && error.contains("left out 00000.png: is damaged"),
        "{error}"
    );
    let synth = "data synth --images 1 --size 48x80 --degrade none --out small";
    works(at, synth);
    std::fs::copy(
        at.join("small/train/sharp/00000.png"),
        at.join("photos/small.png"),
    )
    .unwrap();
    let output = told(
        at,
        "data pairs photos --degrade light --crop 64x64 --out pairs",
    );
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && error.contains("left out small.png: is smaller than the crop"),
        "{error}"
    );
    assert!(at.join("pairs/sharp/00002.png").exists() && !at.join("pairs.part").exists());
}

#[test]
fn what_is_half_written_goes_with_its_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let synth = "data synth --images 100000 --size 64x64 --degrade none --out s";
    let mut child = Command::new("env")
        .args(["--default-signal=HUP", env!("CARGO_BIN_EXE_hone")])
        .args(synth.split(' '))
        .current_dir(at)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let part = at.join(".s.hone-part");
    let patience = Instant::now() + Duration::from_secs(120);
    while !part.join("train").exists() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(2));
    }
    let sent = ["-HUP", &child.id().to_string()];
    assert!(Command::new("kill").args(sent).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(129));
    assert!(!part.exists() && !at.join("s").exists());
}

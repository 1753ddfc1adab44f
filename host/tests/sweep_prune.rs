//! `hone sweep` and `hone prune` as a user drives them.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

const RECIPE: &str = r#"name = "s"
colour = "luma"

[data]
layout = "scenes"
count = 4
size = [96, 80]
degradation = "gaussian:sigma=1"
validation_images = 2
validation_crop = 64

[student]
architecture = "plain"
scale = 2
channels = 8
convs = 3

[[loss]]
kind = "l1"
weight = 1.0

[optimizer]
learning_rate = 2e-3

[[stage]]
epochs = 1
steps = 3
batch = 2
crop = 32
"#;

fn hone(folder: &Path, arguments: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_hone"))
        .args(arguments.split_whitespace())
        .args(["--device", "cpu"])
        .current_dir(folder)
        .output()
        .unwrap();
    let text = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    (output.status.success(), String::from_utf8(text).unwrap())
}

fn done(folder: &Path, arguments: &str) -> String {
    let (success, text) = hone(folder, arguments);
    assert!(success, "hone {arguments}: {text}");
    text
}

#[test]
fn a_grid_is_trained_by_shards_and_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("r.toml"), RECIPE).unwrap();
    let sweep = "sweep r.toml --grid student.channels=4,8 --grid seed=1,2 --out s --json";
    let count = |text: &str| {
        let rows: serde_json::Value = serde_json::from_str(text).unwrap();
        rows.as_array().unwrap().len()
    };
    assert_eq!(count(&done(at, &format!("{sweep} --shard 2/2"))), 2);
    let before = std::fs::metadata(at.join("s/002/log.jsonl"))
        .unwrap()
        .modified()
        .unwrap();
    let all = done(at, sweep);
    assert_eq!(count(&all), 4);
    let rows: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(rows[2]["settings"][0], "student.channels=8");
    assert!(rows[3]["best"][1]["psnr"].as_f64().unwrap() > 10.0);
    // What is finished is left alone.
    let after = std::fs::metadata(at.join("s/002/log.jsonl"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after);
    let table = std::fs::read_to_string(at.join("s/sweep.csv")).unwrap();
    assert_eq!(table.lines().count(), 5);
    let (success, error) = hone(at, "sweep r.toml --grid seed=1,2 --out s");
    assert!(!success && error.contains("another sweep"), "{error}");
}

#[test]
fn a_student_is_pruned_trained_on_and_exported_smaller() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("r.toml"), RECIPE).unwrap();
    done(at, "distill r.toml --out wide");
    let pruned = done(at, "prune wide --keep 0.5 --out narrow --json");
    let pruned: serde_json::Value = serde_json::from_str(&pruned).unwrap();
    assert_eq!(pruned["after"], serde_json::json!([4, 4]));
    let size = |run: &str| {
        let command = ["export", run, "--out", &format!("{run}.onnx")].map(String::from);
        let output = Command::new(env!("CARGO_BIN_EXE_hone"))
            .args(command)
            .current_dir(at)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        std::fs::metadata(at.join(format!("{run}.onnx")))
            .unwrap()
            .len()
    };
    assert!(size("narrow") < size("wide"));
    let (success, error) = hone(at, "prune wide --keep 1.5 --out no");
    assert!(!success && error.contains("at most 1"), "{error}");
    assert!(!at.join("no").exists());
}

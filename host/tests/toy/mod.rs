//! A toy recipe and `hone` as a user runs it, for the tests of commands.

#![allow(clippy::unwrap_used, dead_code)]

use std::path::Path;
use std::process::Command;

/// A luma student of three convolutions, trained for `steps` updates on `count` drawn scenes, with
/// further tables at its end.
pub fn recipe(name: &str, count: usize, steps: usize, tables: &str) -> String {
    format!(
        r#"name = "{name}"
seed = 2
colour = "luma"

[data]
layout = "scenes"
count = {count}
size = [96, 80]
degradation = "gaussian:sigma=0.9..1.4"
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
steps = {steps}
batch = 2
crop = 32

{tables}"#
    )
}

/// Runs `hone` in `folder`; gives whether it succeeded, and what it printed.
pub fn hone(folder: &Path, words: &str) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_hone"))
        .args(words.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// What a run that must succeed prints.
pub fn works(folder: &Path, words: &str) -> String {
    let (success, stdout, stderr) = hone(folder, words);
    assert!(success, "hone {words}\n{stdout}\n{stderr}");
    stdout
}

/// What a run that must fail complains about.
pub fn fails(folder: &Path, words: &str) -> String {
    let (success, stdout, stderr) = hone(folder, words);
    assert!(!success, "hone {words} succeeded\n{stdout}");
    stderr
}

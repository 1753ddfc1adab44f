//! `hone eval`, `restore`, `quantize`, `export`, `check` and `metrics` as a user runs them, on a
//! student trained for a few steps.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

const RECIPE: &str = r#"name = "toy"
seed = 2
colour = "luma"

[data]
layout = "scenes"
count = 8
size = [96, 80]
degradation = "gaussian:sigma=0.9..1.4"
validation_images = 1
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
learning_rate = 1e-3

[[stage]]
epochs = 1
steps = 4
batch = 2
crop = 32

[quantise]
pictures = 2
qat = true
qat_steps = 3
"#;

/// Runs `hone` in `folder`; gives whether it succeeded, and what it printed.
fn hone(folder: &Path, words: &str) -> (bool, String, String) {
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

fn works(folder: &Path, words: &str) -> String {
    let (success, stdout, stderr) = hone(folder, words);
    assert!(success, "hone {words}\n{stdout}\n{stderr}");
    stdout
}

fn fails(folder: &Path, words: &str) -> String {
    let (success, stdout, stderr) = hone(folder, words);
    assert!(!success, "hone {words} succeeded\n{stdout}");
    stderr
}

#[test]
fn a_run_is_quantised_checked_evaluated_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("toy.toml"), RECIPE).unwrap();
    works(folder, "distill toy.toml --out run");
    works(folder, "export run --out f32.onnx --simplify");
    let table = works(folder, "quantize run --out int8.onnx --sensitivity --json");
    let rows: serde_json::Value = serde_json::from_str(&table).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 4);
    works(
        folder,
        "quantize run --out ptq.onnx --no-qat --calibration entropy --format qoperator",
    );
    works(folder, "check f32.onnx --run run --no-python");
    works(
        folder,
        "check int8.onnx --against f32.onnx --no-python --json",
    );

    std::fs::create_dir(folder.join("sharp")).unwrap();
    for i in 0..2u8 {
        let pixels = (0..64 * 48u32).flat_map(|k| {
            let stripe = if (k % 64 / 5 + k / 64 / 7) % 2 == 0 {
                40
            } else {
                200
            };
            [stripe, stripe + i * 20, 90]
        });
        let image = image::RgbImage::from_raw(64, 48, pixels.collect()).unwrap();
        image.save(folder.join(format!("sharp/{i}.png"))).unwrap();
    }
    works(
        folder,
        "eval run ptq.onnx --data sharp --speed 64x48 --out report",
    );
    let report = std::fs::read_to_string(folder.join("report/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "input",
            "bicubic",
            "unsharp mask",
            "toy f32",
            "toy INT8",
            "ptq"
        ]
    );
    assert_eq!(report["pairs"].as_array().unwrap().len(), 2);
    assert_eq!(report["unsharp"]["on"], "recipe");
    // 4-8-8-4 channels with 3x3 kernels, and biases.
    assert_eq!(rows[3]["parameters"], 9 * (32 + 64 + 32) + 20);
    assert_eq!(rows[4]["parameters"], rows[3]["parameters"]);
    assert!(rows[5]["speed"][0]["fps"].as_f64().unwrap() > 0.0);
    let markdown = std::fs::read_to_string(folder.join("report/report.md")).unwrap();
    assert!(markdown.contains("| toy INT8 |") && markdown.contains("ssim_gopro_3d"));
    let side_by_side = works(
        folder,
        "eval --compare report report/report.json --markdown",
    );
    assert_eq!(side_by_side.matches("| toy INT8").count(), 2);
    let error = fails(folder, "eval ptq.onnx --data sharp");
    assert!(error.contains("--degrade"), "{error}");

    works(
        folder,
        "restore sharp --model int8.onnx --output restored --tile 64 --split 0.5",
    );
    let scores = works(folder, "metrics sharp restored --json --only psnr_rgb");
    let scores: serde_json::Value = serde_json::from_str(&scores).unwrap();
    assert_eq!(scores["summary"]["psnr_rgb"]["count"], 2);
    let error = fails(
        folder,
        "metrics sharp/0.png restored/0.png --only lpips_alex",
    );
    assert!(error.contains("--lpips-backbone"), "{error}");
}

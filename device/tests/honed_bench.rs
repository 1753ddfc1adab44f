//! `honed bench` and `honed inspect` as a user runs them. Nothing here depends on how fast the
//! machine is, but for one frame rate that no machine holds.
#![allow(clippy::unwrap_used)] // the lint's exception for tests does not reach what they share

#[path = "honed/pack.rs"]
mod pack;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hone_shared::config::{Config, DEFAULT};

fn student() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/luma.onnx")
}

fn honed(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_honed"))
        .current_dir(folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env_remove("CACHE_DIRECTORY")
        .env("HONE_ISA", "scalar")
        .args(arguments)
        .output()
        .unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// `x.hone` with the test student under two names, as if one cost more than the other.
fn save_ladder(folder: &Path) {
    let bundle = pack::bundle("1.0.0", &[("small", 200.0), ("large", 400.0)]);
    pack::save(folder, "x.hone", &bundle);
}

#[test]
fn a_measurement_has_every_figure() {
    let folder = tempfile::tempdir().unwrap();
    let model = student();
    let arguments = [
        "--size",
        "64x48",
        "--threads",
        "1",
        "--frames",
        "6",
        "--json",
    ];
    let model = ["bench", "--model", model.to_str().unwrap()];
    let report = json(&honed(folder.path(), &[&model[..], &arguments].concat()));
    for key in [
        "median_ms",
        "p99_ms",
        "fps",
        "gmac_per_s",
        "peak_share",
        "start_ms",
        "gmac",
    ] {
        assert!(report[key].as_f64().unwrap() > 0.0, "{key}: {report}");
    }
    assert_eq!(
        (&report["precision"], &report["isa"]),
        (&"f32".into(), &"scalar".into())
    );
    assert_eq!(
        (&report["threads"], &report["fused"]),
        (&1.into(), &true.into())
    );
    assert_eq!(report["frame_bytes"], 2 * 64 * 48);
    // Nobody measured what tract's own kernels reach, whatever precision and instruction set.
    let report = json(&honed(
        folder.path(),
        &[&model[..], &arguments, &["--tract"]].concat(),
    ));
    for key in ["isa", "peak_gmac_per_s", "peak_share"] {
        assert!(report[key].is_null(), "{key}: {report}");
    }
    // What was measured to compute layers is remembered for the next start.
    assert!(folder.path().join("cache/hone/layers.json").exists());
}

#[test]
fn the_chosen_student_is_written_into_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    save_ladder(folder.path());
    let config = folder.path().join("honed.toml");
    std::fs::write(&config, DEFAULT.replace("strength = 1.0", "strength = 0.6")).unwrap();
    let choose = [
        "bench",
        "--bundle",
        "x.hone",
        "--choose",
        "--allow-unsigned",
        "--size",
        "64x48",
        "--config",
        "honed.toml",
    ];
    let report = json(&honed(
        folder.path(),
        &[&choose[..], &["--fps", "1", "--json"]].concat(),
    ));
    assert_eq!(report["chosen"]["level"], "large");
    let student = Config::parse(&std::fs::read_to_string(&config).unwrap())
        .unwrap()
        .student;
    assert_eq!(
        (student.level.as_str(), student.precision.as_str()),
        ("large", "f32")
    );
    assert_eq!(
        student.threads,
        report["chosen"]["threads"].as_u64().unwrap() as usize
    );
    assert_eq!(
        Path::new(&student.bundle),
        folder.path().canonicalize().unwrap().join("x.hone")
    );
    assert_eq!(student.strength, 0.6);
}

#[test]
fn a_rate_that_no_student_holds_leaves_the_configuration_alone() {
    let folder = tempfile::tempdir().unwrap();
    save_ladder(folder.path());
    let choose = [
        "bench",
        "--bundle",
        "x.hone",
        "--choose",
        "--allow-unsigned",
        "--size",
        "960x540",
        "--config",
        "honed.toml",
    ];
    let output = honed(folder.path(), &[&choose[..], &["--fps", "240"]].concat());
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.starts_with("error: no student holds 240"), "{error}");
    assert!(!folder.path().join("honed.toml").exists());
}

#[test]
fn inspect_says_what_runs_a_student() {
    let folder = tempfile::tempdir().unwrap();
    let model = student();
    let report = json(&honed(
        folder.path(),
        &["inspect", model.to_str().unwrap(), "--json"],
    ));
    assert_eq!(
        (&report["fused"], &report["isa"]),
        (&true.into(), &"scalar".into())
    );
    assert!(report["layers"].as_array().is_some_and(|l| !l.is_empty()));
}

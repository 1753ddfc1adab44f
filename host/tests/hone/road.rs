//! The road of the README's first command, end to end at toy size: `models/demo/run.sh` with the
//! real binaries, then what it left behind.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn binaries() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_hone"))
        .parent()
        .unwrap()
        .to_path_buf();
    assert!(
        folder.join("honed").exists(),
        "honed is not built: run `cargo build --workspace`, as `make test` does"
    );
    folder
}

#[test]
fn scenes_become_a_student_that_honed_runs_as_predicted() {
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("demo");
    let run = Command::new("bash")
        .arg(root().join("models/demo/run.sh"))
        .env("QUICK", "1")
        .env("OUT", &out)
        .env("BIN", binaries())
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );
    for file in [
        "teacher",
        "student",
        "student.onnx",
        "student.int8.onnx",
        "demo.hone",
        "restored-int8.mkv",
        "report.json",
        "report.html",
        "before_after_truth.png",
        "side_by_side.mp4",
    ] {
        assert!(out.join(file).exists(), "{file} is missing");
    }
    let report = std::fs::read_to_string(out.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let labels = report.to_string();
    for label in ["unsharp", "no teacher", "honed"] {
        assert!(
            labels.contains(label),
            "report.json says nothing of {label}"
        );
    }
    for precision in ["f32", "int8"] {
        let frames = std::fs::read_dir(out.join(format!("honed-{precision}")))
            .unwrap()
            .count();
        assert_eq!(frames, 6, "honed put out {frames} frames in {precision}");
    }
}

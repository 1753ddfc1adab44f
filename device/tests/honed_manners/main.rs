//! What `honed` does when it is stopped twice, fed odd sizes, or told what has no effect.
#![cfg(feature = "camera")]
#![allow(clippy::unwrap_used)] // the lint's exception for tests does not reach what they share

mod flags;
mod outputs;
mod running;
mod signals;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn student(colour: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/{colour}.onnx"))
}

fn honed(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_honed"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

/// `honed run` with the luma student on one thread.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    let student = student("luma");
    let before = [
        "run",
        "--threads",
        "1",
        "--model",
        student.to_str().unwrap(),
    ];
    honed(folder, &[&before, arguments].concat())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

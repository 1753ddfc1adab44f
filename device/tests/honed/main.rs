//! `honed` as a user runs it: the real binary, real GStreamer, real files.
#![cfg(feature = "camera")]
#![allow(clippy::unwrap_used)] // the lint's exception for tests does not reach what they share

mod alone;
mod bundles;
mod bytes;
mod films;
mod flags;
mod folders;
mod mistakes;
mod network;
mod outputs;
mod pack;
mod running;
mod signals;
mod slots;
mod sources;
mod stuck;
#[cfg(feature = "telemetry")]
mod telemetry;
mod trust;
mod wishes;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gstreamer as gst;
use gstreamer::prelude::*;

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
    run_as(folder, "luma", arguments)
}

/// The same with the luma or the rgb one.
fn run_as(folder: &Path, colour: &str, arguments: &[&str]) -> Output {
    let student = student(colour);
    let before = [
        "run",
        "--threads",
        "1",
        "--model",
        student.to_str().unwrap(),
    ];
    honed(folder, &[&before, arguments].concat())
}

/// What it said on standard error.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The report that a run which succeeded printed.
fn report(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// One sentence on standard error, with these words in it.
fn refused(output: &Output, words: &[&str]) {
    let error = said(output);
    assert!(!output.status.success(), "{words:?}");
    assert!(
        error.lines().count() == 1 && error.starts_with("error: "),
        "{error}"
    );
    for word in words {
        assert!(error.contains(word), "'{word}' is not in: {error}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Runs a launch line to its end.
fn launch(line: &str) {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(line).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = pipeline
        .bus()
        .unwrap()
        .timed_pop_filtered(gst::ClockTime::from_seconds(60), &kinds);
    let end = message.unwrap().type_();
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(end, gst::MessageType::Eos, "{line}");
}

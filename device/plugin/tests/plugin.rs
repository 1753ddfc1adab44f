//! The plugin as GStreamer's own tools load it.
#![allow(clippy::unwrap_used)] // the lint's exception for tests does not reach what they share

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder with the plugin that cargo built beside this test.
fn built() -> PathBuf {
    let folder = std::env::current_exe()
        .unwrap()
        .parent()
        .unwrap()
        .to_owned();
    assert!(
        folder.join("libgsthone.so").exists(),
        "{}",
        folder.display()
    );
    folder
}

/// Runs a tool of GStreamer that knows only the plugin and, for the rest, what is installed.
fn tool(folder: &Path, name: &str, arguments: &[&str]) -> Output {
    let plugin = folder.join("plugin");
    std::fs::create_dir_all(&plugin).unwrap();
    std::fs::copy(built().join("libgsthone.so"), plugin.join("libgsthone.so")).unwrap();
    Command::new(name)
        .current_dir(folder)
        .env("GST_PLUGIN_PATH", &plugin)
        .env("GST_REGISTRY", folder.join("registry.bin"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn gst_inspect_documents_every_property() {
    let folder = tempfile::tempdir().unwrap();
    let output = tool(folder.path(), "gst-inspect-1.0", &["honesharpen"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for word in [
        "bundle",
        "model",
        "level",
        "threads",
        "strength",
        "split",
        "bypass",
        "stats",
        "qos",
        "NV12",
        "GRAY8",
        "libgsthone.so",
    ] {
        assert!(text.contains(word), "{word} is not in: {text}");
    }
}

#[test]
fn gst_launch_sharpens_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let student = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/luma.onnx");
    let student = student.to_str().unwrap();
    let run = |strength: &str, file: &str| {
        let line = format!(
            "-q videotestsrc num-buffers=3 pattern=zone-plate kx2=14 ky2=9 kt=2 \
             ! video/x-raw,format=GRAY8,width=64,height=48 \
             ! honesharpen model={student} strength={strength} threads=1 ! filesink location={file}"
        );
        let words: Vec<&str> = line.split_whitespace().collect();
        let output = tool(folder.path(), "gst-launch-1.0", &words);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        std::fs::read(folder.path().join(file)).unwrap()
    };
    let (plain, sharp) = (run("0", "plain.raw"), run("1", "sharp.raw"));
    assert_eq!(plain.len(), 3 * 64 * 48);
    assert_eq!(sharp.len(), plain.len());
    assert_ne!(sharp, plain);
}

#[test]
fn without_a_student_it_says_what_to_set() {
    let folder = tempfile::tempdir().unwrap();
    let line = [
        "videotestsrc",
        "num-buffers=1",
        "!",
        "honesharpen",
        "!",
        "fakesink",
    ];
    let output = tool(folder.path(), "gst-launch-1.0", &line);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(error.contains("bundle=x.hone"), "{error}");
}

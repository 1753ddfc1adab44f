//! `honed run` as a user runs it: the real binary, real GStreamer, real files.
#![cfg(feature = "camera")]
#![allow(clippy::unwrap_used)] // the lint's exception for tests does not reach what they share

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gstreamer as gst;
use gstreamer::prelude::*;
use hone_device::engine::{self, EngineOptions, FrameView, FrameViewMut, PixelFormat};

fn student(colour: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/{colour}.onnx"))
}

fn honed(folder: &Path, colour: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_honed"))
        .current_dir(folder)
        .args(["run", "--threads", "1", "--model"])
        .arg(student(colour))
        .args(arguments)
        .output()
        .unwrap()
}

fn report(output: &Output) -> serde_json::Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// One sentence on standard error, and nothing left in `folder` but what was there.
fn refused(output: &Output, words: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    let lines: Vec<&str> = error.lines().collect();
    assert!(lines.len() == 1 && error.starts_with("error: "), "{error}");
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

const SIZE: (usize, usize) = (64, 48);

/// `frames` frames of a moving scene as `in.FORMAT.raw`.
fn scene(folder: &Path, format: &str, frames: usize) -> PathBuf {
    let path = folder.join(format!("in.{format}.raw"));
    let (w, h) = SIZE;
    launch(&format!(
        "videotestsrc num-buffers={frames} pattern=zone-plate kx2=14 ky2=9 kt=2 \
         ! video/x-raw,format={format},width={w},height={h},framerate=30/1 ! filesink location={}",
        path.display()
    ));
    path
}

/// The launch line that reads such a file.
fn reader(path: &Path, format: &str) -> String {
    let format = format.to_lowercase();
    let (w, h) = SIZE;
    format!(
        "gst:filesrc location={} ! rawvideoparse format={format} width={w} height={h} framerate=30/1",
        path.display()
    )
}

/// What the engine itself makes of packed frames of `format`.
fn predicted(colour: &str, format: PixelFormat, frames: &[u8]) -> Vec<u8> {
    let model = std::fs::read(student(colour)).unwrap();
    let mut engine = engine::load(&model, EngineOptions::default()).unwrap();
    let (w, h) = SIZE;
    let mut out = vec![0; frames.len()];
    let size: usize = format.plane_sizes(w, h).iter().map(|(w, h)| w * h).sum();
    for (frame, out) in frames.chunks(size).zip(out.chunks_mut(size)) {
        let frame = FrameView::packed(format, w, h, frame).unwrap();
        let mut out = FrameViewMut::packed(format, w, h, out).unwrap();
        engine.run(&frame, &mut out, 1.0).unwrap();
    }
    out
}

#[test]
fn what_honed_puts_out_is_what_the_engine_predicts() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("luma", "GRAY8", PixelFormat::Gray8),
        ("rgb", "RGB", PixelFormat::Rgb8),
        ("luma", "YUY2", PixelFormat::Yuyv),
    ];
    for (colour, name, format) in cases {
        let input = scene(folder.path(), name, 7);
        let output = honed(
            folder.path(),
            colour,
            &[
                "--source",
                &reader(&input, name),
                "--sink",
                "raw:out.raw",
                "--json",
            ],
        );
        let report = report(&output);
        assert_eq!(report["frames"], 7, "{report}");
        assert_eq!(report["sharpened"], 7);
        assert_eq!(report["dropped"], 0);
        let frames = std::fs::read(&input).unwrap();
        let out = std::fs::read(folder.path().join("out.raw")).unwrap();
        assert!(out == predicted(colour, format, &frames), "{name}");
        assert!(out != frames, "{name}");
    }
}

#[test]
fn one_frame_is_made_of_two_fields() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.mkv");
    let (w, h) = SIZE;
    // How much rows differ from those around them, in an upright edge that moves.
    let combed = |frames: &[u8]| {
        let rows: Vec<&[u8]> = frames.chunks(w).collect();
        let of = |rows: &[&[u8]]| -> u64 {
            let each = (0..w).map(|x| {
                let [a, b, c] = [0, 1, 2].map(|row| i64::from(rows[row][x]));
                (2 * b - a - c).unsigned_abs()
            });
            each.sum()
        };
        let frames = rows.chunks(h * 3 / 2).map(|frame| &frame[..h]);
        frames
            .map(|luma| luma.windows(3).map(of).sum::<u64>())
            .sum::<u64>()
    };
    let woven = folder.path().join("woven.raw");
    for upper_first in [true, false] {
        launch(&format!(
            "videotestsrc pattern=bar horizontal-speed=4 num-buffers=24 \
             ! video/x-raw,format=I420,width={w},height={h},framerate=50/1 \
             ! interlace field-pattern=1:1 top-field-first={upper_first} \
             ! x264enc interlaced=true pass=quant quantizer=1 ! h264parse ! matroskamux ! filesink location={}",
            film.display()
        ));
        launch(&format!(
            "filesrc location={} ! decodebin ! filesink location={}",
            film.display(),
            woven.display()
        ));
        let arguments = ["--strength", "0", "--sink", "raw:out.raw", "--json"];
        let source = ["--source", film.to_str().unwrap()];
        let output = honed(folder.path(), "luma", &[&source, &arguments[..]].concat());
        assert_eq!(report(&output)["frames"], 12);
        let out = std::fs::read(folder.path().join("out.raw")).unwrap();
        assert_eq!(out.len(), 12 * w * h * 3 / 2);
        let (before, after) = (combed(&std::fs::read(&woven).unwrap()), combed(&out));
        assert!(before > 0 && after < before / 2, "{after} of {before}");
    }
}

#[test]
fn strength_0_and_bypass_give_the_bytes_of_every_format() {
    let folder = tempfile::tempdir().unwrap();
    for (colour, format) in [
        ("luma", "NV12"),
        ("luma", "I420"),
        ("luma", "YUY2"),
        ("luma", "GRAY8"),
        ("rgb", "RGB"),
    ] {
        let input = scene(folder.path(), format, 3);
        let source = reader(&input, format);
        let sink = format!("raw:{format}.raw");
        for untouched in [["--strength", "0"].as_slice(), &["--bypass"]] {
            let mut arguments = vec!["--source", &source, "--sink", &sink, "--json"];
            arguments.extend(untouched);
            let report = report(&honed(folder.path(), colour, &arguments));
            assert_eq!(report["untouched"], 3);
            let out = folder.path().join(format!("{format}.raw"));
            assert!(
                std::fs::read(&out).unwrap() == std::fs::read(&input).unwrap(),
                "{format}"
            );
            std::fs::remove_file(out).unwrap();
        }
    }
}

#[test]
fn images_go_in_and_come_out_without_loss() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    launch(&format!(
        "videotestsrc num-buffers=5 pattern=zone-plate kx2=14 ky2=9 kt=2 \
         ! video/x-raw,format=RGB,width=64,height=48,framerate=30/1 ! pngenc \
         ! multifilesink location={}/in/%03d.png",
        folder.path().display()
    ));
    let arguments = [
        "--source",
        "images:in",
        "--sink",
        "frames:out",
        "--strength",
        "0",
        "--json",
    ];
    let output = honed(folder.path(), "rgb", &arguments);
    let report = report(&output);
    assert_eq!(report["frames"], 5);
    let out = folder.path().join("out");
    let want: Vec<String> = (0..5).map(|i| format!("{i:06}.png")).collect();
    assert_eq!(names(&out), want);
    for i in 0..5 {
        let before = std::fs::read(folder.path().join(format!("in/{i:03}.png"))).unwrap();
        let after = std::fs::read(out.join(format!("{i:06}.png"))).unwrap();
        assert!(before == after, "frame {i}");
    }
}

#[test]
fn several_files_are_written_at_once_and_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let source = "gst:videotestsrc num-buffers=12 ! video/x-raw,width=64,height=48,framerate=30/1";
    let arguments = [
        "--source",
        source,
        "--sink",
        "a.mp4",
        "--sink",
        "b.mkv",
        "--sink",
        "lossless:c.mkv",
        "--sink",
        "null",
        "--json",
    ];
    let first = report(&honed(folder.path(), "luma", &arguments));
    assert_eq!(first["outputs"].as_array().unwrap().len(), 4);
    assert_eq!(names(folder.path()), ["a.mp4", "b.mkv", "c.mkv"]);
    for file in ["a.mp4", "b.mkv", "c.mkv"] {
        let output = honed(
            folder.path(),
            "luma",
            &["--source", file, "--sink", "null", "--json"],
        );
        assert_eq!(report(&output)["frames"], 12, "{file}");
    }
    let whole = std::fs::read(folder.path().join("c.mkv")).unwrap();
    std::fs::write(folder.path().join("cut.mkv"), &whole[..whole.len() / 2]).unwrap();
    let whole = std::fs::read(folder.path().join("a.mp4")).unwrap();
    std::fs::write(folder.path().join("cut.mp4"), &whole[..whole.len() / 2]).unwrap();
    for file in ["cut.mkv", "cut.mp4"] {
        let output = honed(
            folder.path(),
            "luma",
            &["--source", file, "--sink", "d.mp4"],
        );
        refused(&output, &[file, "truncated"]);
        assert!(!names(folder.path()).iter().any(|n| n.starts_with("d.mp4")));
    }
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("words.mp4"), "no video at all").unwrap();
    std::fs::write(folder.path().join("words.hone"), "no bundle at all").unwrap();
    let pictures = folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    std::fs::write(pictures.join("a.jpg"), [0xff, 0xd8, 0xff, 0xd9]).unwrap();
    std::fs::write(pictures.join("b.png"), "").unwrap();
    let cases: [(&[&str], &[&str]); 10] = [
        (
            &["--source", "images:pictures", "--sink", "null"],
            &["b.png", "keep one type"],
        ),
        (
            &["--source", "test", "--sink", "a.mkv", "--sink", "./a.mkv"],
            &["a.mkv", "two sinks write it"],
        ),
        (
            &[
                "--source",
                "gst:videotestsrc num-buffers=9",
                "--every-frame",
                "--sink",
                "gst:filesink location=/dev/full",
            ],
            &["No space left"],
        ),
        (
            &[
                "--source",
                "gst:videotestsrc num-buffers=9 ! video/x-raw,width=65,height=48",
                "--every-frame",
                "--sink",
                "odd.mp4",
            ],
            &["odd.mp4", "even sides", "65x48"],
        ),
        (
            &["--source", "none.mp4", "--sink", "null"],
            &["none.mp4", "No such file"],
        ),
        (
            &["--source", "v4l2:/dev/video99", "--sink", "null"],
            &["/dev/video99", "honed sources"],
        ),
        (&["--source", "words.mp4", "--sink", "null"], &["words.mp4"]),
        (
            &["--source", "test", "--sink", "none/out.mp4"],
            &["none/out.mp4", "No such file"],
        ),
        (
            &["--source", "gst:nvarguscamerasrc", "--sink", "null"],
            &["nvarguscamerasrc", "install nvidia-l4t-gstreamer"],
        ),
        (
            &[
                "--source",
                "gst:videotestsrc num-buffers=0",
                "--sink",
                "x.mp4",
            ],
            &["holds no picture"],
        ),
    ];
    for (arguments, words) in cases {
        refused(&honed(folder.path(), "luma", arguments), words);
    }
    let output = Command::new(env!("CARGO_BIN_EXE_honed"))
        .current_dir(folder.path())
        .args([
            "run",
            "--bundle",
            "words.hone",
            "--source",
            "test",
            "--sink",
            "null",
        ])
        .output()
        .unwrap();
    refused(&output, &["words.hone"]);
    assert_eq!(
        names(folder.path()),
        ["pictures", "words.hone", "words.mp4"]
    );
}

#[test]
fn sigterm_completes_the_file_of_a_live_run() {
    let folder = tempfile::tempdir().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_honed"))
        .current_dir(folder.path())
        .args([
            "run", "--source", "test", "--size", "64x48", "--sink", "live.mp4", "--json",
        ])
        .arg("--model")
        .arg(student("luma"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let part = folder.path().join("live.mp4.part");
    // Some frames are in the file, however busy the machine is.
    for _ in 0..1200 {
        std::thread::sleep(std::time::Duration::from_millis(50));
        if part.metadata().is_ok_and(|meta| meta.len() > 20_000) {
            break;
        }
    }
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let live = report(&child.wait_with_output().unwrap());
    assert_eq!(live["live"], true);
    assert_eq!(names(folder.path()), ["live.mp4"]);
    let again = honed(
        folder.path(),
        "luma",
        &["--source", "live.mp4", "--sink", "null", "--json"],
    );
    assert!(report(&again)["frames"].as_u64().unwrap() > 3);
}

#[test]
fn a_source_that_ends_again_and_again_is_bridged() {
    let folder = tempfile::tempdir().unwrap();
    let source = "gst:videotestsrc is-live=true num-buffers=5 ! video/x-raw,width=64,height=48,framerate=30/1";
    let output = honed(
        folder.path(),
        "luma",
        &[
            "--source", source, "--sink", "out.mkv", "--frames", "40", "--json",
        ],
    );
    let report = report(&output);
    assert!(report["reconnects"].as_u64().unwrap() >= 7, "{report}");
    assert!(report["slates"].as_u64().unwrap() >= 7, "{report}");
    assert_eq!(names(folder.path()), ["out.mkv"]);
}

#[test]
fn the_printed_configuration_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let config = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_honed"))
            .current_dir(folder.path())
            .arg("config")
            .args(arguments)
            .output()
            .unwrap()
    };
    let printed = config(&["--print-default"]).stdout;
    std::fs::write(folder.path().join("honed.toml"), &printed).unwrap();
    assert!(config(&["--check", "honed.toml"]).status.success());
    let wrong = String::from_utf8(printed)
        .unwrap()
        .replace("split = 0.0", "split = 7.0");
    std::fs::write(folder.path().join("wrong.toml"), wrong).unwrap();
    refused(
        &config(&["--check", "wrong.toml"]),
        &["wrong.toml", "student.split is 7"],
    );
}

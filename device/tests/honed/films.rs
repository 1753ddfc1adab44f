//! Films: interlaced ones, several at once, cut ones, and those of live runs that are stopped or interrupted.

use std::process::{Command, Stdio};

use super::{launch, names, refused, report, run, student};

#[test]
fn one_frame_is_made_of_two_fields() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.mkv");
    let (w, h) = (64, 48);
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
        let output = run(folder.path(), &[&source, &arguments[..]].concat());
        assert_eq!(report(&output)["frames"], 12);
        let out = std::fs::read(folder.path().join("out.raw")).unwrap();
        assert_eq!(out.len(), 12 * w * h * 3 / 2);
        let (before, after) = (combed(&std::fs::read(&woven).unwrap()), combed(&out));
        assert!(before > 0 && after < before / 2, "{after} of {before}");
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
    let first = report(&run(folder.path(), &arguments));
    assert_eq!(first["outputs"].as_array().unwrap().len(), 4);
    assert_eq!(names(folder.path()), ["a.mp4", "b.mkv", "c.mkv"]);
    for file in ["a.mp4", "b.mkv", "c.mkv"] {
        let output = run(
            folder.path(),
            &["--source", file, "--sink", "null", "--json"],
        );
        assert_eq!(report(&output)["frames"], 12, "{file}");
    }
    let whole = std::fs::read(folder.path().join("c.mkv")).unwrap();
    std::fs::write(folder.path().join("cut.mkv"), &whole[..whole.len() / 2]).unwrap();
    let whole = std::fs::read(folder.path().join("a.mp4")).unwrap();
    std::fs::write(folder.path().join("cut.mp4"), &whole[..whole.len() / 2]).unwrap();
    for file in ["cut.mkv", "cut.mp4"] {
        let output = run(folder.path(), &["--source", file, "--sink", "d.mp4"]);
        refused(&output, &[file, "truncated"]);
        assert!(!names(folder.path()).iter().any(|n| n.starts_with("d.mp4")));
    }
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
    let again = run(
        folder.path(),
        &["--source", "live.mp4", "--sink", "null", "--json"],
    );
    assert!(report(&again)["frames"].as_u64().unwrap() > 3);
}

#[test]
fn a_source_that_ends_again_and_again_is_bridged() {
    let folder = tempfile::tempdir().unwrap();
    let source = "gst:videotestsrc is-live=true num-buffers=5 ! video/x-raw,width=64,height=48,framerate=30/1";
    let output = run(
        folder.path(),
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
fn a_film_without_a_rate_lasts_until_its_last_picture_is_over() {
    let folder = tempfile::tempdir().unwrap();
    // Pictures 40 ms apart, and nothing says so.
    let source = "gst:videotestsrc num-buffers=10 ! video/x-raw,width=64,height=48,framerate=25/1 \
                  ! capssetter caps=video/x-raw,framerate=0/1";
    for (from, to) in [(source, "a.mkv"), ("a.mkv", "b.mp4")] {
        let output = run(folder.path(), &["--source", from, "--sink", to]);
        assert!(output.status.success(), "{}", super::said(&output));
    }
    let film = std::fs::read(folder.path().join("b.mp4")).unwrap();
    // The length of the film in its header, in units of which there are so many in a second.
    let at = film.windows(4).position(|four| four == b"mvhd").unwrap();
    let number = |at: usize| u32::from_be_bytes(film[at..at + 4].try_into().unwrap());
    let (units, length) = (number(at + 16), number(at + 20));
    assert_eq!(u64::from(length) * 1000 / u64::from(units), 400);
}

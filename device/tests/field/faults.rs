//! What happens to `honed` in the field, on real GStreamer, in a few seconds each. `make soak` repeats
//! it for longer.

use std::path::Path;

use super::honed::{Honed, frames_in, student, until};

const SMALL: [&str; 4] = ["--size", "96x64", "--fps", "30"];

fn live<'a>(source: &'a str, sinks: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["--source", source];
    arguments.extend(SMALL);
    for sink in sinks {
        arguments.extend(["--sink", sink]);
    }
    arguments
}

fn segments(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "mkv"));
    paths.sort();
    paths
}

#[test]
fn earlier_segments_play_when_the_power_goes() {
    let folder = tempfile::tempdir().unwrap();
    let clips = folder.path().join("clips");
    let honed = Honed::start(folder.path(), &live("test", &["record:clips,segment=1"]));
    until("four segments", || segments(&clips).len() >= 4);
    honed.kill();
    let recorded = segments(&clips);
    for segment in &recorded[..recorded.len() - 1] {
        let frames = frames_in(segment);
        assert!(frames >= 5, "{}: {frames} frames", segment.display());
    }
}

#[test]
fn a_full_disk_takes_the_recording_but_not_the_picture() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = live("test", &["record:clips,segment=3600", "null"]);
    let honed = Honed::start_with_file_limit(folder.path(), 16, &arguments);
    honed.wait_for(2, "output lost, trying again");
    let report = honed.stop();
    let outputs = report["outputs"].as_array().unwrap();
    assert!(outputs[0]["restarts"].as_u64().unwrap() >= 2, "{report}");
    assert_eq!(outputs[1]["restarts"], 0);
    assert!(outputs[1]["frames"].as_u64().unwrap() > 10, "{report}");
}

/// `honed run` to its end: what it said and its report.
fn run(folder: &Path, arguments: &[&str]) -> (String, serde_json::Value) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_honed"))
        .current_dir(folder)
        .args(["run", "--json", "--threads", "1", "--model"])
        .arg(student("luma"))
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (said, serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn a_file_that_is_damaged_inside_is_taken_as_far_as_it_goes_and_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let scene = "gst:videotestsrc num-buffers=90 pattern=ball ! video/x-raw,width=96,height=64,framerate=30/1";
    run(folder.path(), &["--source", scene, "--sink", "film.mkv"]);
    let mut bytes = std::fs::read(folder.path().join("film.mkv")).unwrap();
    let (from, length) = (bytes.len() / 4, bytes.len() / 8);
    for (i, byte) in bytes[from..from + length].iter_mut().enumerate() {
        *byte = (i * 151 + 7) as u8;
    }
    std::fs::write(folder.path().join("damaged.mkv"), bytes).unwrap();
    let whole = ["--source", "film.mkv", "--sink", "out.mkv"];
    let (said, report) = run(folder.path(), &whole);
    assert_eq!(report["frames"], 90, "{report}");
    assert!(!said.contains("damaged"), "{said}");
    let damaged = ["--source", "damaged.mkv", "--sink", "out.mkv"];
    let (said, report) = run(folder.path(), &damaged);
    assert!(said.contains("damaged.mkv says it lasts 3.0 s"), "{said}");
    let frames = frames_in(&folder.path().join("out.mkv"));
    assert_eq!(report["frames"], frames, "{report}");
    assert!((1..90).contains(&frames), "{frames}");
}

/// The lengths and contents of the units of an H.264 stream in an MP4 file that holds nothing else.
fn units(film: &[u8]) -> Vec<std::ops::Range<usize>> {
    let at = film.windows(4).position(|word| word == b"mdat").unwrap();
    let number = |at: usize| u32::from_be_bytes(film[at..at + 4].try_into().unwrap()) as usize;
    let (mut at, end) = (at + 4, at - 4 + number(at - 4));
    let mut units = Vec::new();
    while at + 4 < end {
        let begin = at + 4;
        at = begin + number(at);
        units.push(begin..at);
    }
    units
}

#[test]
fn an_mp4_file_that_is_damaged_inside_is_said_to_be_and_its_faults_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let scene = "gst:videotestsrc num-buffers=90 pattern=zone-plate kx2=9 ky2=7 kt=2 \
                 ! video/x-raw,width=320,height=240,framerate=30/1";
    let source = ["--source", scene, "--sink", "film.mp4"];
    run(folder.path(), &source);
    let film = std::fs::read(folder.path().join("film.mp4")).unwrap();
    let damaged = |harm: &dyn Fn(&mut [u8], std::ops::Range<usize>)| {
        let (mut bytes, units) = (film.clone(), units(&film));
        for unit in &units[units.len() / 2..units.len() / 2 + 20] {
            harm(&mut bytes, unit.clone());
        }
        std::fs::write(folder.path().join("damaged.mp4"), bytes).unwrap();
        run(
            folder.path(),
            &["--source", "damaged.mp4", "--sink", "null"],
        )
    };
    let (said, report) = damaged(&|_, _| {});
    assert_eq!(report["frames"], 90, "{report}");
    assert!(
        report["gaps"] == 0 && report["decode_errors"] == 0,
        "{report}"
    );
    assert!(!said.contains("damaged.mp4"), "{said}");
    // Parsers leave out a unit whose length makes no sense.
    let (said, report) = damaged(&|bytes, unit| bytes[unit.start - 4..unit.start].fill(0xff));
    assert!(report["gaps"].as_u64().unwrap() > 0, "{report}");
    assert!(report["frames"].as_u64().unwrap() < 90, "{report}");
    assert!(said.contains("warning: damaged.mp4 lacks "), "{said}");
    // Decoders conceal blocks that make no sense.
    let (said, report) = damaged(&|bytes, unit| {
        let begin = (unit.start + 16).min(unit.end);
        for (i, byte) in bytes[begin..unit.end].iter_mut().enumerate() {
            *byte = (i * 151 + 7) as u8;
        }
    });
    assert!(report["decode_errors"].as_u64().unwrap() > 0, "{report}");
    let words = "warning: damaged.mp4: not every picture can be decoded whole (";
    assert_eq!(said.matches(words).count(), 1, "{said}");
}

#[test]
fn a_film_played_by_the_clock_keeps_to_it_when_it_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let scene = "gst:videotestsrc num-buffers=15 ! video/x-raw,width=96,height=64,framerate=30/1";
    run(folder.path(), &["--source", scene, "--sink", "film.mkv"]);
    let looped = [
        "--source",
        "film.mkv",
        "--realtime",
        "--loop",
        "--frames",
        "45",
        "--sink",
        "null",
    ];
    let (said, report) = run(folder.path(), &looped);
    // Three times half a second; without the clock the second and third time take no time at all.
    let seconds = report["seconds"].as_f64().unwrap();
    assert!(seconds > 1.0, "{report}");
    assert!(
        report["age_ms"]["p50"].as_f64().unwrap() < 400.0 * seconds,
        "{report}"
    );
    assert!(!said.contains("film.mkv"), "{said}");
}

#[test]
fn hls_is_a_playlist_that_plays() {
    let folder = tempfile::tempdir().unwrap();
    let honed = Honed::start(folder.path(), &live("test", &["hls:www,segment=1,keep=3"]));
    let playlist = folder.path().join("www/live.m3u8");
    until("three segments", || {
        let text = std::fs::read_to_string(&playlist).unwrap_or_default();
        text.matches(".ts").count() >= 3
    });
    honed.stop();
    let text = std::fs::read_to_string(&playlist).unwrap();
    let first = text.lines().find(|l| l.ends_with(".ts")).unwrap();
    let name = Path::new(first).file_name().unwrap();
    assert!(
        frames_in(&folder.path().join("www").join(name)) >= 5,
        "{text}"
    );
}

#[test]
fn sighup_turns_the_dials_and_keeps_the_picture() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("honed.toml");
    std::fs::write(&config, "student.strength = 1.0\n").unwrap();
    let mut arguments = live("test", &["null"]);
    arguments.extend(["--config", "honed.toml", "--status", "0.2"]);
    let honed = Honed::start(folder.path(), &arguments);
    honed.wait_for(1, "live");
    std::fs::write(
        &config,
        "student.bypass = true\nsource.stall_seconds = 9.0\n",
    )
    .unwrap();
    honed.signal("-HUP");
    honed.wait_for(1, "configuration read again: honed.toml");
    honed.wait_for(
        1,
        "warning: honed must be restarted for source.stall_seconds",
    );
    let before = honed.count("status: ");
    honed.wait_for(before + 3, "status: ");
    std::fs::write(&config, "student.bypass = maybe\n").unwrap();
    honed.signal("-HUP");
    honed.wait_for(1, "warning: nothing was changed: honed.toml");
    let report = honed.stop();
    assert!(report["untouched"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(report["outputs"][0]["restarts"], 0);
}

//! Sizes that rows are padded for, colour in PNG files, sizes that no H.264 has; what files hold, and what is counted.

use std::path::Path;

use super::running::Running;
use super::{names, report, run, run_as, said};

fn odd(live: bool, frames: u32) -> String {
    format!(
        "gst:videotestsrc is-live={live} num-buffers={frames} ! video/x-raw,format=I420,width=161,height=119,framerate=10/1"
    )
}

#[test]
fn raw_files_have_no_padding() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--source",
        &odd(false, 3),
        "--sink",
        "raw:o.raw",
        "--bypass",
    ];
    let output = run(folder.path(), &arguments);
    assert!(output.status.success(), "{}", said(&output));
    let bytes = std::fs::read(folder.path().join("o.raw")).unwrap();
    assert_eq!(bytes.len(), 3 * (161 * 119 + 2 * 81 * 60));
    // The bars of the test picture stand: its upper rows are alike, which padding would shift.
    assert_eq!(bytes[..161], bytes[161..322]);
    assert_eq!(bytes[..161], bytes[161 * 50..161 * 51]);
}

#[test]
fn grey_pictures_of_colour_are_told_and_grey_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    for (format, grey) in [("I420", true), ("GRAY8", false)] {
        let source = format!(
            "gst:videotestsrc num-buffers=2 ! video/x-raw,format={format},width=64,height=48,framerate=10/1"
        );
        let sink = format!("frames:{format}");
        let output = run(folder.path(), &["--source", &source, "--sink", &sink]);
        assert!(output.status.success(), "{}", said(&output));
        let told = said(&output).matches("holds the luma").count();
        assert_eq!(told, usize::from(grey), "{format}: {}", said(&output));
    }
    // What it advises instead works.
    std::fs::create_dir(folder.path().join("colour")).unwrap();
    let sink = "gst:videoconvert ! video/x-raw,format=RGB ! pngenc ! multifilesink location=colour/%06d.png";
    let output = run(folder.path(), &["--source", &odd(false, 2), "--sink", sink]);
    assert!(output.status.success(), "{}", said(&output));
    let picture = std::fs::read(folder.path().join("colour/000001.png")).unwrap();
    assert_eq!(picture[25], 2, "the colour type of a PNG in RGB");
}

#[test]
fn a_live_run_whose_only_output_cannot_be_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let rtsp = format!("rtsp://{}/live", port.local_addr().unwrap());
    drop(port);
    for sink in ["o.mkv", "record:clips", &rtsp] {
        let output = run(
            folder.path(),
            &["--source", &odd(true, 600), "--sink", sink],
        );
        let error = said(&output);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(
            error.contains("even sides") && error.contains("161x119"),
            "{error}"
        );
        assert_eq!(error.matches("the sink").count(), 1, "{error}");
        assert!(!error.contains("trying again"), "{error}");
    }
    assert!(!folder.path().join("o.mkv.part").exists());
}

#[test]
fn beside_an_output_that_works_it_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--source",
        &odd(true, 600),
        "--frames",
        "15",
        "--sink",
        "o.mkv",
        "--sink",
        "null",
    ];
    let output = run(folder.path(), &arguments);
    let error = said(&output);
    // An output that was never of use is no success.
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(
        error
            .matches("output lost, for good: the sink o.mkv")
            .count(),
        1,
        "{error}"
    );
    assert_eq!(error.matches("even sides").count(), 2, "{error}");
    assert_eq!(
        error.matches("error: the sink o.mkv does not take").count(),
        1,
        "{error}"
    );
}

#[test]
fn a_service_says_it_once_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let source = odd(true, 600);
    let mut honed = Running::service(
        folder.path(),
        &["--source", &source, "--sink", "o.mkv", "--status", "1"],
    );
    honed.wait_for("output lost, for good");
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(honed.ended(), None);
    let log = honed.log();
    assert_eq!(
        log.iter().filter(|l| l.contains("even sides")).count(),
        1,
        "{log:?}"
    );
}

pub(super) const SMALL: &str = "video/x-raw,format=I420,width=64,height=48";

/// `honed run` that succeeds, with its report.
pub(super) fn count(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    report(&run(folder, &[arguments, &["--bypass", "--json"]].concat()))
}

/// Pictures in a film of [`SMALL`] ones.
fn pictures(folder: &Path, film: &str) -> usize {
    count(folder, &["--source", film, "--sink", "raw:film.raw"]);
    let bytes = std::fs::read(folder.join("film.raw")).unwrap();
    bytes.len() / (64 * 48 * 3 / 2)
}

#[test]
fn another_frame_rate_goes_into_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let source = format!(
        "gst:videotestsrc num-buffers=12 ! {SMALL},framerate=30/1 ! c. \
         videotestsrc num-buffers=8 ! {SMALL},framerate=10/1 ! c. concat name=c"
    );
    let films = ["o.mkv", "o.mp4", "lossless:l.mkv"];
    let sinks = films.map(|film| ["--sink", film]);
    count(
        folder,
        &[&["--source", &source], sinks.as_flattened()].concat(),
    );
    for film in ["o.mkv", "o.mp4", "l.mkv"] {
        assert_eq!(pictures(folder, film), 20, "{film}");
    }
}

#[test]
fn an_mp4_has_its_last_picture_whatever_the_source_says_of_lengths() {
    let folder = tempfile::tempdir().unwrap();
    // Neither a rate nor a length comes out of RTP.
    let source = format!(
        "gst:videotestsrc num-buffers=10 ! {SMALL},framerate=10/1 ! rtpvrawpay ! rtpvrawdepay"
    );
    count(folder.path(), &["--source", &source, "--sink", "o.mp4"]);
    assert_eq!(pictures(folder.path(), "o.mp4"), 10);
}

#[test]
fn a_folder_may_have_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let source = format!("gst:videotestsrc num-buffers=5 ! {SMALL},framerate=10/1");
    let sinks = ["record:a%n", "hls:b%s", "frames:c%d"].map(|sink| ["--sink", sink]);
    count(
        folder.path(),
        &[&["--source", &source], sinks.as_flattened()].concat(),
    );
    let exists = |name: &str| folder.path().join(name).exists();
    assert!(exists("b%s/live.m3u8") && exists("b%s/live00000.ts"));
    assert!(exists("c%d/000004.png"));
    let segments = std::fs::read_dir(folder.path().join("a%n")).unwrap();
    assert_eq!(segments.count(), 1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn lossless_films_hold_what_raw_files_do() {
    let folder = tempfile::tempdir().unwrap();
    let go = |colour: &str, source: &str, sinks: &[&str]| {
        let arguments = ["--bypass", "--source", source];
        let output = run_as(folder.path(), colour, &[&arguments, sinks].concat());
        assert!(output.status.success(), "{}", said(&output));
    };
    for (colour, format) in [
        ("luma", "YUY2"),
        ("rgb", "RGB"),
        ("luma", "NV12"),
        ("luma", "GRAY8"),
    ] {
        let shape = format!("video/x-raw,format={format}");
        let source = format!(
            "gst:videotestsrc num-buffers=3 pattern=chroma-zone-plate kx2=14 ky2=9 kt=2 \
             ! {shape},width=64,height=48,framerate=10/1"
        );
        let sinks = ["--sink", "raw:a.raw", "--sink", "lossless:a.mkv"];
        go(colour, &source, &sinks);
        let film = format!(
            "gst:filesrc location=a.mkv ! matroskademux ! avdec_ffv1 ! videoconvert ! {shape}"
        );
        go(colour, &film, &["--sink", "raw:b.raw"]);
        let [raw, back] =
            ["a.raw", "b.raw"].map(|name| std::fs::read(folder.path().join(name)).unwrap());
        assert!(!raw.is_empty() && raw == back, "{format}");
    }
}

#[test]
fn counts_are_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let scene = |live| format!("gst:videotestsrc is-live={live} ! {SMALL},framerate=30/1");
    let frames = ["--frames", "5", "--sink"];
    // While the slow output comes to its end, the camera goes on.
    let slow = "gst:identity sleep-time=300000 ! fakesink";
    let sink = [&frames[..], &[slow]].concat();
    let report = count(
        folder.path(),
        &[&["--source", &scene(true)], &sink[..]].concat(),
    );
    let number = |name: &str| report[name].as_u64().unwrap();
    assert!(number("untouched") <= number("captured"), "{report}");
    assert_eq!(number("frames"), 5, "{report}");
    // What was read ahead of a file is not lost.
    let sink = [&frames[..], &["null"]].concat();
    let report = count(
        folder.path(),
        &[&["--source", &scene(false)], &sink[..]].concat(),
    );
    assert_eq!(report["frames"], 5, "{report}");
    assert_eq!(report["dropped"], 0, "{report}");
}

#[test]
fn what_a_run_that_was_cut_off_had_recorded_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("o.raw.part"), "hours of pictures").unwrap();
    std::fs::create_dir(at("f.part")).unwrap();
    std::fs::write(at("f.part/000000.png"), "picture").unwrap();
    let sinks = ["--sink", "raw:o.raw", "--sink", "frames:f"];
    let source = ["--source", &odd(true, 600), "--frames", "3"];
    let output = run(folder.path(), &[source, sinks].concat());
    let error = said(&output);
    assert!(output.status.success(), "{error}");
    for kept in ["o-1.raw", "f-1"] {
        assert!(
            error.contains(&format!("what it had recorded is in {kept}\n")),
            "{error}"
        );
    }
    let kept = std::fs::read(at("o-1.raw")).unwrap();
    assert_eq!(kept, b"hours of pictures");
    assert_eq!(std::fs::read(at("f-1/000000.png")).unwrap(), b"picture");
    assert!(at("f/000002.png").exists());
    assert_eq!(names(folder.path()), ["f", "f-1", "o-1.raw", "o.raw"]);
}

//! Network cameras as `honed run` meets them: MJPEG over http, recordings on a server, web pages, wrong addresses; and files
//! that are not what a camera gives.
#![cfg(feature = "camera")]
#![allow(clippy::unwrap_used)] // the lint's exception for tests does not reach what they share

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

/// A camera's web server: each connection gets the head, and then the parts at 10 a second.
fn camera(head: String, parts: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let place = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (head, parts) = (head.clone(), parts.clone());
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let mut sent = stream.write_all(head.as_bytes());
                for part in parts {
                    sent = sent.and_then(|()| stream.write_all(&part));
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
        }
    });
    format!("http://{place}/stream?token=secret")
}

/// `count` JPEGs of an odd size.
fn jpegs(count: usize) -> Vec<Vec<u8>> {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(&format!(
        "videotestsrc num-buffers={count} ! video/x-raw,width=321,height=179 ! jpegenc ! appsink \
         name=out sync=false"
    ))
    .unwrap()
    .downcast::<gst::Pipeline>()
    .unwrap();
    let out = pipeline.by_name("out").unwrap();
    let out = out.downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let pictures = (0..count).map(|_| {
        let sample = out.pull_sample().unwrap();
        sample.buffer().unwrap().map_readable().unwrap().to_vec()
    });
    let pictures = pictures.collect();
    pipeline.set_state(gst::State::Null).unwrap();
    pictures
}

fn run(source: &str, more: &[&str]) -> Output {
    let student = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/luma.onnx");
    Command::new(env!("CARGO_BIN_EXE_honed"))
        .args(["run", "--threads", "1", "--sink", "null", "--model"])
        .arg(student)
        .args(["--source", source])
        .args(more)
        .output()
        .unwrap()
}

/// The report of a run that succeeds.
fn reported(source: &str, more: &[&str]) -> serde_json::Value {
    let output = run(source, &[more, &["--json"]].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs a launch line that writes to `path` to its end.
fn write(path: &Path, line: &str) {
    gst::init().unwrap();
    let line = format!("{line} ! filesink location={}", path.display());
    let pipeline = gst::parse::launch(&line).unwrap();
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

/// A PNG of the given format as `folder/name`.
fn png(folder: &Path, name: &str, format: &str) {
    let line = format!(
        "videotestsrc num-buffers=1 ! video/x-raw,format={format},width=64,height=48 ! pngenc"
    );
    write(&folder.join(name), &line);
}

/// The one sentence that `honed` ends with.
fn refused(source: &str, more: &[&str]) -> String {
    let output = run(source, more);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(!error.contains("secret"), "{error}");
    error
}

fn answer(status: &str, kind: &str, body: &[u8]) -> String {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: \
         close\r\n\r\n"
    );
    camera(head, vec![body.to_vec()])
}

/// A film on a server that gives it as fast as it is taken.
fn recording(pictures: u32, rate: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mkv");
    let line = format!(
        "videotestsrc num-buffers={pictures} ! video/x-raw,width=64,height=48,framerate={rate} ! jpegenc \
         ! matroskamux streamable=true"
    );
    write(&path, &line);
    answer("200 OK", "video/x-matroska", &std::fs::read(&path).unwrap())
}

#[test]
fn mjpeg_over_http_is_live_at_once_and_never_late() {
    let parts = jpegs(60).into_iter().map(|jpeg| {
        let length = jpeg.len();
        let head =
            format!("--part\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n");
        [head.as_bytes(), &jpeg, b"\r\n"].concat()
    });
    let head = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=part\r\n\r\n";
    let address = camera(head.into(), parts.collect());
    let output = run(&address, &["--frames", "12", "--json"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(!error.contains("secret"), "{error}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["frames"], 12, "{report}");
    // The whole stream lasts 6 s: had it been gathered first, there would be more.
    let captured = report["captured"].as_u64().unwrap();
    assert!((12..40).contains(&captured), "{report}");
    assert!(!report.to_string().contains("secret"), "{report}");
}

#[test]
fn a_recording_on_a_server_plays_at_its_own_pace() {
    let address = recording(40, "10/1");
    let start = Instant::now();
    let report = reported(&address, &["--frames", "12"]);
    assert!(start.elapsed() > Duration::from_secs(1), "{report}");
    let captured = report["captured"].as_u64().unwrap();
    assert!((12..30).contains(&captured), "{report}");
    // Unless every single one is wanted, and none waits.
    let report = reported(&address, &["--frames", "40", "--every-frame"]);
    assert_eq!(report["captured"], 40, "{report}");
}

#[test]
fn a_slow_recording_on_a_server_is_not_hurried() {
    let start = Instant::now();
    let report = reported(&recording(3, "1/3"), &["--frames", "3"]);
    assert!(start.elapsed() > Duration::from_secs(5), "{report}");
}

#[test]
fn a_source_goes_on_when_it_turns_grey() {
    let folder = tempfile::tempdir().unwrap();
    for (name, format) in [("a.png", "RGB"), ("b.png", "GRAY8"), ("c.png", "RGB")] {
        png(folder.path(), name, format);
    }
    let report = reported(&format!("images:{}", folder.path().display()), &[]);
    assert_eq!(report["frames"], 3, "{report}");
}

#[test]
fn what_is_wrong_with_a_file_is_told_in_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    let sound = folder.path().join("sound.wav");
    write(&sound, "audiotestsrc num-buffers=50 ! wavenc");
    let error = refused(sound.to_str().unwrap(), &[]);
    assert!(
        error.contains("sound.wav holds no picture: there is only sound in it"),
        "{error}"
    );

    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let error = refused(pipe.to_str().unwrap(), &[]);
    assert!(error.contains("it is a pipe; give it as"), "{error}");

    for name in ["a.png", "b.png", "c.png"] {
        png(folder.path(), name, "RGB");
    }
    let broken = folder.path().join("b.png");
    let mut bytes = std::fs::read(&broken).unwrap();
    let data = bytes.windows(4).position(|four| four == b"IDAT").unwrap();
    bytes[data + 20] ^= 0xff;
    std::fs::write(&broken, bytes).unwrap();
    let output = run(&format!("images:{}", folder.path().display()), &[]);
    // The decoder's library says something of its own before.
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{error}");
    assert!(error.trim_end().ends_with("b.png"), "{error}");
}

#[test]
fn the_full_range_of_an_mp4_file_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    write(
        &path,
        "videotestsrc num-buffers=5 ! video/x-raw,format=I420,width=64,height=48,colorimetry=1:4:7:1 \
         ! x264enc ! mp4mux",
    );
    // A sink that takes nothing else.
    let sink = "gst:capsfilter caps=video/x-raw,colorimetry=1:4:7:1 ! fakesink";
    let report = reported(path.to_str().unwrap(), &["--sink", sink]);
    assert_eq!(report["frames"], 5, "{report}");
}

#[test]
fn a_web_page_is_no_stream() {
    let page = answer("200 OK", "text/html", b"<html><body>Camera 7</body></html>");
    let error = refused(&page, &[]);
    assert!(error.contains("it is a web page or text"), "{error}");
    assert!(
        error.contains("the address of the stream itself"),
        "{error}"
    );
}

#[test]
fn what_a_server_answers_is_told_in_plain_words() {
    for (status, words) in [
        ("404 Not Found", "nothing under this path (404 Not Found)"),
        ("401 Unauthorized", "asks for user and password"),
        ("503 Service Unavailable", "503 Service Unavailable"),
    ] {
        let error = refused(&answer(status, "text/plain", b""), &[]);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_camera_that_is_not_there_is_told_in_the_systems_words() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let place = listener.local_addr().unwrap();
    drop(listener);
    for scheme in ["http", "https", "rtsp"] {
        let address = format!("{scheme}://user:secret@{place}/x?token=secret");
        let error = refused(&address, &[]);
        let want = format!("cannot reach {place}: Connection refused; is the camera on");
        assert!(error.contains(&want), "{error}");
    }
}

#[test]
fn an_address_without_a_host_is_refused() {
    for address in ["rtsp://", "http://:80/x", "srt://?mode=caller"] {
        let output = run(address, &[]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(error.contains("is no source: give a host"), "{error}");
    }
}

#[test]
fn a_lost_srt_connection_is_no_damaged_picture_and_its_passphrase_stays_secret() {
    let error = refused("srt://127.0.0.1:9?passphrase=secretsecret", &[]);
    assert!(
        error.contains("srt://127.0.0.1:9?passphrase=... failed: "),
        "{error}"
    );
    assert!(error.contains("Connection timeout"), "{error}");
}

#[test]
fn a_test_scene_of_one_column_is_refused() {
    let error = refused("test", &["--size", "1x480"]);
    assert!(error.contains("cannot be 1 pixel wide"), "{error}");
}

//! Network cameras: MJPEG over http, recordings on a server, web pages, wrong addresses.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::sources::{film, unseen, watch, watched};

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
    film(&path, &line);
    answer("200 OK", "video/x-matroska", &std::fs::read(&path).unwrap())
}

/// A camera that gives so many MJPEG pictures and then, for a minute, nothing.
fn mjpeg(count: usize) -> String {
    let parts = jpegs(count).into_iter().map(|jpeg| {
        let length = jpeg.len();
        let head =
            format!("--part\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n");
        [head.as_bytes(), &jpeg, b"\r\n"].concat()
    });
    let silence = std::iter::repeat_n(Vec::new(), 600);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=part\r\n\r\n";
    camera(head.into(), parts.chain(silence).collect())
}

#[test]
fn mjpeg_over_http_is_live_at_once() {
    // Whatever gathers more than it needs waits in vain.
    let report = watched(&mjpeg(3), &["--frames", "1", "--stall", "30"]);
    assert_eq!(report["frames"], 1, "{report}");
    assert_eq!(report["reconnects"], 0, "{report}");
}

#[test]
fn mjpeg_over_http_goes_on_and_keeps_its_address_secret() {
    let output = watch(&mjpeg(60), &["--frames", "12", "--json"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(!error.contains("secret"), "{error}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["frames"], 12, "{report}");
    assert!(!report.to_string().contains("secret"), "{report}");
}

#[test]
fn a_recording_on_a_server_plays_at_its_own_pace() {
    let address = recording(40, "10/1");
    let start = Instant::now();
    let report = watched(&address, &["--frames", "12"]);
    // On a slow machine more than 12 are due before it is over, but never one before its time.
    let due = 1.0 + 10.0 * start.elapsed().as_secs_f64();
    let captured = report["captured"].as_f64().unwrap();
    assert!((12.0..=due).contains(&captured), "{due}: {report}");
    // Unless every single one is wanted, and none waits.
    let report = watched(&address, &["--frames", "40", "--every-frame"]);
    assert_eq!(report["captured"], 40, "{report}");
}

#[test]
fn a_slow_recording_on_a_server_is_not_hurried() {
    let start = Instant::now();
    let report = watched(&recording(3, "1/3"), &["--frames", "3"]);
    assert!(start.elapsed() > Duration::from_secs(5), "{report}");
}

#[test]
fn a_web_page_is_no_stream() {
    let page = answer("200 OK", "text/html", b"<html><body>Camera 7</body></html>");
    let error = unseen(&page, &[]);
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
        let error = unseen(&answer(status, "text/plain", b""), &[]);
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
        let error = unseen(&address, &[]);
        let want = format!("cannot reach {place}: Connection refused; is the camera on");
        assert!(error.contains(&want), "{error}");
    }
}

#[test]
fn an_address_without_a_host_is_refused() {
    for address in ["rtsp://", "http://:80/x", "srt://?mode=caller"] {
        let output = watch(address, &[]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(error.contains("is no source: give a host"), "{error}");
    }
}

#[test]
fn a_lost_srt_connection_is_no_damaged_picture_and_its_passphrase_stays_secret() {
    let error = unseen("srt://127.0.0.1:9?passphrase=secretsecret", &[]);
    assert!(
        error.contains("srt://127.0.0.1:9?passphrase=... failed: "),
        "{error}"
    );
    assert!(error.contains("Connection timeout"), "{error}");
}

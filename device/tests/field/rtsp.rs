//! The RTSP server and network cameras, one feeding the other over the loopback.

use std::path::Path;
use std::time::Duration;

use super::honed::{Honed, Viewer, frames_in, free_port, student, until};

fn serve(folder: &Path, address: &str) -> Honed {
    let arguments = [
        "--source", "test", "--size", "96x64", "--fps", "30", "--sink", address,
    ];
    let honed = Honed::start(folder, &arguments);
    honed.wait_for(1, "live");
    honed
}

fn look(address: &str) -> Viewer {
    Viewer::new(&format!(
        "rtspsrc location={address} protocols=tcp latency=0 ! application/x-rtp,media=video"
    ))
}

/// Whether a viewer sees frames that move.
fn sees(viewer: &Viewer) -> bool {
    let frames: Vec<Vec<u8>> = (0..5).map_while(|_| viewer.frame()).collect();
    frames.len() == 5 && frames.windows(2).all(|pair| pair[0] != pair[1])
}

#[test]
fn viewers_come_go_and_return() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("rtsp://127.0.0.1:{}/live", free_port());
    let honed = serve(folder.path(), &address);
    let first = look(&address);
    assert!(sees(&first));
    let second = look(&address);
    assert!(sees(&second));
    drop(first);
    assert!(sees(&second));
    drop(second);
    assert!(sees(&look(&address)));
    assert_eq!(honed.count("note:"), 0, "{:?}", honed.log());
    let report = honed.stop();
    let output = &report["outputs"][0];
    assert!(output["frames"].as_u64().unwrap() >= 20, "{report}");
    assert_eq!(output["restarts"], 0, "{report}");
}

#[test]
fn a_viewer_that_vanishes_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("rtsp://127.0.0.1:{}/live", free_port());
    let honed = serve(folder.path(), &address);
    for _ in 0..3 {
        let mut viewer = std::process::Command::new("gst-launch-1.0")
            .args([
                "-q",
                "rtspsrc",
                &format!("location={address}"),
                "!",
                "fakesink",
            ])
            .spawn()
            .unwrap();
        assert!(sees(&look(&address)));
        viewer.kill().unwrap();
        viewer.wait().unwrap();
    }
    assert!(sees(&look(&address)));
    honed.stop();
}

#[test]
fn only_those_with_the_password_see_it() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let with = |login: &str| format!("rtsp://{login}127.0.0.1:{port}/live");
    let honed = serve(folder.path(), &with("pole:secret@"));
    assert!(!sees(&look(&with(""))));
    assert!(!sees(&look(&with("pole:guess@"))));
    assert!(sees(&look(&with("pole:secret@"))));
    let report = honed.stop().to_string();
    assert!(!report.contains("secret"), "{report}");
}

#[test]
fn a_taken_port_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_honed"))
        .current_dir(folder.path())
        .args(["run", "--source", "test", "--sink"])
        .arg(format!("rtsp://127.0.0.1:{port}/live"))
        .arg("--model")
        .arg(student("luma"))
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
}

#[test]
fn a_network_camera_that_goes_away_is_bridged() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("rtsp://127.0.0.1:{}/live", free_port());
    let camera = serve(folder.path(), &address);
    let arguments = ["--source", &address, "--stall", "20", "--sink", "out.mkv"];
    let honed = Honed::start(folder.path(), &arguments);
    honed.wait_for(1, "live");
    camera.kill();
    honed.wait_for(1, "no camera, trying again");
    let part = folder.path().join("out.mkv.part");
    let length = || part.metadata().map(|m| m.len()).unwrap_or_default();
    let before = length();
    until("slates in the file", || length() > before + 1000);
    std::thread::sleep(Duration::from_secs(2));
    let _camera = serve(folder.path(), &address);
    honed.wait_for(2, "live");
    let report = honed.stop();
    assert!(report["reconnects"].as_u64().unwrap() >= 1, "{report}");
    assert!(report["slates"].as_u64().unwrap() >= 3, "{report}");
    assert_eq!(report["outputs"][0]["restarts"], 0, "{report}");
    assert!(frames_in(&folder.path().join("out.mkv")) > 10);
}

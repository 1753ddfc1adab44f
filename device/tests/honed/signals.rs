//! SIGTERM and SIGINT, once, twice at a time and twice in turn; what a run says to whom nobody listens, and to a service
//! manager.

use std::fs::File;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use super::running::Running;

const LIVE: &str =
    "gst:videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=10/1";

#[test]
fn two_signals_at_a_time_are_one_and_the_recording_stays() {
    // As `timeout` does: the child, and then the group with the child in it.
    for _ in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let mut honed = Running::start(folder.path(), &["--source", LIVE, "--sink", "k.mkv"]);
        honed.wait_for("live");
        honed.signal(&["TERM", "TERM", "INT"]);
        assert_eq!(honed.end(), Some(0), "{:?}", honed.log());
        let told = honed
            .log()
            .iter()
            .filter(|l| l.starts_with("stopping"))
            .count();
        assert_eq!(told, 1, "{:?}", honed.log());
        assert!(folder.path().join("k.mkv").metadata().unwrap().len() > 0);
        assert!(!folder.path().join("k.mkv.part").exists());
    }
}

#[test]
fn a_second_word_ends_a_run_that_does_not_stop() {
    let folder = tempfile::tempdir().unwrap();
    // Its sink holds the end of the stream up for longer than this test waits.
    let sink = "gst:identity sleep-time=60000000 ! fakesink sync=false";
    let mut honed = Running::start(folder.path(), &["--source", LIVE, "--sink", sink]);
    honed.wait_for("live");
    honed.signal(&["TERM"]);
    honed.wait_for("stopping; once more ends at once");
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(honed.ended(), None, "{:?}", honed.log());
    let begun = Instant::now();
    honed.signal(&["INT"]);
    assert_eq!(honed.end(), Some(130), "{:?}", honed.log());
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_terminal_that_is_closed_ends_a_run_that_has_nothing_to_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut honed = Running::start(folder.path(), &["--source", LIVE, "--sink", "k.mkv"]);
    honed.wait_for("live");
    honed.signal(&["HUP"]);
    assert_eq!(honed.end(), Some(0), "{:?}", honed.log());
    assert!(folder.path().join("k.mkv").exists());
}

#[test]
fn a_reader_that_has_left_costs_no_recording() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--source", LIVE, "--sink", "k.mkv"];
    let mut honed = Running::start_heard_until(folder.path(), &arguments, "live");
    honed.wait_for("live");
    std::thread::sleep(Duration::from_millis(500));
    honed.signal(&["INT"]);
    assert_eq!(honed.end(), Some(0));
    assert!(folder.path().join("k.mkv").metadata().unwrap().len() > 0);
}

#[test]
fn a_log_on_a_full_disk_costs_no_recording() {
    let folder = tempfile::tempdir().unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_honed"))
        .current_dir(folder.path())
        .env_remove("NOTIFY_SOCKET")
        .args(["run", "--threads", "1", "--frames", "5", "--source", LIVE])
        .args(["--sink", "k.mkv", "--model"])
        .arg(super::student("luma"))
        .stderr(File::options().write(true).open("/dev/full").unwrap())
        .output()
        .unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert!(folder.path().join("k.mkv").metadata().unwrap().len() > 0);
}

#[test]
fn a_service_that_plays_a_film_is_ready_and_says_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let film = "gst:videotestsrc num-buffers=10 ! video/x-raw,width=64,height=48";
    let mut honed = Command::new(env!("CARGO_BIN_EXE_honed"))
        .current_dir(folder.path())
        .env("NOTIFY_SOCKET", folder.path().join("notify"))
        .args(["run", "--threads", "1", "--source", film])
        .args(["--sink", "k.mkv", "--model"])
        .arg(super::student("luma"))
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    while said.last().is_none_or(|last| last != "STOPPING=1") {
        let mut bytes = [0; 256];
        let length = manager.recv(&mut bytes).unwrap();
        said.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
    }
    assert!(honed.wait().unwrap().success());
    assert!(said.iter().any(|said| said == "READY=1"), "{said:?}");
}

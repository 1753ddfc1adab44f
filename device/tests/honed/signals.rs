//! SIGTERM and SIGINT, once, twice at a time and twice in turn.

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

//! Outputs that hang, end by themselves or are not there yet.

use std::io::Read;
use std::path::Path;
use std::process::Command;

use super::outputs::SMALL;
use super::running::Running;
use super::{refused, run, said};

/// Asks for the same as a camera would.
fn live() -> String {
    format!("gst:videotestsrc is-live=true ! {SMALL},framerate=30/1")
}

fn fifo(folder: &Path) {
    let made = Command::new("mkfifo").arg(folder.join("fifo")).status();
    assert!(made.unwrap().success());
}

#[test]
fn a_sink_that_waits_for_its_reader_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    fifo(folder.path());
    let sink = "gst:filesink location=fifo";
    let mut honed = Running::start(folder.path(), &["--source", &live(), "--sink", sink]);
    honed.wait_for("note: waiting for the sink gst:filesink location=fifo");
    honed.signal(&["TERM"]);
    assert_eq!(honed.end(), Some(0), "{:?}", honed.log());
}

#[test]
fn a_reader_that_is_away_holds_up_no_other_output() {
    let folder = tempfile::tempdir().unwrap();
    fifo(folder.path());
    let fifo = folder.path().join("fifo");
    // It takes a few frames and goes.
    let reader = std::thread::spawn(move || {
        let mut pipe = std::fs::File::open(fifo).unwrap();
        pipe.read_exact(&mut [0; 3 * 64 * 48]).unwrap();
    });
    let sinks = ["gst:filesink location=fifo", "null"].map(|sink| ["--sink", sink]);
    let source = live();
    let arguments = ["--source", &source, "--status", "0.2"];
    let arguments = [&arguments, sinks.as_flattened()].concat();
    let mut honed = Running::start(folder.path(), &arguments);
    honed.wait_for("output lost, trying again: the sink gst:filesink");
    reader.join().unwrap();
    // Longer than its first tries to start again wait.
    let lines = honed.log().len();
    let start = std::time::Instant::now();
    while honed.log().len() < lines + 10 {
        assert!(start.elapsed().as_secs() < 60, "{:?}", honed.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    honed.signal(&["TERM"]);
    assert_eq!(honed.end(), Some(0), "{:?}", honed.log());
}

#[test]
fn a_sink_that_ends_by_itself_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let sink = "gst:fakesink num-buffers=20";
    let film = format!("gst:videotestsrc num-buffers=90 ! {SMALL},framerate=30/1");
    let arguments = ["--source", &film, "--every-frame", "--sink", sink];
    refused(
        &run(folder.path(), &arguments),
        &["gst:fakesink num-buffers=20", "it ended by itself"],
    );
    let source = live();
    let arguments = ["--source", &source, "--frames", "60", "--sink", sink];
    let output = run(
        folder.path(),
        &[&arguments[..], &["--sink", "null"]].concat(),
    );
    let error = said(&output);
    assert!(output.status.success(), "{error}");
    assert!(
        error.contains("output lost, trying again: the sink gst:fakesink"),
        "{error}"
    );
}

#[test]
fn an_output_that_is_not_there_at_the_start_is_waited_for_like_the_camera() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::write(&disk, "no folder").unwrap();
    let source = live();
    let arguments = [
        "--source",
        &source,
        "--sink",
        "raw:disk/o.raw",
        "--sink",
        "null",
    ];
    let refusal = run(folder.path(), &arguments);
    refused(&refusal, &["cannot write disk/o.raw: disk is no folder"]);
    let patient = [&arguments[..], &["--keep-trying"]].concat();
    let mut honed = Running::start(folder.path(), &patient);
    honed.wait_for("output lost, trying again: cannot write disk/o.raw");
    honed.wait_for("live");
    std::fs::remove_file(&disk).unwrap();
    honed.wait_for("output back: raw:disk/o.raw");
    honed.signal(&["TERM"]);
    assert_eq!(honed.end(), Some(0), "{:?}", honed.log());
    assert!(disk.join("o.raw").metadata().unwrap().len() > 0);
    // What is no sink never comes.
    let bogus = [
        &arguments[..],
        &["--keep-trying", "--sink", "gst:nosuchsink"],
    ]
    .concat();
    assert!(!run(folder.path(), &bogus).status.success());
}

//! Sizes that rows are padded for, colour in PNG files, sizes that no H.264 has.

use super::running::Running;
use super::{run, said};

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

//! What a running honed tells of itself.

use std::io::{Read, Write};
use std::process::{Command, Output};

use hone_shared::telemetry::{Decoder, Message, Phase};

const SOURCE: &str =
    "gst:videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=25/1";

fn run(telemetry: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_honed"))
        .args([
            "run",
            "--source",
            SOURCE,
            "--sink",
            "null",
            "--threads",
            "1",
            "--frames",
            "75",
        ])
        .args(["--telemetry", telemetry])
        .output()
        .unwrap()
}

#[test]
fn a_line_carries_state_once_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let line = folder.path().join("ttyS0");
    let made = Command::new("mkfifo").arg(&line).status();
    assert!(made.unwrap().success());
    let mut pipe = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&line)
        .unwrap();
    let output = run(&format!("serial:{}@115200", line.display()));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let mut messages: Vec<Message> = Vec::new();
    // All that the pipe holds now, which is far less than it can hold; with this byte it is never empty.
    pipe.write_all(&[0]).unwrap();
    let mut bytes = vec![0; 65_536];
    let length = pipe.read(&mut bytes).unwrap();
    bytes.truncate(length);
    Decoder::default().push(&bytes, &mut |message| messages.push(message.unwrap()));
    assert!(messages.len() >= 2, "{messages:?}");
    for (sequence, message) in (0..).zip(&messages) {
        assert_eq!((message.sequence, message.run), (sequence, messages[0].run));
    }
    // Counted in whole seconds: between messages less than a second apart it stands still somewhere.
    let uptimes: Vec<u64> = messages.iter().map(|m| m.state.uptime_s).collect();
    assert!(uptimes.is_sorted_by(|one, next| one < next), "{uptimes:?}");
    let last = &messages.last().unwrap().state;
    assert_eq!(last.phase, Phase::Live, "{last:?}");
    assert!(
        last.frames > 0 && last.fps > 0.0 && last.engine_ms > 0.0,
        "{last:?}"
    );
    assert!(
        last.bundle.starts_with("mixed ") && last.level == "large",
        "{last:?}"
    );
}

#[test]
fn a_file_is_no_line_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("diary");
    std::fs::write(&file, b"dear diary").unwrap();
    let output = run(&format!("serial:{}", file.display()));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        error.contains("diary: it is a file, no serial line"),
        "{error}"
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"dear diary");
}

#[test]
fn nobody_at_the_other_end_does_not_stop_the_camera() {
    for nowhere in ["serial:/dev/none", "mqtt://127.0.0.1:1"] {
        let output = run(nowhere);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        let told = error.matches("telemetry is lost").count();
        assert_eq!(told, 1, "{error}");
    }
}

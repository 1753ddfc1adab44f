//! Flags without effect are refused, keys without effect are told, and a configuration that cannot start is not taken.

use std::process::Output;

use super::running::Running;
use super::{honed, said, student};

fn refused(output: &Output, words: &[&str]) {
    let error = said(output);
    assert!(!output.status.success(), "{words:?}");
    for word in words {
        assert!(error.contains(word), "'{word}' is not in: {error}");
    }
}

#[test]
fn flags_without_effect_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = student("luma");
    let model = model.to_str().unwrap();
    let source = "gst:videotestsrc num-buffers=2 ! video/x-raw,width=64,height=48";
    let cases: [(&[&str], &[&str]); 9] = [
        (&["doctor", "--trusted-key", "nope"], &["--bundle"]),
        (
            &["doctor", "--allow-unsigned", "--model", model],
            &["--bundle"],
        ),
        (
            &["inspect", model, "--trusted-key", "nope"],
            &["luma.onnx", "bundles"],
        ),
        (
            &[
                "run",
                "--model",
                model,
                "--trusted-key",
                "nope",
                "--source",
                source,
                "--sink",
                "null",
            ],
            &["--trusted-key", "--model"],
        ),
        (
            &["bench", "--model", model, "--allow-unsigned"],
            &["--allow-unsigned", "--model"],
        ),
        (
            &[
                "run", "--source", source, "--sink", "null", "--size", "64x48",
            ],
            &["--size", "videotestsrc"],
        ),
        (
            &[
                "run", "--source", "none.mkv", "--sink", "null", "--stall", "9",
            ],
            &["--stall", "none.mkv"],
        ),
        (
            &[
                "run",
                "--source",
                "none.mkv",
                "--sink",
                "null",
                "--keep-trying",
            ],
            &["--keep-trying"],
        ),
        (
            &["run", "--source", "test", "--sink", "null", "--loop"],
            &["--loop", "test"],
        ),
    ];
    for (arguments, words) in cases {
        refused(&honed(folder.path(), arguments), words);
    }
}

#[test]
fn keys_without_effect_are_told_and_stop_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("honed.toml");
    std::fs::write(&config, "gpio.power_off = true\npage.tls = true\n").unwrap();
    let output = honed(folder.path(), &["config", "--check", "honed.toml"]);
    assert!(output.status.success());
    let error = said(&output);
    assert!(
        error.contains("gpio.power_off has no effect without gpio.button"),
        "{error}"
    );
    assert!(
        error.contains("page.tls has no effect without page.listen"),
        "{error}"
    );
    std::fs::write(&config, "gpio.power_off = true\ngpio.button = 4\n").unwrap();
    let output = honed(folder.path(), &["config", "--check", "honed.toml"]);
    assert!(
        output.status.success() && said(&output).is_empty(),
        "{}",
        said(&output)
    );
}

#[test]
fn a_service_reads_again_what_it_would_start_with_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("honed.toml");
    let write = |rest: &str| {
        let source =
            "gst:videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=10/1";
        let slots = folder.path().join("slots");
        let text = format!(
            "source.name = '{source}'\nslots.folder = '{}'\n{rest}\n",
            slots.display()
        );
        std::fs::write(&path, text).unwrap();
    };
    write("output.sinks = ['null']\nstudent.later = 1");
    let honed = Running::service(folder.path(), &["--config", "honed.toml"]);
    honed.wait_for("live");
    // It started in spite of the key of another version; so it reads it again.
    write("output.sinks = ['null']\nstudent.later = 1\nstudent.strength = 0.5");
    honed.signal(&["HUP"]);
    honed.wait_for("configuration read again");
    write("output.sinks = ['bogus']");
    honed.signal(&["HUP"]);
    honed.wait_for("warning: nothing was changed: honed.toml: output.sinks: 'bogus' is no sink");
    write("student.strength = 'a lot'");
    honed.signal(&["HUP"]);
    honed.wait_for("warning: nothing was changed: honed.toml: line 3, column 20: student.strength: invalid type");
    let log = honed.log();
    assert!(!log.iter().any(|line| line.contains("3 |")), "{log:?}");
    assert_eq!(
        log.iter()
            .filter(|l| l.starts_with("configuration read again"))
            .count(),
        1,
        "{log:?}"
    );
}

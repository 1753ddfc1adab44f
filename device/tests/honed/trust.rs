//! Whose bundles `honed` takes: the real binary on bundles signed by this one, that one and no one.

#[cfg(feature = "page")]
use std::process::Command;

use super::bundles::{key, street};
use super::honed;
use super::pack::save;

/// A folder with `signed.hone`, `unsigned.hone`, the signer's `good.pub` and another's `other.pub`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    save(
        folder.path(),
        "signed.hone",
        &street("1.0.0").signed(&key(1)),
    );
    save(folder.path(), "unsigned.hone", &street("1.0.0"));
    for (name, n) in [("good.pub", 1), ("other.pub", 2)] {
        std::fs::write(folder.path().join(name), key(n).public().to_text()).unwrap();
    }
    folder
}

/// Every command that opens a bundle, as its words before and after the bundle's name.
const COMMANDS: [(&[&str], &[&str]); 3] = [
    (
        &["run", "--bundle"],
        &[
            "--source",
            "gst:videotestsrc num-buffers=2 ! video/x-raw,width=64,height=48",
            "--sink",
            "null",
        ],
    ),
    (
        &["bench", "--bundle"],
        &["--size", "64x48", "--frames", "1"],
    ),
    (&["inspect"], &[]),
];

#[test]
fn only_bundles_of_trusted_signers_are_taken() {
    let folder = folder();
    let trusted: &[&str] = &["--trusted-key", "good.pub"];
    let untrusted: &[&str] = &["--trusted-key", "other.pub"];
    for (before, after) in COMMANDS {
        let run = |bundle: &str, flags: &[&str]| {
            honed(folder.path(), &[before, &[bundle], after, flags].concat())
        };
        for (bundle, flags) in [
            ("signed.hone", trusted),
            ("signed.hone", &["--allow-unsigned"]),
            ("unsigned.hone", &["--allow-unsigned"]),
        ] {
            let output = run(bundle, flags);
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{before:?} {bundle}: {error}");
        }
        for (bundle, flags, words) in [
            ("signed.hone", untrusted, "--trusted-key KEY.pub"),
            ("signed.hone", &[], "--trusted-key KEY.pub"),
            ("unsigned.hone", trusted, "hone bundle sign"),
            ("signed.hone", &["--trusted-key", "gone.pub"], "gone.pub"),
        ] {
            let output = run(bundle, flags);
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(1),
                "{before:?} {bundle}: {error}"
            );
            assert_eq!(error.lines().count(), 1, "{error}");
            assert!(error.contains(words), "{before:?} {bundle}: {error}");
        }
    }
}

#[test]
fn a_foreign_file_among_the_keys_is_told_and_left_out() {
    let folder = folder();
    let keys = folder.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    std::fs::rename(folder.path().join("good.pub"), keys.join("good.pub")).unwrap();
    std::fs::write(keys.join("empty.pub"), "").unwrap();
    for (before, after) in COMMANDS {
        let run = |key: &str| {
            let flags = ["--trusted-key", key];
            honed(
                folder.path(),
                &[before, &["signed.hone"], after, &flags].concat(),
            )
        };
        let output = run("keys");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{before:?}: {error}");
        let warned = |line: &&str| line.starts_with("warning: keys/empty.pub: ");
        assert_eq!(error.lines().filter(warned).count(), 1, "{error}");
        assert!(!error.contains("other keys"), "{error}");
        // A file that was asked for by its name is a mistake.
        let output = run("keys/empty.pub");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{before:?}: {error}");
    }
}

#[test]
fn the_configuration_names_keys_too() {
    let folder = folder();
    let config = |keys: &str| {
        let text = format!(
            "[student]\nbundle = 'signed.hone'\ntrusted_keys = ['{keys}']\n\
             [source]\nname = 'gst:videotestsrc num-buffers=2'\nkeep_trying = false\n\
             [output]\nsinks = ['null']\n"
        );
        std::fs::write(folder.path().join("honed.toml"), text).unwrap();
        honed(folder.path(), &["run", "--config", "honed.toml"])
    };
    assert!(config("good.pub").status.success());
    let refused = config("other.pub");
    assert!(!refused.status.success());
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(error.contains(&key(1).public().fingerprint()), "{error}");
}

#[test]
fn doctor_tells_that_a_signer_is_unknown() {
    let folder = folder();
    let output = honed(
        folder.path(),
        &["doctor", "--bundle", "signed.hone", "--json"],
    );
    assert!(!output.status.success());
    let checks: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = checks.as_array().unwrap();
    let student = checks.iter().find(|c| c["what"] == "student").unwrap();
    assert_eq!(student["verdict"], "bad");
    assert!(student["found"].as_str().unwrap().contains("not trusted"));
}

#[cfg(feature = "page")]
#[test]
fn a_list_of_tokens_that_cannot_be_written_is_named_once() {
    let folder = tempfile::tempdir().unwrap();
    // As on a full disk: no file may grow.
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" token create phone --folder page";
    let output = Command::new("sh")
        .current_dir(folder.path())
        .args(["-c", script, env!("CARGO_BIN_EXE_honed")])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("page/tokens.json: it cannot be written: "),
        "{error}"
    );
    assert_eq!(error.matches("tokens.json").count(), 1, "{error}");
}

//! What is refused leaves the board as it was, and what does not run is not called good.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::board::{Board, bundle, done, honed, key, refused};

/// Every file that a deploy may write, with its content; the slots' are not among them.
fn files(board: &Board) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for folder in ["root/etc", "root/usr"] {
        walk(&board.path(folder), &mut found);
    }
    found
}

fn walk(folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.insert(path.display().to_string(), std::fs::read(&path).unwrap());
        }
    }
}

/// The board's configuration with one text in place of another.
fn changed(board: &Board, from: &str, to: &str) -> String {
    let text = board.config(10_000, 600);
    assert!(text.contains(from), "no {from} in {text}");
    board.write("changed.toml", text.replace(from, to).as_bytes())
}

#[test]
fn a_refused_update_leaves_every_file_as_it_was() {
    let board = Board::with_honed();
    board.install();
    let before = files(&board);
    let restarts = || board.text("systemctl.log").matches("restart").count();
    let starts = restarts();
    let stranger = board.write("stranger.hone", &bundle("small", "2.0.0", 2));
    let third = board.write("third.pub", key(3).public().to_text().as_bytes());
    let config = changed(&board, "trial_frames = 5", "trial_frames = 6");
    let with = |bundle: &str| {
        let keys = ["--trusted-key", &third, "--config", &config];
        board.hone(&[&["deploy", "board", bundle], keys.as_slice()].concat())
    };
    refused(
        &with(&stranger),
        &[
            "the bundle was not installed",
            "signed by the key",
            "not trusted",
        ],
    );
    assert_eq!(files(&board), before);
    assert_eq!(restarts(), starts);
    assert_eq!(board.runs(), "1.0.0");
    board.assert_tidy();
    // What was refused is not taken for done, and what others may not read stays so.
    let one = board.path("one.hone");
    let installed = board.path("root/etc/honed.toml");
    std::fs::set_permissions(&installed, Permissions::from_mode(0o640)).unwrap();
    // Nor is a link replaced by a file.
    let data = board.path("root/data.toml");
    std::fs::rename(&installed, &data).unwrap();
    std::os::unix::fs::symlink("../data.toml", &installed).unwrap();
    let said = done(&with(one.to_str().unwrap()));
    assert!(said.contains("settings updated"), "{said}");
    let now = files(&board);
    assert_eq!(now.len(), before.len() + 1);
    assert!(installed.is_symlink());
    let mode = std::fs::metadata(&installed).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(
        board
            .text("root/etc/honed.toml")
            .contains("trial_frames = 6")
    );
}

#[test]
fn a_first_deploy_that_is_refused_installs_nothing() {
    let board = Board::start();
    let one = board.write("one.hone", &bundle("small", "1.0.0", 1));
    let public = board.write("key.pub", key(1).public().to_text().as_bytes());
    let stranger = board.write("other.pub", key(2).public().to_text().as_bytes());
    let config = board.write("board.toml", board.config(10_000, 600).as_bytes());
    let deploy = |program: &str, key: &str| {
        let with = [
            "--program",
            program,
            "--trusted-key",
            key,
            "--config",
            &config,
        ];
        board.hone(&[&["deploy", "board", &one], with.as_slice()].concat())
    };
    let honed = honed();
    refused(
        &deploy(honed.to_str().unwrap(), &stranger),
        &["signed by the key", "not trusted"],
    );
    assert_eq!(files(&board), BTreeMap::new());
    assert!(board.text("systemctl.log").contains("disable honed"));
    refused(
        &deploy(env!("CARGO_BIN_EXE_hone"), &public),
        &["the program given is no honed", "'hone "],
    );
    assert_eq!(files(&board), BTreeMap::new());
    board.assert_tidy();
}

#[test]
fn a_configuration_that_honed_refuses_never_reaches_its_place() {
    let board = Board::with_honed();
    board.install();
    let before = files(&board);
    let one = board.path("one.hone");
    let two = board.write("two.hone", &bundle("small", "2.0.0", 1));
    let bad = changed(&board, "['null']", "['bogus']");
    for bundle in [one.to_str().unwrap(), &two] {
        let output = board.hone(&["deploy", "board", bundle, "--config", &bad]);
        refused(
            &output,
            &["honed refuses the configuration: output.sinks", "bogus"],
        );
        assert_eq!(files(&board), before);
        assert_eq!(board.runs(), "1.0.0");
    }
    // One that is well-formed, but that the service does not start with.
    let other = changed(&board, "trial_frames = 5", "trial_frames = 6");
    board.write("no-start", b"");
    let output = board.hone(&["deploy", "board", one.to_str().unwrap(), "--config", &other]);
    refused(&output, &["honed does not start with these settings"]);
    assert_eq!(files(&board), before);
    assert_eq!(board.runs(), "1.0.0");
    board.assert_tidy();
}

#[test]
fn a_board_that_would_run_something_else_is_refused() {
    let board = Board::with_honed();
    board.install();
    let two = board.write("two.hone", &bundle("small", "2.0.0", 1));
    let deploy = |with: &[&str]| board.hone(&[&["deploy", "board", &two], with].concat());
    let own = "level = 'small'\nbundle = '/b.hone'";
    let elsewhere = format!("{}/elsewhere", board.path("root").display());
    let folder = format!("{}/var/lib/honed", board.path("root").display());
    let good = board.text("root/etc/honed.toml");
    for (from, to, words) in [
        ("level = 'small'", own, "a bundle of its own, /b.hone"),
        (&folder, elsewhere.as_str(), "change slots.folder"),
    ] {
        let config = changed(&board, from, to);
        refused(&deploy(&["--config", &config]), &["changed.toml", words]);
        std::fs::copy(&config, board.path("root/etc/honed.toml")).unwrap();
        refused(
            &deploy(&[]),
            &["the board's configuration", words, "--config"],
        );
        board.write("root/etc/honed.toml", good.as_bytes());
    }
    assert_eq!(board.runs(), "1.0.0");
}

#[test]
fn a_service_that_was_stopped_is_started() {
    let board = Board::with_honed();
    board.install();
    let one = board.path("one.hone");
    let stop = || {
        let stopped = std::process::Command::new(board.path("bin/systemctl"))
            .arg("stop")
            .status();
        assert!(stopped.unwrap().success());
    };
    let deploy = || board.hone(&["deploy", "board", one.to_str().unwrap(), "--json"]);
    stop();
    board.write("no-start", b"");
    let output = deploy();
    refused(&output, &["its service does not start, it is inactive"]);
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows[0]["good"], false, "{rows}");
    let rows: serde_json::Value = serde_json::from_str(&done(&deploy())).unwrap();
    assert_eq!(rows[0]["good"], true, "{rows}");
    assert_eq!(
        rows[0]["outcome"],
        "unchanged, but the service was inactive: started"
    );
    assert_eq!(board.runs(), "1.0.0");
}

#[test]
fn a_board_named_twice_is_refused() {
    let board = Board::start();
    for command in [
        ["rollback", "board", "board"].as_slice(),
        &["deploy", "board", "board", "x.hone"],
    ] {
        refused(&board.hone(command), &["'board' is named twice"]);
    }
}

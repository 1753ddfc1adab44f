//! `hone deploy` against a real OpenSSH server on loopback, with the real honed behind it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod board;
mod proxy;
mod refusals;
mod scripts;

use std::process::Command;
use std::time::Instant;

use board::{Board, bundle, done, free_port, is_root, key, refused};
use proxy::Proxy;

#[test]
fn a_board_is_installed_updated_and_rolled_back() {
    let board = Board::start();
    let two = board.write("two.hone", &bundle("small", "2.0.0", 1));
    refused(
        &board.hone(&["deploy", "board", &two]),
        &["has no honed yet", "--program"],
    );
    let dry = done(&board.hone(&[
        "deploy",
        "board",
        &two,
        "--dry-run",
        "--program",
        board::honed().to_str().unwrap(),
    ]));
    assert!(
        dry.contains("/usr/local/bin/honed") && dry.contains("bundle"),
        "{dry}"
    );
    assert!(!board.path("root/usr").exists(), "a dry run wrote files");

    board.install();
    assert_eq!(board.runs(), "1.0.0");
    board.assert_tidy();
    for file in [
        "usr/local/bin/honed",
        "etc/systemd/system/honed.service",
        "etc/sysusers.d/honed.conf",
        "etc/udev/rules.d/60-honed.rules",
        "etc/honed.toml",
    ] {
        assert!(board.path("root").join(file).exists(), "{file}");
    }
    let log = board.text("systemctl.log");
    assert!(
        log.contains("daemon-reload") && log.contains("enable honed"),
        "{log}"
    );

    let said = done(&board.hone(&["deploy", "board", &two, "--json"]));
    let rows: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(rows[0]["before"], "street 1.0.0");
    let size = std::fs::metadata(&two).unwrap().len();
    let sent = rows[0]["bytes"].as_u64().unwrap();
    assert!(sent < size + 16_000, "{sent} bytes for a bundle of {size}");
    assert_eq!(board.runs(), "2.0.0");

    let one = board.path("one.hone");
    let one = one.to_str().unwrap();
    refused(
        &board.hone(&["deploy", "board", one]),
        &["older than 2.0.0", "--force"],
    );
    done(&board.hone(&["rollback", "board"]));
    assert_eq!(board.runs(), "1.0.0");
    done(&board.hone(&["deploy", "board", &two]));
    done(&board.hone(&["deploy", "board", one, "--force"]));
    assert_eq!(board.runs(), "1.0.0");
    board.assert_tidy();
}

/// `cargo test --workspace --test deploy unchanged -- --nocapture` prints the figures.
#[test]
fn an_unchanged_bundle_moves_less_than_10_kb() {
    let board = Board::with_honed();
    board.install();
    let wire = Proxy::start(board.port(), u64::MAX);
    board.reach_by(wire.port);
    let start = Instant::now();
    let said = done(&board.hone(&["deploy", "board", board.path("one.hone").to_str().unwrap()]));
    println!(
        "an unchanged deploy moved {} bytes over the wire in {:.2} s",
        wire.bytes(),
        start.elapsed().as_secs_f64()
    );
    assert!(said.contains("unchanged"), "{said}");
    assert!(
        wire.bytes() > 1000 && wire.bytes() < 10_000,
        "{} bytes",
        wire.bytes()
    );
}

#[test]
fn an_update_that_does_not_sharpen_is_rolled_back_by_the_board() {
    let board = Board::with_honed();
    board.install();
    // The board's configuration asks for the student `small`, which this bundle lacks.
    let bad = board.write("bad.hone", &bundle("other", "2.0.0", 1));
    let output = board.hone(&["deploy", "board", &bad]);
    refused(
        &output,
        &[
            "the board's configuration does not go with street",
            "no student small",
            "--config",
        ],
    );
    // Frames come, but none is young enough.
    let strict = board.write("strict.toml", board.config(1, 1).as_bytes());
    let late = board.write("late.hone", &bundle("small", "3.0.0", 1));
    let source = "name = 'gst:videotestsrc is-live=true ! identity sleep-time=20000 ! ";
    let text = board
        .config(1, 1)
        .replace("name = 'gst:videotestsrc is-live=true ! ", source);
    std::fs::write(&strict, text).unwrap();
    let output = board.hone(&["deploy", "board", &late, "--config", &strict]);
    refused(
        &output,
        &[
            "slot b was given up",
            "slot a came back",
            "within 1 ms",
            "the configuration before is back too",
        ],
    );
    assert_eq!(board.runs(), "1.0.0");
    assert_eq!(
        board.text("root/etc/honed.toml"),
        board.config(10_000, 600),
        "the configuration that came along went too"
    );
}

#[test]
fn a_connection_lost_in_the_middle_leaves_the_board_as_it_was() {
    let board = Board::with_honed();
    board.install();
    let two = board.write("two.hone", &bundle("small", "2.0.0", 1));
    let honed = board.path("new-honed");
    std::fs::copy(board::honed(), &honed).unwrap();
    // Another program of the same kind: some bytes follow its end.
    let mut bytes = std::fs::read(&honed).unwrap();
    bytes.extend_from_slice(b"another build");
    std::fs::write(&honed, bytes).unwrap();
    let arguments = [
        "deploy",
        "board",
        &two,
        "--program",
        honed.to_str().unwrap(),
    ];
    let wire = Proxy::start(board.port(), 1_000_000);
    board.reach_by(wire.port);
    refused(
        &board.hone(&arguments),
        &["no connection by ssh, or it was lost"],
    );
    board.reach_by(board.port());
    assert_eq!(board.runs(), "1.0.0");
    for _ in 0..100 {
        if std::fs::read_dir(board.path("root/var/tmp"))
            .unwrap()
            .count()
            == 0
        {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    board.assert_tidy();
    done(&board.hone(&arguments));
    assert_eq!(board.runs(), "2.0.0");
    assert!(board.slots()["slots"]["b"]["program"]["sha256"].is_string());
}

#[test]
fn wrong_keys_are_told_apart() {
    let board = Board::with_honed();
    board.install();
    let stranger = board.write("stranger.hone", &bundle("small", "2.0.0", 2));
    refused(
        &board.hone(&["deploy", "board", &stranger]),
        &[
            "signed by the key",
            &key(2).public().fingerprint(),
            "not trusted",
        ],
    );
    assert_eq!(board.runs(), "1.0.0");
    board.assert_tidy();

    let config = board.text("ssh_config");
    std::fs::write(
        board.path("ssh_config"),
        config.replace("user_key", "other_key"),
    )
    .unwrap();
    refused(
        &board.hone(&["deploy", "board", &stranger]),
        &["Permission denied", "ssh-copy-id"],
    );
    let host = board.text("other_key.pub");
    std::fs::write(board.path("known_hosts"), format!("board {host}")).unwrap();
    refused(
        &board.hone(&["deploy", "board", &stranger]),
        &["Host key verification failed"],
    );
}

#[test]
fn a_full_disk_is_told_and_changes_nothing() {
    if !is_root() {
        eprintln!("skipped: only root can mount a small disk");
        return;
    }
    let board = Board::with_honed();
    let slots = board.path("root/var/lib/honed");
    std::fs::create_dir_all(&slots).unwrap();
    let mount = |arguments: &[&str]| Command::new("mount").args(arguments).arg(&slots).status();
    if !mount(&["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).is_ok_and(|s| s.success()) {
        eprintln!("skipped: this machine does not let root mount a small disk");
        return;
    }
    let unmount = scopeguard(|| {
        // Lazily: the service may still look at it.
        let _ = Command::new("umount").arg("-l").arg(&slots).status();
    });
    board.install();
    std::fs::write(slots.join("filler"), vec![0; 1 << 20]).unwrap_err();
    let two = board.write("two.hone", &bundle("small", "2.0.0", 1));
    refused(&board.hone(&["deploy", "board", &two]), &["No space left"]);
    assert_eq!(board.runs(), "1.0.0");
    board.assert_tidy();
    std::fs::remove_file(slots.join("filler")).unwrap();
    done(&board.hone(&["deploy", "board", &two]));
    assert_eq!(board.runs(), "2.0.0");
    drop(board);
    drop(unmount);
}

#[test]
fn of_two_deploys_at_once_one_is_told_to_wait() {
    let board = Board::with_honed();
    board.install();
    let two = board.write("two.hone", &bundle("small", "2.0.0", 1));
    let lock = std::fs::File::open(board.path("root/run/hone-deploy.lock")).unwrap();
    lock.lock().unwrap();
    refused(
        &board.hone(&["deploy", "board", &two]),
        &["another deploy to this board is under way"],
    );
    drop(lock);
    assert_eq!(board.runs(), "1.0.0");

    let arguments = ["deploy", "board", two.as_str()];
    let both = [board.start_hone(&arguments), board.start_hone(&arguments)];
    let both = both.map(|child| child.wait_with_output().unwrap());
    assert!(
        both.iter().any(|output| output.status.success()),
        "{both:?}"
    );
    for output in both.iter().filter(|output| !output.status.success()) {
        refused(output, &["another deploy to this board is under way"]);
    }
    assert_eq!(board.runs(), "2.0.0");
    board.assert_tidy();
}

#[test]
fn boards_after_a_canary_wait_for_it() {
    let board = Board::with_honed();
    board.install();
    let dead = free_port();
    let two = board.write("two.hone", &bundle("small", "2.0.0", 1));
    let config = format!(
        "Host dead\n HostName 127.0.0.1\n Port {dead}\n{}",
        board.text("ssh_config")
    );
    std::fs::write(board.path("ssh_config"), config).unwrap();
    let rows = |arguments: &[&str]| -> serde_json::Value {
        let output = board.hone(&[&["deploy"], arguments, &[&two, "--json"]].concat());
        refused(&output, &["boards did not take it"]);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let first = rows(&["dead", "board", "--canary", "1"]);
    assert!(
        first[0]["outcome"]
            .as_str()
            .unwrap()
            .contains("Connection refused"),
        "{first}"
    );
    assert!(
        first[1]["outcome"]
            .as_str()
            .unwrap()
            .contains("left as it is"),
        "{first}"
    );
    let unproven = [
        "deploy", "board", "dead", &two, "--canary", "1", "--wait", "0",
    ];
    refused(
        &board.hone(&unproven),
        &["--wait 0", "leave one of them out"],
    );
    assert_eq!(board.runs(), "1.0.0");
    let then = rows(&["board", "dead"]);
    assert_eq!(then[0]["good"], true, "{then}");
    assert_eq!(then[1]["good"], false, "{then}");
    assert_eq!(board.runs(), "2.0.0");
    let status = board.hone(&["status", "board", "dead"]);
    refused(&status, &["1 of 2 boards do not answer"]);
}

/// Runs `end` when dropped, also by a failing test.
fn scopeguard<F: FnMut()>(end: F) -> impl Drop {
    struct Guard<F: FnMut()>(F);
    impl<F: FnMut()> Drop for Guard<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    Guard(end)
}

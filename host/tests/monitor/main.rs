//! `hone monitor` as a user runs it: boards behind HTTP, TLS, a serial line and a real Mosquitto.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod boards;
mod monitor;
mod mosquitto;
mod screen;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use boards::{Fleet, Pages, frame};
use hone_device::telemetry::tls;
use hone_shared::telemetry::Fingerprint;
use monitor::{Monitor, refused};
use mosquitto::Mosquitto;
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Boards on one monitor.
const BOARDS: usize = 200;

/// The sequence numbers of every address.
fn sequences(lines: &[serde_json::Value]) -> BTreeMap<String, Vec<u64>> {
    let mut all = BTreeMap::<String, Vec<u64>>::new();
    for line in lines.iter().filter(|line| line["event"] == "state") {
        let address = line["address"].as_str().unwrap().to_owned();
        all.entry(address)
            .or_default()
            .push(line["sequence"].as_u64().unwrap());
    }
    all
}

#[test]
fn two_hundred_boards_on_a_broker_lose_nothing_and_come_back_with_it() {
    let mut broker = Mosquitto::start();
    let url = format!("mqtt://127.0.0.1:{}/site", broker.port);
    let mut fleet = Fleet::connect(&url, BOARDS);
    let monitor = Monitor::start(&["--mqtt", &url, "--json"]);
    let online = |lines: &[serde_json::Value]| {
        let last = lines.iter().rposition(|l| l["event"] == "connected");
        let online = lines[last.unwrap_or(lines.len())..]
            .iter()
            .filter(|l| l["event"] == "online");
        let boards: BTreeSet<_> = online.map(|l| l["address"].as_str()).collect();
        boards.len()
    };
    monitor.wait(|lines| online(lines) == BOARDS);
    for round in 0..10 {
        fleet.send(round);
        std::thread::sleep(Duration::from_millis(50));
    }
    let lines =
        monitor.wait(|lines| sequences(lines).values().map(Vec::len).sum::<usize>() >= 10 * BOARDS);
    let got = sequences(&lines);
    assert_eq!(got.len(), BOARDS);
    for (board, got) in got {
        assert_eq!(got, (0..10).collect::<Vec<_>>(), "{board}");
    }
    let before = monitor.resident();

    broker.restart();
    monitor.wait(|lines| {
        let connected = lines.iter().filter(|l| l["event"] == "connected").count();
        connected == 2 && online(lines) == BOARDS
    });
    for round in 10..30 {
        fleet.send(round);
        std::thread::sleep(Duration::from_millis(20));
    }
    let lines = monitor.wait(|lines| sequences(lines).values().all(|got| got.last() == Some(&29)));
    for (board, got) in sequences(&lines) {
        assert_eq!(got, (0..30).collect::<Vec<_>>(), "{board}");
    }
    let grown = monitor.resident().saturating_sub(before);
    assert!(grown < 4 << 20, "4000 messages cost {grown} bytes");

    // A board loses its power: nobody says goodbye.
    fleet.cut(7);
    let lines = monitor.wait(|lines| lines.iter().any(|l| l["event"] == "offline"));
    let last = lines.iter().find(|l| l["event"] == "offline").unwrap();
    assert_eq!(
        last["address"],
        format!("127.0.0.1:{}/site/board-007", broker.port)
    );
    // The will is retained: who comes later hears of it too.
    let later = Monitor::start(&["--mqtt", &url, "--json"]);
    later.wait(|lines| {
        lines
            .iter()
            .any(|l| l["event"] == "offline" && l["address"] == last["address"])
    });
}

#[test]
fn two_hundred_pages_on_one_monitor() {
    let pages = Pages::start(BOARDS, None);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "secret\n").unwrap();
    let addresses = pages.addresses();
    let mut arguments: Vec<&str> = addresses.iter().map(String::as_str).collect();
    arguments.extend(["--json", "--token-file", token.to_str().unwrap()]);
    let monitor = Monitor::start(&arguments);
    let all_at = |lines: &[serde_json::Value], least: u64| {
        let got = sequences(lines);
        got.len() == BOARDS && got.values().all(|got| got.last() >= Some(&least))
    };
    let lines = monitor.wait(|lines| all_at(lines, 10));
    for (board, got) in sequences(&lines) {
        let want: Vec<u64> = (got[0]..got[0] + got.len() as u64).collect();
        assert_eq!(got, want, "{board}");
    }
    pages.hang_up();
    monitor.wait(|lines| {
        let of = |event: &str| lines.iter().filter(|l| l["event"] == event).count();
        of("lost") >= BOARDS && of("connected") >= 2 * BOARDS
    });

    std::fs::write(&token, "wrong").unwrap();
    let monitor = Monitor::start(&[
        &addresses[0],
        "--json",
        "--token-file",
        token.to_str().unwrap(),
    ]);
    let lines = monitor.wait(|lines| !lines.is_empty());
    let reason = lines[0]["reason"].as_str().unwrap();
    assert!(reason.contains("token is refused"), "{reason}");
}

#[test]
fn a_self_made_certificate_is_taken_by_its_fingerprint_only() {
    let made = rcgen::generate_simple_self_signed(["board".to_owned()]).unwrap();
    let fingerprint = Fingerprint::of(made.cert.der()).to_string();
    let pages = Pages::start(1, Some(made));
    let address = format!("https://{}", pages.addresses()[0]);
    let monitor = Monitor::start(&[&address, "--json", "--fingerprint", &fingerprint]);
    monitor.wait(|lines| lines.iter().any(|l| l["event"] == "state"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("boards");
    let (tokens, line) = (
        file.to_str().unwrap(),
        format!("{address} secret {fingerprint}"),
    );
    std::fs::write(&file, format!("# one board\n{line}\n")).unwrap();
    let monitor = Monitor::start(&["--token-file", tokens, "--json"]);
    monitor.wait(|lines| lines.iter().any(|l| l["event"] == "state"));
    // A board with a fingerprint of its own is known by no other.
    std::fs::write(&file, format!("{address} secret {}", "00".repeat(32))).unwrap();
    let (listed, given) = (
        "correct the fingerprint in its line of the token file",
        "give its fingerprint (--fingerprint), or the authorities (--authorities)",
    );
    let option = |value: &str| format!("--fingerprint={value}");
    let (made, other) = (option(&fingerprint), option(&"00".repeat(32)));
    for (mut arguments, remedy) in [
        (vec!["--token-file", tokens, &made], listed),
        (vec![address.as_str()], given),
        (vec![address.as_str(), &other], given),
    ] {
        arguments.push("--json");
        let monitor = Monitor::start(&arguments);
        let lines = monitor.wait(|lines| !lines.is_empty());
        assert_eq!(lines[0]["event"], "lost", "{lines:?}");
        let reason = format!("its certificate is not trusted: {remedy}");
        assert_eq!(lines[0]["reason"], reason);
    }
}

#[test]
fn a_broker_with_tls_is_reached_by_fingerprint() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let fingerprint = Fingerprint::of(made.cert.der());
    let broker = Mosquitto::start_tls(&made);
    let url = format!("mqtts://127.0.0.1:{}", broker.port);
    let mut fleet = Fleet::connect_by(&url, 1, tls::client(None, &[fingerprint]).unwrap());
    let monitor = Monitor::start(&[
        "--mqtt",
        &url,
        "--json",
        "--fingerprint",
        &fingerprint.to_string(),
    ]);
    monitor.wait(|lines| lines.iter().any(|l| l["event"] == "online"));
    fleet.send(0);
    monitor.wait(|lines| lines.iter().any(|l| l["event"] == "state"));
    for arguments in [
        &["--mqtt", &url, "--json"][..],
        &["--mqtt", &url, "--json", "--fingerprint", &"00".repeat(32)],
    ] {
        let stranger = Monitor::start(arguments);
        let lines = stranger.wait(|lines| !lines.is_empty());
        assert_eq!(lines[0]["event"], "lost");
        assert_eq!(
            lines[0]["reason"],
            "its certificate is not trusted: give its fingerprint (--fingerprint), or the authorities (--authorities)"
        );
    }
    // A fingerprint, of a board for instance, does not shut out what an authority signed.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("authorities.pem");
    std::fs::write(&path, made.cert.pem()).unwrap();
    let (other, path) = ("00".repeat(32), path.to_str().unwrap());
    let monitor = Monitor::start(&[
        "--mqtt",
        &url,
        "--json",
        "--fingerprint",
        &other,
        "--authorities",
        path,
    ]);
    monitor.wait(|lines| lines.iter().any(|l| l["event"] == "online"));
}

/// A packet whose length is one byte: its identifier and what follows.
fn packet(client: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 2];
    client.read_exact(&mut head).unwrap();
    let mut body = vec![0; usize::from(head[1])];
    client.read_exact(&mut body).unwrap();
    body
}

#[test]
fn a_broker_that_lets_nobody_read_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}/site", listener.local_addr().unwrap());
    let broker = std::thread::spawn(move || {
        // The second is the one that is let in.
        for code in [0x80, 1] {
            let mut client = listener.accept().unwrap().0;
            packet(&mut client);
            client.write_all(&[0x20, 2, 0, 0]).unwrap();
            let asked = packet(&mut client);
            client
                .write_all(&[0x90, 4, asked[0], asked[1], code, code])
                .unwrap();
            // Until the monitor hangs up.
            let _ = client.read(&mut [0]);
        }
    });
    let monitor = Monitor::start(&["--mqtt", &url, "--json"]);
    let lines = monitor.wait(|lines| lines.len() >= 2);
    assert_eq!(lines[0]["event"], "lost", "{lines:?}");
    assert_eq!(lines[0]["reason"], "it lets us read no topic below site");
    assert_eq!(lines[1]["event"], "connected", "{lines:?}");
    drop(monitor);
    broker.join().unwrap();
}

#[test]
fn signals_leave_the_terminal_as_it_was() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        screen::restores(signal);
    }
}

#[test]
fn a_board_at_a_serial_line_is_heard_through_noise() {
    let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&near).unwrap();
    unlockpt(&near).unwrap();
    let path = ptsname(&near, Vec::new()).unwrap().into_string().unwrap();
    let monitor = Monitor::start(&["--serial", &format!("{path}@57600"), "--json"]);
    let mut near = std::fs::File::from(near);
    let mut sequence = 0;
    let lines = monitor.wait(|lines| {
        near.write_all(b"login: \x03\xff\x00").unwrap();
        near.write_all(&frame("pole", sequence)).unwrap();
        sequence += 1;
        lines.iter().filter(|l| l["event"] == "state").count() >= 3
    });
    let state = lines.iter().find(|l| l["event"] == "state").unwrap();
    assert_eq!(
        (&state["board"], &state["address"]),
        (&"pole".into(), &path.as_str().into())
    );
    assert!(lines.iter().any(|l| l["event"] == "damaged"), "{lines:?}");
}

#[test]
fn what_cannot_be_monitored_is_told_in_one_sentence() {
    refused(&[], &["name boards, a serial line or a broker"]);
    refused(&["localhost"], &["needs a terminal", "--json"]);
    refused(
        &["localhost", "--json", "--token-file", "/none"],
        &["/none"],
    );
    let print = "00".repeat(32);
    refused(
        &["http://north", "--json", "--fingerprint", &print],
        &["none of these does", "https://"],
    );
    refused(
        &["localhost", "--json", "--authorities", "/none.pem"],
        &["/none.pem"],
    );
}

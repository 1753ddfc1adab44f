//! The server over real sockets, with a board that no camera is at.

mod access;
mod answers;
mod hostile;
mod metrics;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use hone_device::camera::sharpener::Sharpener;
use hone_device::governor::thermometer::Reading;
use hone_device::journal::Journal;
use hone_device::page::{Running, Settings, Tokens, start};
use hone_device::state::{BoardState, Measured, MeasuredSink};

struct Served {
    running: Running,
    board: Arc<BoardState>,
    token: String,
    folder: tempfile::TempDir,
}

fn served() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let mut tokens = Tokens::default();
    let token = tokens.create(folder.path(), "test").unwrap();
    tokens.write(folder.path()).unwrap();
    let mut settings = Settings::plain("127.0.0.1:0".parse().unwrap());
    settings.folder = folder.path().to_owned();
    settings.slots = folder.path().join("slots");
    let sharpener = Arc::new(Sharpener::new(Vec::new(), Arc::default()).unwrap());
    let board = Arc::new(BoardState::new(
        "twin",
        Some(30.0),
        sharpener,
        Journal::default(),
    ));
    Served {
        running: start(settings, board.clone()).unwrap(),
        board,
        token,
        folder,
    }
}

/// Status, head and body of the answer to a request as it stands.
fn ask(address: SocketAddr, request: &[u8]) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    // The server may refuse before it has read everything.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, head.to_ascii_lowercase(), body.to_owned())
}

impl Served {
    /// Status, head and body of an answer; `lines` are further lines of the request.
    fn ask(&self, method: &str, path: &str, lines: &str, body: &str) -> (u16, String, String) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: board\r\nConnection: close\r\nContent-Length: {length}\r\n{lines}\r\n{body}"
        );
        ask(self.running.address(), request.as_bytes())
    }

    fn bearer(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.token)
    }
}

/// A path of the table with its gaps filled.
fn filled(path: &str) -> String {
    path.replace("{number}", "1")
        .replace("{view}", "before.png")
}

fn measured() -> Measured {
    let mut measured = Measured {
        frames: 90,
        captured: 100,
        last_frame: Some(std::time::Instant::now()),
        board: Reading {
            celsius: Some(61.5),
            throttled: true,
        },
        sinks: vec![MeasuredSink {
            name: "record:\"clips\"\\".into(),
            up: true,
            given: 90,
            taken: 80,
            restarts: 2,
        }],
        ..Measured::default()
    };
    for ms in [1, 3, 40] {
        measured.age.add(Duration::from_millis(ms));
    }
    measured
}

#[test]
fn a_taken_address_is_named() {
    let served = served();
    let mut settings = Settings::plain(served.running.address());
    settings.folder = served.folder.path().to_owned();
    let error = start(settings, served.board.clone())
        .err()
        .unwrap()
        .to_string();
    let address = served.running.address().to_string();
    assert!(
        error.contains(&address) && error.contains("in use"),
        "{error}"
    );
}

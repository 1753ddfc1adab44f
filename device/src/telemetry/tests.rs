use std::io::Read;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hone_shared::telemetry::{BoardState, Decoder, Message, Phase, SerialAddress, encode};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::*;
use crate::journal::Journal;

fn state() -> BoardState {
    BoardState {
        model: "twin".into(),
        version: "0.1.0".into(),
        bundle: "street 1.0.0".into(),
        level: "small".into(),
        phase: Phase::Live,
        degraded: false,
        fps: 30.0,
        age_p50_ms: 20.0,
        age_p99_ms: 30.0,
        engine_ms: 10.0,
        celsius: None,
        throttled: false,
        frames: 1,
        dropped: 0,
        slates: 0,
        failed: 0,
        reconnects: 0,
        uptime_s: 1,
        unsent: 0,
        notice: String::new(),
    }
}

fn frame(sequence: u64) -> Vec<u8> {
    let message = Message {
        board: "north".into(),
        run: 1,
        sequence,
        state: state(),
    };
    encode(&message).unwrap()
}

fn read(frames: &[u8]) -> Vec<Message> {
    let mut got = Vec::new();
    Decoder::default().push(frames, &mut |message| got.push(message.unwrap()));
    got
}

type Order = Result<(), TelemetryError>;

/// Takes frames when it is told how, by `Ok` or an error.
struct Twin {
    orders: Receiver<Order>,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Twin {
    fn new() -> (Self, Sender<Order>, Arc<Mutex<Vec<u8>>>) {
        let (order, orders) = channel();
        let taken = Arc::<Mutex<Vec<u8>>>::default();
        let twin = Self {
            orders,
            taken: taken.clone(),
        };
        (twin, order, taken)
    }
}

impl Carry for Twin {
    fn name(&self) -> String {
        "twin".into()
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), TelemetryError> {
        self.orders.recv().unwrap()?;
        self.taken.lock().unwrap().extend_from_slice(frame);
        Ok(())
    }
}

#[test]
fn a_carrier_that_is_stuck_holds_nobody_up_and_the_newest_win() {
    let feed = Feed::default();
    let (mut stuck, order, taken) = Twin::new();
    let mut other = feed.subscribe();
    let inbox = feed.subscribe();
    let thread = std::thread::spawn(move || carry(&mut stuck, inbox, &mut |_| {}));
    for sequence in 0..100 {
        feed.publish(frame(sequence));
        assert_eq!(read(&other.wait().unwrap())[0].sequence, sequence);
    }
    // Now it goes on, with what is not too old.
    for _ in 0..20 {
        order.send(Ok(())).unwrap();
    }
    let left = feed.clone();
    drop((feed, other));
    while read(&taken.lock().unwrap()).last().map(|m| m.sequence) != Some(99) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let taken = read(&taken.lock().unwrap());
    let sequence: Vec<u64> = taken.iter().map(|m| m.sequence).collect();
    assert!(sequence.len() <= 10, "{sequence:?}");
    assert!(
        sequence.ends_with(&(92..100).collect::<Vec<_>>()),
        "{sequence:?}"
    );
    assert_eq!(left.unsent(), 100 - sequence.len() as u64);
    drop(left);
    thread.join().unwrap();
}

#[test]
fn what_cannot_be_sent_is_counted_and_told_once() {
    let feed = Feed::default();
    let (mut twin, order, taken) = Twin::new();
    let inbox = feed.subscribe();
    let fail = || Err(TelemetryError::System("no line".into()));
    for result in [fail(), fail(), Ok(()), fail()] {
        order.send(result).unwrap();
        feed.publish(vec![1, 0]);
    }
    let unsent = feed.clone();
    let told = std::thread::spawn(move || {
        let mut told = Vec::new();
        carry(&mut twin, inbox, &mut |line| told.push(line.to_owned()));
        told
    });
    while unsent.unsent() < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop((feed, unsent));
    let told = told.join().unwrap();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[0].contains("no line") && told[1].contains("works again"),
        "{told:?}"
    );
    assert_eq!(*taken.lock().unwrap(), [1, 0]);
}

#[test]
fn nobody_listens_and_nobody_looks() {
    let feed = Feed::default();
    let settings = Settings {
        board: "north".into(),
        every: Duration::from_millis(1),
    };
    let (looked, looks) = channel();
    let reporter = Reporter::start(settings, feed.clone(), Journal::default(), move || {
        looked.send(()).unwrap();
        state()
    });
    std::thread::sleep(Duration::from_millis(50));
    assert!(looks.try_recv().is_err());
    let mut inbox = feed.subscribe();
    assert_eq!(read(&inbox.wait().unwrap())[0].sequence, 0);
    drop(reporter);
}

#[test]
fn frames_come_through_a_serial_line_as_they_are() {
    let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&near).unwrap();
    unlockpt(&near).unwrap();
    let path = ptsname(&near, Vec::new()).unwrap().into_string().unwrap();
    let address: SerialAddress = format!("{path}@921600").parse().unwrap();
    let mut line = SerialLine::new(address);
    // Every byte, those that a terminal would swallow or change among them.
    let bytes: Vec<u8> = (0..=255).collect();
    line.send(&bytes).unwrap();
    let mut near = std::fs::File::from(near);
    let mut got = vec![0; 257];
    near.read_exact(&mut got).unwrap();
    assert_eq!(got, [&[0], &bytes[..]].concat());

    // Nobody reads: it is told within a second, and other frames go once there is room.
    let error = loop {
        if let Err(error) = line.send(&[7; 4000]) {
            break error.to_string();
        }
    };
    assert!(error.contains(&path) && error.contains("nobody"), "{error}");
}

#[test]
fn a_line_that_is_not_there_is_told_and_may_come() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ttyUSB0");
    let address = path.to_str().unwrap().parse().unwrap();
    let mut line = SerialLine::new(address);
    let error = line.send(b"x").unwrap_err().to_string();
    assert!(
        error.contains("ttyUSB0") && error.contains("No such file"),
        "{error}"
    );
    // An ordinary file stays as it is, and a pipe in its place is taken.
    std::fs::write(&path, b"diary").unwrap();
    let error = line.send(b"x").unwrap_err().to_string();
    assert!(error.contains("it is a file, no serial line"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"diary");
    std::fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let mut pipe = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    line.send(b"x").unwrap();
    let mut got = [1; 2];
    pipe.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"\0x");
}

#[test]
fn authorities_that_are_none_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    for content in [
        "",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(&path, content).unwrap();
        let error = tls::client(Some(&path), &[]).unwrap_err().to_string();
        assert!(error.contains("ca.pem"), "{error}");
    }
    assert!(tls::client(Some(&folder.path().join("none")), &[]).is_err());
    tls::client(None, &[]).unwrap();
}

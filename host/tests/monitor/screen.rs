//! `hone monitor` in a terminal of its own.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::monitor::PATIENCE;

/// What a program writes to take the alternate screen, and to give it back.
const TAKEN: &[u8] = b"\x1b[?1049h";
const GIVEN_BACK: &[u8] = b"\x1b[?1049l";

/// Whether `done` comes true in time.
fn comes(mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Ends a monitor by `signal`: it ends by it, and the terminal is as it was.
pub fn restores(signal: Signal) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let near = openpt(flags).unwrap();
    grantpt(&near).unwrap();
    unlockpt(&near).unwrap();
    let path = ptsname(&near, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let far = open(&path, flags, Mode::empty()).unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&far, size).unwrap();
    let cooked = || {
        let modes = tcgetattr(&far).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    };
    assert!(cooked());
    let mut child = Command::new(env!("CARGO_BIN_EXE_hone"))
        .args(["monitor", "localhost:1"])
        .stdin(far.try_clone().unwrap())
        .stdout(far.try_clone().unwrap())
        .spawn()
        .unwrap();
    let written = Arc::<Mutex<Vec<u8>>>::default();
    let all = written.clone();
    std::thread::spawn(move || {
        let (mut near, mut bytes) = (File::from(near), [0; 4096]);
        // It fails once nobody holds the other end.
        while let Ok(length @ 1..) = near.read(&mut bytes) {
            all.lock().unwrap().extend_from_slice(&bytes[..length]);
        }
    });
    let wrote = |what: &[u8]| {
        let written = written.lock().unwrap();
        written.windows(what.len()).any(|part| part == what)
    };
    let taken = comes(|| wrote(TAKEN)) && !cooked();
    kill_process(Pid::from_child(&child), signal).unwrap();
    let ended = comes(|| child.try_wait().unwrap().is_some());
    // Nothing is left behind by a test that fails.
    let _ = child.kill();
    let status = child.wait().unwrap();
    assert!(taken && ended, "taken: {taken}, ended: {ended}");
    assert_eq!(status.signal(), Some(signal.as_raw()));
    assert!(comes(|| wrote(GIVEN_BACK)));
    assert!(cooked());
}

//! A serial line, for boards without a network.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use hone_shared::telemetry::SerialAddress;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, isatty, tcgetattr, tcsetattr};

use super::{Carry, TelemetryError};

/// A line that takes no byte for so long has nobody at its other end.
const PATIENCE: Duration = Duration::from_millis(900);

/// A serial line to write to.
#[derive(Debug)]
pub struct SerialLine {
    address: SerialAddress,
    line: Option<File>,
}

impl SerialLine {
    /// The line at `address`; it is opened with the first frame.
    pub fn new(address: SerialAddress) -> Self {
        Self {
            address,
            line: None,
        }
    }

    fn write(&mut self, frame: &[u8]) -> std::io::Result<()> {
        let line = match &mut self.line {
            Some(line) => line,
            none => {
                refuse_file(&self.address)?;
                let mut line = open_line(&self.address)?;
                // Ends what the line had before: a login prompt, half a frame.
                write_all(&mut line, &[0])?;
                none.insert(line)
            }
        };
        write_all(line, frame)
    }
}

impl Carry for SerialLine {
    fn name(&self) -> String {
        format!("serial line {}", self.address)
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), TelemetryError> {
        self.write(frame).map_err(|reason| {
            self.line = None;
            TelemetryError::Serial {
                path: self.address.path.clone(),
                reason,
            }
        })
    }
}

/// Refuses an ordinary file, whose first bytes would be overwritten.
///
/// # Errors
/// What to do.
pub(super) fn refuse_file(address: &SerialAddress) -> std::io::Result<()> {
    // What is not there may come, and is told when it is opened.
    if std::fs::metadata(&address.path).is_ok_and(|meta| meta.is_file()) {
        return Err(std::io::Error::other(
            "it is a file, no serial line: give a device such as /dev/ttyS0",
        ));
    }
    Ok(())
}

/// Opens a serial line for reading and writing without waiting: eight bits, no parity, every byte as it
/// is. A path that is no terminal, such as a pipe, is taken as it is.
///
/// # Errors
/// The system's words.
pub fn open_line(address: &SerialAddress) -> std::io::Result<File> {
    let line = OpenOptions::new()
        .read(true)
        .write(true)
        // A terminal must not become ours, and a modem that is off must not hold us up.
        .custom_flags((OFlags::NOCTTY | OFlags::NONBLOCK).bits() as i32)
        .open(&address.path)?;
    if isatty(&line) {
        let mut terminal = tcgetattr(&line)?;
        terminal.make_raw();
        terminal.set_speed(address.baud)?;
        tcsetattr(&line, OptionalActions::Now, &terminal)?;
    }
    Ok(line)
}

fn write_all(line: &mut File, mut bytes: &[u8]) -> std::io::Result<()> {
    let end = Instant::now() + PATIENCE;
    while !bytes.is_empty() {
        match line.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait_for_room(line, end)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait_for_room(line: &File, end: Instant) -> std::io::Result<()> {
    let left = end.saturating_duration_since(Instant::now());
    let time = Timespec::try_from(left).map_err(|_| ErrorKind::InvalidInput)?;
    let mut fds = [PollFd::new(line, PollFlags::OUT)];
    match poll(&mut fds, Some(&time))? {
        0 => Err(std::io::Error::new(
            ErrorKind::TimedOut,
            "nobody takes the bytes at its other end",
        )),
        _ => Ok(()),
    }
}

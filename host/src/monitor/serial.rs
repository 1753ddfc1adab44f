//! A board at a serial line.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use hone_device::backoff::Backoff;
use hone_device::telemetry::open_line;
use hone_shared::telemetry::{Decoder, SerialAddress};

use super::http::decoded;
use super::{News, Outlet, Over};

/// Time between two looks at a line that has nothing to say.
const LOOK: Duration = Duration::from_millis(50);
/// A line that says nothing for so long has no board at its other end.
const SILENCE: Duration = Duration::from_secs(10);

pub(super) fn follow(address: &SerialAddress, events: &Outlet) {
    let mut backoff = Backoff::default();
    loop {
        let reason = match read(address, events, &mut backoff) {
            Ok(Over) => return,
            Err(error) => error.to_string(),
        };
        if events.tell_blocking(News::Lost(reason)).is_err() {
            return;
        }
        std::thread::sleep(backoff.wait());
    }
}

/// Reads until nobody listens; an error when the line is gone or silent.
fn read(address: &SerialAddress, events: &Outlet, backoff: &mut Backoff) -> std::io::Result<Over> {
    let mut line = open_line(address)?;
    let (mut decoder, mut buffer) = (Decoder::default(), [0; 4096]);
    let mut heard = Instant::now();
    let (mut noise, mut connected) = (false, false);
    loop {
        if heard.elapsed() > SILENCE {
            return Err(std::io::Error::other(match noise && !connected {
                true => "only noise: is the baud rate right?",
                false => "no board says anything",
            }));
        }
        let length = match line.read(&mut buffer) {
            Ok(0) => return Err(std::io::Error::other("the line is closed")),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if events.events.is_closed() {
                    return Ok(Over);
                }
                std::thread::sleep(LOOK);
                continue;
            }
            Err(error) => return Err(error),
        };
        // At a wrong rate there may never be the end of a frame.
        noise = true;
        for news in decoded(&mut decoder, &buffer[..length]) {
            if matches!(news, News::Message(_)) {
                backoff.reset();
                heard = Instant::now();
                if !std::mem::replace(&mut connected, true)
                    && events.tell_blocking(News::Connected).is_err()
                {
                    return Ok(Over);
                }
            }
            if events.tell_blocking(news).is_err() {
                return Ok(Over);
            }
        }
    }
}

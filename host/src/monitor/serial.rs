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
    listen(&mut open_line(address)?, SILENCE, events, backoff)
}

fn listen(
    line: &mut impl Read,
    silence: Duration,
    events: &Outlet,
    backoff: &mut Backoff,
) -> std::io::Result<Over> {
    let (mut decoder, mut buffer) = (Decoder::default(), [0; 4096]);
    let mut heard = Instant::now();
    let (mut noise, mut connected) = (false, false);
    loop {
        let length = match line.read(&mut buffer) {
            Ok(0) => return Err(std::io::Error::other("the line is closed")),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        // At a wrong rate there may never be the end of a frame.
        noise |= length > 0;
        let mut silent = true;
        for news in decoded(&mut decoder, &buffer[..length]) {
            if matches!(news, News::Message(_)) {
                backoff.reset();
                heard = Instant::now();
                silent = false;
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
        // Not before what came meanwhile was read: this program may have been stopped, or its queue full.
        if silent && heard.elapsed() > silence {
            return Err(std::io::Error::other(match noise && !connected {
                true => "only noise: is the baud rate right?",
                false => "no board says anything",
            }));
        }
        if length == 0 {
            if events.events.is_closed() {
                return Ok(Over);
            }
            std::thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use hone_shared::telemetry::encode;

    use super::*;
    use crate::monitor::tests::message;

    /// What reads bring, and then nothing.
    struct Parts(VecDeque<Vec<u8>>);

    impl Read for Parts {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let part = self.0.pop_front().ok_or(ErrorKind::WouldBlock)?;
            buffer[..part.len()].copy_from_slice(&part);
            Ok(part.len())
        }
    }

    /// What is heard, and why it ends, where no silence is borne.
    fn heard(parts: Vec<Vec<u8>>) -> (Vec<News>, String) {
        let (send, mut receive) = tokio::sync::mpsc::channel(8);
        let events = Outlet::new("/dev/x".into(), send);
        let (mut parts, mut backoff) = (Parts(parts.into()), Backoff::default());
        let error = listen(&mut parts, Duration::ZERO, &events, &mut backoff).unwrap_err();
        let told = std::iter::from_fn(|| receive.try_recv().ok());
        (told.map(|event| event.news).collect(), error.to_string())
    }

    #[test]
    fn what_waits_at_the_line_is_heard_before_it_is_silent() {
        let messages = [0, 1].map(|sequence| message("pole", 1, sequence));
        let frames = messages.iter().map(|message| encode(message).unwrap());
        let mut wanted = vec![News::Connected];
        wanted.extend(messages.iter().cloned().map(Box::new).map(News::Message));
        assert_eq!(
            heard(frames.collect()),
            (wanted, "no board says anything".into())
        );
        let noise = (vec![], "only noise: is the baud rate right?".into());
        assert_eq!(heard(vec![vec![0xff; 9]]), noise);
        assert_eq!(heard(vec![]).1, "no board says anything");
    }
}

//! Asks a network camera for a connection where GStreamer does not say why it got none, or says
//! nothing at all.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::address::Address;
use super::fault::Fault;

/// How long a camera may take to answer, at each of its addresses.
const ANSWER: Duration = Duration::from_millis(1500);

/// How long all of this may take; finding a name may take longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);
/// A camera that is silent for so long is asked, before the session gives it up.
const SILENT: Duration = Duration::from_secs(2);

/// What a camera's port has to say: why it takes no connection.
type Answer = Result<(), String>;

/// What is not known yet of a network camera that has shown no picture.
#[derive(Debug)]
pub(super) struct Doubt {
    since: Instant,
    answer: Option<Receiver<Answer>>,
    /// The silence was looked into.
    asked: bool,
    /// GStreamer's words when it failed, and when.
    failed: Option<(Instant, String)>,
}

impl Default for Doubt {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            answer: None,
            asked: false,
            failed: None,
        }
    }
}

impl Doubt {
    /// Whether the source failed and the camera's answer is awaited.
    pub(super) fn open(&self) -> bool {
        self.failed.is_some()
    }

    /// Looks for the reason why no picture comes from `address`; `fault` is what GStreamer told just
    /// now. Waits for at most `wait`, and only after a failure.
    pub(super) fn look(
        &mut self,
        address: &Address<'_>,
        fault: Option<&Fault>,
        wait: Duration,
    ) -> Option<String> {
        if let Some(fault) = fault {
            self.failed = Some((Instant::now(), fault.vague.clone()?));
        }
        if self.failed.is_some() || (!self.asked && self.since.elapsed() > SILENT) {
            self.asked = true;
            self.answer = self.answer.take().or_else(|| ask(address));
        }
        let wait = if self.open() { wait } else { Duration::ZERO };
        let answer = match self.answer.as_ref().map(|a| a.recv_timeout(wait)) {
            Some(Err(RecvTimeoutError::Timeout)) => {
                let over = |(at, _): &(Instant, String)| at.elapsed() > PATIENCE;
                self.failed.as_ref().filter(|failed| over(failed))?;
                None
            }
            Some(Ok(answer)) => Some(answer),
            Some(Err(RecvTimeoutError::Disconnected)) | None => None,
        };
        self.answer = None;
        match (answer, self.failed.take()) {
            (Some(Err(reason)), _) => Some(reason),
            (Some(Ok(())), Some((_, words))) if address.scheme() == "https" => Some(format!(
                "{words}, though the camera takes connections; is it https, with a certificate that is \
                 trusted here? If not, give its http address"
            )),
            (Some(Ok(())), Some((_, words))) => Some(format!(
                "{words}, though the camera takes connections; is the address of the stream right?"
            )),
            (_, failed) => failed.map(|(_, words)| words),
        }
    }
}

/// Asks the host of `address` on a thread of its own: finding a name may take long. `None` when the
/// protocol knows no connections.
fn ask(address: &Address<'_>) -> Option<Receiver<Answer>> {
    let (host, port) = address.tcp()?;
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let answer = connect(&host, port).map_err(|error| {
            format!(
                "cannot reach {host}:{port}: {}; is the camera on and the address right?",
                words(&error)
            )
        });
        // Whoever asked may have given up.
        let _ = send.send(answer);
    });
    Some(receive)
}

fn connect(host: &str, port: u16) -> io::Result<()> {
    let mut last = io::Error::other("the name stands for no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, ANSWER) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The system's words alone.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.trim_start_matches("failed to lookup address information: ");
    text.split(" (os error").next().unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(address: &str) -> Answer {
        let address = Address::of(address).unwrap();
        ask(&address).unwrap().recv().unwrap()
    }

    #[test]
    fn a_port_answers_or_the_system_says_why_not() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let place = listener.local_addr().unwrap();
        assert_eq!(answer(&format!("http://{place}/x")), Ok(()));
        drop(listener);
        let want = format!(
            "cannot reach {place}: Connection refused; is the camera on and the address right?"
        );
        assert_eq!(answer(&format!("rtsp://{place}/x")), Err(want));
        assert!(ask(&Address::of("srt://127.0.0.1:9000").unwrap()).is_none());
    }

    #[test]
    fn a_vague_failure_gets_a_reason_and_a_plain_one_is_left_alone() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = format!("http://{}/x", listener.local_addr().unwrap());
        let address = Address::of(&address).unwrap();
        let fault = |vague: Option<&str>| Fault {
            error: crate::camera::error::CameraError::Gstreamer("no".into()),
            vague: vague.map(str::to_owned),
        };
        let look = |fault: Fault| {
            let mut doubt = Doubt::default();
            let reason = doubt.look(&address, Some(&fault), PATIENCE);
            assert!(!doubt.open());
            reason
        };
        assert_eq!(look(fault(None)), None);
        let words = look(fault(Some("Could not"))).unwrap();
        assert!(
            words.starts_with("Could not, though the camera takes"),
            "{words}"
        );
        drop(listener);
        let words = look(fault(Some("Could not"))).unwrap();
        assert!(words.starts_with("cannot reach 127.0.0.1:"), "{words}");
        assert_eq!(Doubt::default().look(&address, None, PATIENCE), None);
    }
}

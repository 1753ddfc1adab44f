//! Telling systemd that the service is ready and alive (sd_notify(3)).

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

/// Says that the program works.
const ALIVE: &[u8] = b"WATCHDOG=1";

/// Whether a service manager started this program and waits for its word.
pub fn is_service() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some_and(|address| !address.is_empty())
}

/// The service manager's socket, if there is one.
#[derive(Debug)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
    every: Option<Duration>,
    last: Instant,
}

impl ServiceManager {
    /// Connects to the socket named in `NOTIFY_SOCKET`; without it, all calls do nothing.
    pub fn from_environment() -> Self {
        let address = std::env::var("NOTIFY_SOCKET").ok();
        let micros = std::env::var("WATCHDOG_USEC").ok();
        Self::connect(address.as_deref(), micros.and_then(|m| m.parse().ok()))
    }

    /// Connects to `address`; `watchdog` is the manager's patience in microseconds.
    pub fn connect(address: Option<&str>, watchdog: Option<u64>) -> Self {
        Self {
            socket: address.and_then(connected),
            // Twice as often as needed, as sd_watchdog_enabled(3) advises.
            every: watchdog.map(|micros| Duration::from_micros(micros / 2)),
            last: Instant::now(),
        }
    }

    /// Says that frames flow.
    pub fn ready(&self) {
        self.send(b"READY=1");
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        self.send(format!("STATUS={}", text.replace('\n', " ")).as_bytes());
    }

    /// Says that the service goes down. From now on the manager counts the time that it grants for that; its watchdog must not
    /// end a program whose outputs take longer than a frame.
    pub fn stopping(&self) {
        self.send(b"STOPPING=1");
        let socket = self.socket.as_ref().and_then(|s| s.try_clone().ok());
        let Some((socket, every)) = socket.zip(self.every) else {
            return;
        };
        let feed = move || {
            while socket.send(ALIVE).is_ok() {
                std::thread::sleep(every);
            }
        };
        // Without a thread the outputs have as long as the watchdog waits.
        let _ = std::thread::Builder::new()
            .name("watchdog".into())
            .spawn(feed);
    }

    /// Says that the loop still turns, as often as the manager asked for.
    pub fn alive(&mut self) {
        if self.every.is_some_and(|every| self.last.elapsed() >= every) {
            self.last = Instant::now();
            self.send(ALIVE);
        }
    }

    fn send(&self, text: &[u8]) {
        if let Some(socket) = &self.socket {
            // A manager that does not listen is no reason to stop a camera.
            let _ = socket.send(text);
        }
    }
}

fn connected(address: &str) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    #[cfg(target_os = "linux")]
    if let Some(name) = address.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name).ok()?;
        socket.connect_addr(&address).ok()?;
        return Some(socket);
    }
    socket.connect(address).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_that_the_service_lives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let mut manager = ServiceManager::connect(path.to_str(), Some(0));
        manager.ready();
        manager.alive();
        manager.status("live\nnow");
        let hear = || {
            let mut bytes = [0; 64];
            let length = listener.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        assert_eq!(hear(), "READY=1");
        assert_eq!(hear(), "WATCHDOG=1");
        assert_eq!(hear(), "STATUS=live now");
        let manager = ServiceManager::connect(path.to_str(), Some(2000));
        manager.stopping();
        assert_eq!(hear(), "STOPPING=1");
        for _ in 0..3 {
            assert_eq!(hear(), "WATCHDOG=1");
        }
        ServiceManager::connect(None, Some(0)).alive();
    }
}

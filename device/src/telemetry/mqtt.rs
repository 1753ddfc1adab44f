//! MQTT: each message one frame under `TOPIC/BOARD/telemetry`, and a retained `online` or `offline` under
//! `TOPIC/BOARD/status`, the latter as the last will.

mod fault;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hone_shared::telemetry::BrokerAddress;
use rumqttc::{
    AsyncClient, Event, EventLoop, LastWill, MqttOptions, Packet, QoS, TlsConfiguration, Transport,
};
use tokio::sync::oneshot;
use tokio_rustls::rustls::ClientConfig;

use super::{Carry, TelemetryError};
use crate::backoff::Backoff;

use fault::ended_by_broker;
pub use fault::{of_system, reason};

/// Frames that may wait for the connection.
const WAITING: usize = 8;
/// A broker notices within one and a half of it that a board is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A connection that held so long works: longer than the longest wait of another client that wants its place.
const SETTLED: Duration = Duration::from_secs(20);
/// So often in a row a broker may be at fault that ends the connection; then it may be for another client of our name.
const CHANCE: u32 = 2;
/// How a broker's certificate comes to be trusted.
const TRUST: &str =
    "give its fingerprint (telemetry.fingerprint), or the authorities (telemetry.authorities)";

/// A broker to publish to.
pub struct Broker {
    name: String,
    topic: String,
    client: AsyncClient,
    /// Why there is no connection; `None` while there is one.
    down: Arc<Mutex<Option<String>>>,
    /// Closes the connection when it is dropped.
    _open: oneshot::Sender<()>,
}

/// How to reach `address` as `client`; `tls` counts for `mqtts` only.
pub fn options(address: &BrokerAddress, client: &str, tls: Arc<ClientConfig>) -> MqttOptions {
    let mut options = MqttOptions::new(client, &address.host, address.port);
    options.set_keep_alive(KEEP_ALIVE);
    if let Some((user, password)) = &address.login {
        options.set_credentials(user, password);
    }
    if address.tls {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
    }
    options
}

/// The broker at `address` for the board `board`, and the future that keeps the connection: it ends
/// when the broker is dropped.
pub fn broker(
    address: &BrokerAddress,
    board: &str,
    tls: Arc<ClientConfig>,
) -> (Broker, impl Future<Output = ()> + Send + use<>) {
    // Always the same: a broker that still holds the connection of before a power cut ends it then, and
    // sends its will before the new one says that it is there.
    let mut options = options(address, &address.client_id(board), tls);
    let status = address.status_topic(board);
    let will = LastWill::new(&status, BrokerAddress::OFFLINE, QoS::AtLeastOnce, true);
    options.set_last_will(will);
    let (client, events) = AsyncClient::new(options, WAITING);
    let down = Arc::new(Mutex::new(Some("it was not reached yet".to_owned())));
    let (open, closed) = oneshot::channel();
    let board = board.to_owned();
    let broker = Broker {
        name: address.to_string(),
        topic: address.telemetry_topic(&board),
        client: client.clone(),
        down: down.clone(),
        _open: open,
    };
    let keep = async move {
        tokio::select! {
            // It only ever ends by the other end being dropped.
            _ = closed => {}
            () = keep(client, events, status, &board, &down) => {}
        }
    };
    (broker, keep)
}

async fn keep(
    client: AsyncClient,
    mut events: EventLoop,
    status: String,
    board: &str,
    down: &Mutex<Option<String>>,
) {
    let mut backoff = Backoff::default();
    let mut connected: Option<Instant> = None;
    let mut thrown_out = 0;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                connected = Some(Instant::now());
                *down.lock().unwrap_or_else(PoisonError::into_inner) = None;
                // Only a queue full of frames refuses, and those say the same.
                let _ = client.try_publish(&status, QoS::AtLeastOnce, true, BrokerAddress::ONLINE);
            }
            Ok(_) => {}
            Err(error) => {
                let mut why = reason(&error, TRUST);
                // Only a connection that held shortens the wait: two clients of one name would otherwise throw each
                // other out several times a second.
                match connected.take().map(|at| at.elapsed()) {
                    Some(held) if held >= SETTLED => {
                        backoff.reset();
                        thrown_out = 0;
                    }
                    Some(_) if ended_by_broker(&error) => thrown_out += 1,
                    Some(_) | None => {}
                }
                if thrown_out > CHANCE {
                    why =
                        format!("{why}: is another board called {board} too? give telemetry.name");
                }
                *down.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                tokio::time::sleep(backoff.wait()).await;
            }
        }
    }
}

impl Carry for Broker {
    fn name(&self) -> String {
        format!("broker {}", self.name)
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), TelemetryError> {
        let failed = |reason: String| TelemetryError::Broker {
            broker: self.name.clone(),
            reason,
        };
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = &*down {
            return Err(failed(reason.clone()));
        }
        let sent = self
            .client
            .try_publish(&self.topic, QoS::AtLeastOnce, false, frame);
        sent.map_err(|_| failed("it takes messages too slowly".into()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::telemetry::tls;

    /// A broker that takes every client and throws it out at once, or with what it said unread; tells of the first bytes
    /// of each.
    fn hostile(unread: bool) -> (u16, std::sync::mpsc::Receiver<Vec<u8>>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, clients) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (mut client, mut hello) = (client.unwrap(), vec![0; 512]);
                let length = client.read(&mut hello).unwrap();
                hello.truncate(length);
                // CONNACK: accepted. The test may be over by now.
                let _ = client.write_all(&[0x20, 2, 0, 0]);
                if unread {
                    // The system resets a connection that is closed with something unread.
                    let _ = client.peek(&mut [0]);
                }
                if told.send(hello).is_err() {
                    return;
                }
            }
        });
        (port, clients)
    }

    /// What a board is told after it was thrown out again and again.
    fn thrown_out(unread: bool) -> String {
        let (port, clients) = hostile(unread);
        let address = format!("mqtt://127.0.0.1:{port}/site/south")
            .parse()
            .unwrap();
        let (mut broker, keep) = broker(&address, "north", tls::client(None, &[]).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        std::thread::spawn(move || runtime.block_on(keep));
        let hello = clients.recv_timeout(Duration::from_secs(60)).unwrap();
        let named = hello.windows(16).any(|bytes| bytes == b"site/south-north");
        assert!(named, "{}", String::from_utf8_lossy(&hello));
        let wanted = "is another board called north too? give telemetry.name";
        let begun = Instant::now();
        let told = loop {
            let told = broker.send(b"x").err().map(|error| error.to_string());
            if let Some(told) = told.filter(|told| told.ends_with(wanted)) {
                break told;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "never asked");
            std::thread::sleep(Duration::from_millis(5));
        };
        // Not before the third time.
        assert!(clients.try_iter().count() >= 2);
        told
    }

    #[test]
    fn who_is_thrown_out_again_and_again_is_asked_for_a_name() {
        thrown_out(false);
    }

    #[test]
    fn a_reset_is_told_in_the_systems_words() {
        let told = thrown_out(true);
        assert!(told.contains("south: Connection reset by peer"), "{told}");
    }
}

//! MQTT: each message one frame under `TOPIC/BOARD/telemetry`, and a retained `online` or `offline` under
//! `TOPIC/BOARD/status`, the latter as the last will.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hone_shared::telemetry::BrokerAddress;
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, LastWill, MqttOptions, Packet, QoS, StateError,
    TlsConfiguration, Transport,
};
use tokio::sync::oneshot;
use tokio_rustls::rustls::ClientConfig;

use super::{Carry, TelemetryError};
use crate::backoff::Backoff;

/// Frames that may wait for the connection.
const WAITING: usize = 8;
/// A broker notices within one and a half of it that a board is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

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
    let mut options = options(address, &format!("hone-{board}"), tls);
    let status = address.status_topic(board);
    let will = LastWill::new(&status, BrokerAddress::OFFLINE, QoS::AtLeastOnce, true);
    options.set_last_will(will);
    let (client, events) = AsyncClient::new(options, WAITING);
    let down = Arc::new(Mutex::new(Some("it was not reached yet".to_owned())));
    let (open, closed) = oneshot::channel();
    let broker = Broker {
        name: address.to_string(),
        topic: address.telemetry_topic(board),
        client: client.clone(),
        down: down.clone(),
        _open: open,
    };
    let keep = async move {
        tokio::select! {
            // It only ever ends by the other end being dropped.
            _ = closed => {}
            () = keep(client, events, status, &down) => {}
        }
    };
    (broker, keep)
}

async fn keep(
    client: AsyncClient,
    mut events: EventLoop,
    status: String,
    down: &Mutex<Option<String>>,
) {
    let mut backoff = Backoff::default();
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                backoff.reset();
                *down.lock().unwrap_or_else(PoisonError::into_inner) = None;
                // Only a queue full of frames refuses, and those say the same.
                let _ = client.try_publish(&status, QoS::AtLeastOnce, true, BrokerAddress::ONLINE);
            }
            Ok(_) => {}
            Err(error) => {
                *down.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason(&error));
                tokio::time::sleep(backoff.wait()).await;
            }
        }
    }
}

/// Why there is no connection, for people.
pub fn reason(error: &ConnectionError) -> String {
    match error {
        ConnectionError::MqttState(StateError::Io(error)) | ConnectionError::Io(error) => {
            error.to_string()
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            "it ended the connection".into()
        }
        ConnectionError::ConnectionRefused(code) => format!("it refuses us: {code:?}"),
        ConnectionError::NetworkTimeout => "no answer".into(),
        other => other.to_string(),
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

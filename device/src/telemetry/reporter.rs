//! The thread that looks at the board once a second.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use hone_shared::config::TelemetryConfig;
use hone_shared::telemetry::{BoardState, Carrier, Fingerprint, Message, encode};
use tokio_rustls::rustls::ClientConfig;

use super::{Carry, Feed, SerialLine, TelemetryError, carry, mqtt, serial, tls};
use crate::journal::Journal;
use crate::systemd;

/// How the board tells of itself.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name.
    pub board: String,
    /// Time between two messages; a second, but for tests.
    pub every: Duration,
}

impl Settings {
    /// What the configuration says, with the host name where it says none.
    pub fn new(config: &TelemetryConfig) -> Self {
        let named = |name: String| (!name.is_empty()).then_some(name);
        let host = || {
            let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            named(name.trim().replace(['/', '+', '#'], "-"))
        };
        let board = named(config.name.clone()).or_else(host);
        Self {
            board: board.unwrap_or_else(|| "board".into()),
            every: Duration::from_secs(1),
        }
    }
}

/// Tells of the board until it is dropped.
#[derive(Debug)]
pub struct Reporter {
    _stop: Sender<()>,
}

impl Reporter {
    /// Begins to publish to `feed` what `look` sees, while anybody listens; `journal` hears of what
    /// cannot be told.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn start(
        settings: Settings,
        feed: Feed,
        journal: Journal,
        look: impl Fn() -> BoardState + Send + 'static,
    ) -> Result<Self, TelemetryError> {
        let (stop, stopped) = channel();
        spawn("telemetry", move || {
            let run = RandomState::new().hash_one(std::process::id());
            let mut sequence = 0;
            while stopped.recv_timeout(settings.every) == Err(RecvTimeoutError::Timeout) {
                if !feed.heard() {
                    continue;
                }
                let state = BoardState {
                    unsent: feed.unsent(),
                    ..look()
                };
                let message = Message {
                    board: settings.board.clone(),
                    run,
                    sequence,
                    state,
                };
                sequence += 1;
                match encode(&message) {
                    Ok(frame) => feed.publish(frame),
                    Err(error) => journal.say(format_args!("warning: telemetry: {error}")),
                }
            }
        })?;
        Ok(Self { _stop: stop })
    }
}

/// Starts one of the carriers that `config` names on a thread of its own; `journal` hears how it goes.
///
/// # Errors
/// The certificates cannot be used, an ordinary file is named as a serial line at a terminal, or no thread is to be had. A line or a broker that is not there is
/// no error: it may come.
pub fn start_carrier(
    carrier: &Carrier,
    config: &TelemetryConfig,
    board: &str,
    feed: &Feed,
    journal: &Journal,
) -> Result<(), TelemetryError> {
    let mut carrier: Box<dyn Carry> = match carrier {
        Carrier::Serial(address) => {
            // At a terminal this is a mistake; a service says so with its first message and goes on.
            if !systemd::is_service() {
                serial::refuse_file(address).map_err(|reason| TelemetryError::Serial {
                    path: address.path.clone(),
                    reason,
                })?;
            }
            Box::new(SerialLine::new(address.clone()))
        }
        Carrier::Broker(address) => {
            let (broker, keep) = mqtt::broker(address, board, client(config)?);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| TelemetryError::System(error.to_string()))?;
            spawn("mqtt", move || runtime.block_on(keep))?;
            Box::new(broker)
        }
    };
    let (inbox, journal) = (feed.subscribe(), journal.clone());
    spawn("carrier", move || {
        carry(carrier.as_mut(), inbox, &mut |line| journal.say(line));
    })
}

/// Refuses what [`start_carrier`] would for its files, without reaching for a broker.
///
/// # Errors
/// [`TelemetryError::Authorities`].
pub fn check(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let broker = |carrier: &Carrier| matches!(carrier, Carrier::Broker(_));
    // The system's own are read when a broker is reached for: nothing can be wrong with them here.
    if config.authorities.is_empty() || !config.to.iter().any(broker) {
        return Ok(());
    }
    client(config).map(|_| ())
}

/// TLS towards brokers as `config` says.
fn client(config: &TelemetryConfig) -> Result<Arc<ClientConfig>, TelemetryError> {
    let authorities = (!config.authorities.is_empty()).then(|| Path::new(&config.authorities));
    let pinned = config.fingerprint.parse::<Fingerprint>();
    tls::client(authorities, &pinned.into_iter().collect::<Vec<_>>())
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), TelemetryError> {
    let thread = thread::Builder::new().name(name.to_owned());
    let spawned = thread.spawn(work).map(|_| ());
    spawned.map_err(|error| TelemetryError::System(format!("no thread: {error}")))
}

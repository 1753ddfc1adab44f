//! Many boards on one screen: what they say of themselves over HTTP, serial lines and MQTT.
//!
//! ```text
//!  page of a board   -- http.rs ---+
//!  serial line       -- serial.rs -+--> bounded channel of events --> Fleet --> screen, once a quarter second
//!  MQTT broker       -- mqtt.rs ---+                              +-> JSON lines
//! ```
//!
//! Every source is followed by itself and connected again after a failure, later each time.

mod cells;
mod column;
mod fleet;
mod http;
mod json;
mod mqtt;
mod screen;
mod serial;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::Arc;

use anyhow::{Context, Result};
use hone_shared::telemetry::{BrokerAddress, Message, SerialAddress};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_rustls::rustls::ClientConfig;

pub use column::Column;
pub use fleet::{Fleet, Row, Trouble};
pub use http::Page;
pub use json::{Line, stream};
pub use screen::{View, show};
pub use tokens::{Entry, Tokens};

/// Events that may wait to be shown; then sources wait, and boards give up their oldest messages.
const WAITING: usize = 1024;
/// How a certificate comes to be trusted.
const TRUST: &str = "give its fingerprint (--fingerprint), or the authorities (--authorities)";
/// The same where the token file has a fingerprint for the board, beside which no other counts.
const CORRECT: &str = "correct the fingerprint in its line of the token file";

/// A board's page, and how it is asked.
#[derive(Clone)]
pub struct Board {
    /// The page.
    pub page: Page,
    /// Its token.
    pub token: Option<String>,
    /// The client that knows its certificate.
    pub tls: Arc<ClientConfig>,
    /// It knows the one certificate that the board's line in the token file names.
    pub listed: bool,
}

/// What is followed.
#[derive(Clone, Default)]
pub struct Sources {
    /// Pages of boards.
    pub pages: Vec<Board>,
    /// Serial lines.
    pub lines: Vec<SerialAddress>,
    /// Brokers.
    pub brokers: Vec<BrokerAddress>,
}

/// What happened at an address: a board's, or a broker's with the board behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Where.
    pub address: String,
    /// What.
    pub news: News,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// The connection is there.
    Connected,
    /// A board told how it does.
    Message(Box<Message>),
    /// Bytes came that are no message.
    Damaged(String),
    /// There is no connection, or none any more.
    Lost(String),
    /// A broker says whether the board is connected to it.
    Online(bool),
    /// A board's status was taken back from its broker: it will not come again under this name.
    Forgotten,
}

/// Begins to follow `sources` on threads of their own until the receiver is dropped; brokers are reached by `tls`.
///
/// # Errors
/// No thread or no runtime is to be had.
pub fn follow(sources: Sources, tls: Arc<ClientConfig>) -> Result<Receiver<Event>> {
    open_more();
    let (send, receive) = channel(WAITING);
    for line in sources.lines {
        let events = Outlet::new(line.path.clone(), send.clone());
        std::thread::Builder::new()
            .name("serial".into())
            .spawn(move || serial::follow(&line, &events))
            .context("cannot start a thread")?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the network's runtime")?;
    let work = async move {
        let mut tasks = tokio::task::JoinSet::new();
        for board in sources.pages {
            let events = Outlet::new(board.page.address(), send.clone());
            tasks.spawn(async move { board.follow(&events).await });
        }
        for broker in sources.brokers {
            tasks.spawn(mqtt::follow(broker, tls.clone(), send.clone()));
        }
        drop(send);
        while tasks.join_next().await.is_some() {}
    };
    std::thread::Builder::new()
        .name("network".into())
        .spawn(move || runtime.block_on(work))
        .context("cannot start a thread")?;
    Ok(receive)
}

/// Takes as many open files as the system lets us: each board is one, and most shells give 1024.
fn open_more() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without more, the boards beyond tell themselves that there are too many open files.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Where one source tells its events; full queues hold the source up.
#[derive(Debug, Clone)]
struct Outlet {
    address: String,
    events: Sender<Event>,
}

/// Nobody listens any more.
#[derive(Debug)]
struct Over;

impl Outlet {
    fn new(address: String, events: Sender<Event>) -> Self {
        Self { address, events }
    }

    fn event(&self, news: News) -> Event {
        let address = self.address.clone();
        Event { address, news }
    }

    async fn tell(&self, news: News) -> Result<(), Over> {
        self.events.send(self.event(news)).await.map_err(|_| Over)
    }

    fn tell_blocking(&self, news: News) -> Result<(), Over> {
        let event = self.event(news);
        self.events.blocking_send(event).map_err(|_| Over)
    }
}

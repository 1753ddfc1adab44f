//! Where messages go besides the board's own server: serial lines and MQTT brokers.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Baud rate of a serial line that names none.
const BAUD: u32 = 115_200;
/// First part of the topics of a broker's address that names none.
const TOPIC: &str = "hone";

/// Why an address is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' {wrong}")]
pub struct AddressError {
    given: String,
    wrong: &'static str,
}

/// A serial line: `serial:/dev/ttyS0@115200`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialAddress {
    /// Path of the device.
    pub path: String,
    /// Bits a second.
    pub baud: u32,
}

/// A broker: `mqtts://camera:password@broker.example:8883/site/north`.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether the connection is by TLS.
    pub tls: bool,
    /// User and password.
    pub login: Option<(String, String)>,
    /// First part of all topics.
    pub topic: String,
}

/// What carries messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Carrier {
    /// A serial line.
    Serial(SerialAddress),
    /// An MQTT broker.
    Broker(BrokerAddress),
}

impl FromStr for SerialAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = |wrong| AddressError {
            given: text.to_owned(),
            wrong,
        };
        let (path, baud) = match text.rsplit_once('@') {
            Some((path, baud)) => (path, baud.parse().ok()),
            None => (text, Some(BAUD)),
        };
        if !path.starts_with('/') {
            return Err(wrong(
                "names no device: give its path, as in /dev/ttyS0@115200",
            ));
        }
        let baud = baud.filter(|baud| (300..=4_000_000).contains(baud));
        Ok(Self {
            path: path.to_owned(),
            baud: baud.ok_or_else(|| wrong("has no baud rate from 300 to 4000000 behind its @"))?,
        })
    }
}

impl FromStr for BrokerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        // A wrong address may hold a password all the same.
        let wrong = |wrong| AddressError {
            given: hidden(text),
            wrong,
        };
        let (tls, rest) = match text.split_once("://") {
            Some(("mqtt", rest)) => (false, rest),
            Some(("mqtts", rest)) => (true, rest),
            _ => return Err(wrong("is no broker: use mqtt://HOST or mqtts://HOST")),
        };
        let (authority, topic) = rest.split_once('/').unwrap_or((rest, TOPIC));
        let topic = topic.trim_end_matches('/');
        let topic = if topic.is_empty() { TOPIC } else { topic };
        if topic.contains(['+', '#']) || topic.contains(char::is_control) || topic.len() > 200 {
            return Err(wrong("has a topic with + or #, or one that is too long"));
        }
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                (Some((user.to_owned(), password.to_owned())), place)
            }
            None => (None, authority),
        };
        let (host, port) =
            host_and_port(place).ok_or_else(|| wrong("has no host, or no port that is one"))?;
        Ok(Self {
            host,
            port: port.unwrap_or(if tls { 8883 } else { 1883 }),
            tls,
            login,
            topic: topic.to_owned(),
        })
    }
}

impl FromStr for Carrier {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(line) = text.strip_prefix("serial:") {
            return line.parse().map(Self::Serial);
        }
        if text.starts_with("mqtt") {
            return text.parse().map(Self::Broker);
        }
        Err(AddressError {
            given: hidden(text),
            wrong: "carries no telemetry: use serial:/dev/ttyS0@115200, mqtt://BROKER or mqtts://BROKER",
        })
    }
}

impl Carrier {
    /// The list with each line and each broker's topic named once, the last time that it is. Two writers would mix their
    /// bytes on a line, and a broker has room for one client of a name.
    pub fn apart(list: Vec<Self>) -> Vec<Self> {
        let mut apart: Vec<Self> = Vec::with_capacity(list.len());
        for carrier in list {
            apart.retain(|earlier| !earlier.meets(&carrier));
            apart.push(carrier);
        }
        apart
    }

    /// Whether both lead to the same place, with whatever rate or login.
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Serial(one), Self::Serial(other)) => one.path == other.path,
            (Self::Broker(one), Self::Broker(other)) => {
                (&one.host, one.port, &one.topic) == (&other.host, other.port, &other.topic)
            }
            _ => false,
        }
    }
}

impl TryFrom<String> for Carrier {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Carrier> for String {
    fn from(carrier: Carrier) -> Self {
        match carrier {
            Carrier::Serial(line) => format!("serial:{}@{}", line.path, line.baud),
            Carrier::Broker(broker) => broker.url(broker.login.as_ref().map(|l| l.1.as_str())),
        }
    }
}

impl BrokerAddress {
    /// Topic of the messages of `board`, each one frame; `+` for those of every board.
    pub fn telemetry_topic(&self, board: &str) -> String {
        format!("{}/{board}/telemetry", self.topic)
    }

    /// Topic of `board`'s retained [`ONLINE`](Self::ONLINE) or [`OFFLINE`](Self::OFFLINE); `+` for
    /// those of every board.
    pub fn status_topic(&self, board: &str) -> String {
        format!("{}/{board}/status", self.topic)
    }

    /// Name of `board` as a client: a broker has room for one of each name, so that boards that publish under two topics are
    /// two.
    pub fn client_id(&self, board: &str) -> String {
        format!("{}-{board}", self.topic)
    }

    /// What a board's status says while it is connected.
    pub const ONLINE: &str = "online";
    /// What it says after that; the broker says so when the connection breaks.
    pub const OFFLINE: &str = "offline";

    /// `HOST:PORT/TOPIC`: two topics of one broker are two fleets, whose boards may have the same names.
    pub fn place(&self) -> String {
        format!("{}/{}", joined(&self.host, self.port), self.topic)
    }

    fn url(&self, password: Option<&str>) -> String {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        let login = match (&self.login, password) {
            (Some((user, _)), Some(password)) => format!("{user}:{password}@"),
            (Some((user, _)), None) => format!("{user}@"),
            (None, _) => String::new(),
        };
        format!("{scheme}://{login}{}", self.place())
    }
}

impl std::fmt::Display for BrokerAddress {
    /// Without the password: this goes into logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.url(None))
    }
}

impl std::fmt::Debug for BrokerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BrokerAddress({self})")
    }
}

impl std::fmt::Display for SerialAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path)
    }
}

/// Host and port of `HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT`.
pub fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (
                host,
                port.strip_prefix(':').or(port.is_empty().then_some("")),
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("")),
        },
    };
    let port = match port? {
        "" => None,
        port => Some(port.parse().ok().filter(|port| *port > 0)?),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_:%".contains(c);
    (!host.is_empty() && host.chars().all(allowed)).then(|| (host.to_owned(), port))
}

/// `HOST:PORT` or `[IPv6]:PORT`, as [`host_and_port`] reads it.
pub fn joined(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// `text` without the name and password before an `@`, be it a whole URL or not.
fn hidden(text: &str) -> String {
    let Some((login, place)) = text.rsplit_once('@') else {
        return text.to_owned();
    };
    let scheme = match (login.split_once("://"), login.split_once(':')) {
        (Some((scheme, _)), _) => format!("{scheme}://"),
        (None, Some((scheme, _))) => format!("{scheme}:"),
        (None, None) => String::new(),
    };
    format!("{scheme}...@{place}")
}

//! The page of a board: `GET /api/v1/telemetry`, a stream of frames.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use hone_device::backoff::Backoff;
use hone_device::telemetry::mqtt::of_system;
use hone_shared::telemetry::{Decoder, host_and_port, joined};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::rt::{Read, Write};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{Board, CORRECT, News, Outlet, Over, TRUST};

const PATH: &str = "/api/v1/telemetry";
/// Ports of pages without and with TLS.
const PORTS: [u16; 2] = [8080, 8443];
/// Time to look up a name, for the last of its addresses, and from a connection to the first answer.
const CONNECT: Duration = Duration::from_secs(10);
/// Time for each address of a name but the last: a network may drop what goes by IPv6, and the name has an IPv4 address too.
const ADDRESS: Duration = Duration::from_secs(2);
/// A board that says nothing for so long is gone, whatever TCP thinks.
const SILENCE: Duration = Duration::from_secs(10);
/// Wait after a refusal, which comes again: a token does not mend itself.
const REFUSED: Duration = Duration::from_secs(30);

/// A board's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    host: String,
    port: u16,
    tls: bool,
}

impl FromStr for Page {
    type Err = String;

    /// Reads `HOST`, `HOST:PORT` or a URL of either scheme; without one, other machines and port 8443
    /// are asked by TLS, and this machine is not, as honed listens.
    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, text),
        };
        let (host, port) = host_and_port(rest.trim_end_matches('/'))
            .ok_or("give HOST, HOST:PORT or https://HOST:PORT")?;
        let here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        let tls = match scheme {
            None => !here || port == Some(PORTS[1]),
            Some("https") => true,
            Some("http") => false,
            Some(_) => return Err("use http:// or https://".into()),
        };
        let port = port.unwrap_or(PORTS[usize::from(tls)]);
        Ok(Self { host, port, tls })
    }
}

/// A stream of frames, and what holds its connection open.
type Answer = (Incoming, SendRequest<Empty<Bytes>>);

/// Why a stream ended.
enum End {
    Over,
    Refused(String),
    Broken(String),
}

impl From<Over> for End {
    fn from(_: Over) -> Self {
        Self::Over
    }
}

fn broken(error: impl std::fmt::Display) -> End {
    End::Broken(error.to_string())
}

impl Page {
    /// How the table names it.
    pub fn address(&self) -> String {
        joined(&self.host, self.port)
    }

    /// Whether a certificate is looked at.
    pub fn speaks_tls(&self) -> bool {
        self.tls
    }

    /// The host without the zone of a link-local address, which means something on this machine only.
    fn bare_host(&self) -> &str {
        self.host
            .split_once('%')
            .map_or(&self.host, |(host, _)| host)
    }

    async fn connect(&self) -> Result<TcpStream, End> {
        let places = lookup_host((self.host.as_str(), self.port));
        let places = timeout(CONNECT, places).await;
        let places = places.map_err(|_| broken("its name is not found in time"))?;
        let mut places = places.map_err(broken)?.peekable();
        let mut reason = "its name has no address".to_owned();
        while let Some(place) = places.next() {
            let patience = if places.peek().is_some() {
                ADDRESS
            } else {
                CONNECT
            };
            match timeout(patience, TcpStream::connect(place)).await {
                Ok(Ok(tcp)) => return Ok(tcp),
                Ok(Err(error)) => reason = error.to_string(),
                Err(_) => reason = "no answer".into(),
            }
        }
        Err(End::Broken(reason))
    }
}

impl Board {
    pub(super) async fn follow(&self, events: &Outlet) {
        let mut backoff = Backoff::default();
        loop {
            let (reason, wait) = match self.stream(events, &mut backoff).await {
                Ok(()) => ("the board ended the stream".into(), backoff.wait()),
                Err(End::Over) => return,
                Err(End::Refused(reason)) => (reason, REFUSED),
                Err(End::Broken(reason)) => (reason, backoff.wait()),
            };
            if events.tell(News::Lost(reason)).await.is_err() {
                return;
            }
            sleep(wait).await;
        }
    }

    async fn stream(&self, events: &Outlet, backoff: &mut Backoff) -> Result<(), End> {
        let tcp = self.page.connect().await?;
        let late = |_| broken("no answer");
        let asked = timeout(CONNECT, self.ask(tcp)).await;
        let (mut body, _asker) = asked.map_err(late)??;
        events.tell(News::Connected).await?;
        let mut decoder = Decoder::default();
        loop {
            let silent = |_| End::Broken("the board fell silent".into());
            let frame = timeout(SILENCE, body.frame()).await.map_err(silent)?;
            let Some(frame) = frame else { return Ok(()) };
            let Ok(bytes) = frame.map_err(broken)?.into_data() else {
                continue;
            };
            for news in decoded(&mut decoder, &bytes) {
                backoff.reset();
                events.tell(news).await?;
            }
        }
    }

    async fn ask(&self, tcp: TcpStream) -> Result<Answer, End> {
        if !self.page.tls {
            return self.request(TokioIo::new(tcp)).await;
        }
        let name = ServerName::try_from(self.page.bare_host().to_owned()).map_err(broken)?;
        let connector = TlsConnector::from(self.tls.clone());
        let stream = connector.connect(name, tcp).await;
        let trust = if self.listed { CORRECT } else { TRUST };
        let stream = stream.map_err(|error| End::Broken(of_system(&error, trust)))?;
        self.request(TokioIo::new(stream)).await
    }

    async fn request<T>(&self, io: T) -> Result<Answer, End>
    where
        T: Read + Write + Unpin + Send + 'static,
    {
        let (mut send, connection) = handshake(io).await.map_err(broken)?;
        let connection: Connection<T, Empty<Bytes>> = connection;
        // It ends with the body, or with an error that the body tells as well.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let host = joined(self.page.bare_host(), self.page.port);
        let mut request = Request::get(PATH).header(header::HOST, host);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Empty::new()).map_err(broken)?;
        let response = send.send_request(request).await.map_err(broken)?;
        let refused = |what: &str| Err(End::Refused(what.into()));
        match response.status() {
            StatusCode::OK => Ok((response.into_body(), send)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => refused(
                "the token is refused: `honed token create NAME` on the board makes one, --token-file takes it",
            ),
            StatusCode::NOT_FOUND => refused("its honed has no telemetry: bring a newer one"),
            StatusCode::TOO_MANY_REQUESTS => refused("it was asked too often, trying later"),
            other => Err(End::Broken(format!("it answers {other}"))),
        }
    }
}

/// What `bytes` bring.
pub(super) fn decoded(decoder: &mut Decoder, bytes: &[u8]) -> Vec<News> {
    let mut news = Vec::new();
    decoder.push(bytes, &mut |message| {
        news.push(match message {
            Ok(message) => News::Message(Box::new(message)),
            Err(error) => News::Damaged(error.to_string()),
        });
    });
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_for_this_machine_only() {
        for text in ["https://[fe80::1%eth0]", "[fe80::1%25]:8443"] {
            let page: Page = text.parse().unwrap();
            assert!(page.host.contains('%') && page.bare_host() == "fe80::1");
            assert!(ServerName::try_from(page.bare_host().to_owned()).is_ok());
        }
        let page: Page = "north.local".parse().unwrap();
        assert_eq!(page.bare_host(), "north.local");
    }
}

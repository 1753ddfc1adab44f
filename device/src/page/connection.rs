//! Connections: how many, and how long each may take for what.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::stall::Stall;
use crate::seats::Seats;

/// Connections at one time.
const MOST: usize = 96;
/// Of one address.
const MOST_OF_ONE: usize = 24;
/// Time for the handshake of TLS.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// Time for the lines of a request.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// Bytes of a request's lines.
const HEADER_BYTES: usize = 16 * 1024;
/// Lines of a request.
const HEADERS: usize = 64;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Whoever is served now.
#[derive(Debug)]
pub(super) struct Connections(Seats);

impl Default for Connections {
    fn default() -> Self {
        Self(Seats::new(MOST, MOST_OF_ONE))
    }
}

impl Connections {
    /// Serves `stream` on a task of its own; one too many is closed at once.
    pub(super) fn take(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        router: &Router,
        tls: Option<&TlsAcceptor>,
    ) {
        let Some(seat) = self.0.take(peer.ip()) else {
            return;
        };
        // A hurry for small answers; a system without is no reason to refuse.
        let _ = stream.set_nodelay(true);
        let stream = Stall::new(stream);
        let router = router.clone().layer(axum::Extension(Peer(peer.ip())));
        let tls = tls.cloned();
        tokio::spawn(async move {
            let _seat = seat;
            let Some(tls) = tls else {
                return http(stream, router).await;
            };
            if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
                http(stream, router).await;
            }
        });
    }
}

/// Answers one request after another.
async fn http(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router) {
    // How a connection ended is between the other side and the network.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
}

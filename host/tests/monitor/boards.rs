//! Simulated boards: the board's own MQTT client, and a small server that streams as the page does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hone_device::telemetry::{Carry, mqtt, tls};
use hone_shared::telemetry::{BoardState, Message, Phase, encode};
use rcgen::{CertifiedKey, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ClientConfig, ServerConfig, crypto::ring};

/// What `board` says for the `sequence`th time.
pub fn frame(board: &str, sequence: u64) -> Vec<u8> {
    let state = BoardState {
        model: "simulated".into(),
        version: "0.1.0".into(),
        bundle: "mixed 1.0.0".into(),
        level: "medium".into(),
        phase: Phase::Live,
        degraded: false,
        fps: 30.0,
        age_p50_ms: 20.0,
        age_p99_ms: 30.0,
        engine_ms: 10.0,
        celsius: Some(55.0),
        throttled: false,
        frames: 30 * sequence,
        dropped: 0,
        slates: 0,
        failed: 0,
        reconnects: 0,
        uptime_s: sequence,
        unsent: 0,
        notice: String::new(),
    };
    let message = Message {
        board: board.into(),
        run: 1,
        sequence,
        state,
    };
    encode(&message).unwrap()
}

/// A thread on which boards live.
fn background() -> Handle {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let handle = runtime.handle().clone();
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    handle
}

/// Boards at a broker.
pub struct Fleet {
    boards: Vec<(String, mqtt::Broker, JoinHandle<()>)>,
}

impl Fleet {
    pub fn connect(url: &str, count: usize) -> Self {
        Self::connect_by(url, count, tls::client(None, &[]).unwrap())
    }

    pub fn connect_by(url: &str, count: usize, tls: Arc<ClientConfig>) -> Self {
        let background = background();
        let address = url.parse().unwrap();
        let boards = (0..count).map(|n| {
            let name = format!("board-{n:03}");
            let (broker, keep) = mqtt::broker(&address, &name, tls.clone());
            (name, broker, background.spawn(keep))
        });
        Self {
            boards: boards.collect(),
        }
    }

    /// Every board sends its `sequence`th message.
    pub fn send(&mut self, sequence: u64) {
        for (name, broker, _) in &mut self.boards {
            // On a busy machine the client's short queue may be full for a moment.
            while broker.send(&frame(name, sequence)).is_err() {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// Cuts the power of a board.
    pub fn cut(&mut self, index: usize) {
        self.boards.remove(index).2.abort();
    }
}

/// Boards that serve a page, each at a loopback address of its own.
pub struct Pages {
    addresses: Vec<SocketAddr>,
    /// Connections that began before this many hang-ups end.
    hang_ups: Arc<AtomicU64>,
}

impl Pages {
    /// They want the token `secret`; with a certificate they speak TLS, and want none.
    pub fn start(count: usize, made: Option<CertifiedKey<KeyPair>>) -> Self {
        let background = background();
        let hang_ups = Arc::<AtomicU64>::default();
        let acceptor = made.map(acceptor);
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for n in 0..count {
            let port = addresses.first().map_or(0, SocketAddr::port);
            let place = SocketAddr::from(([127, 0, 1, n as u8], port));
            let listener = std::net::TcpListener::bind(place).unwrap();
            listener.set_nonblocking(true).unwrap();
            addresses.push(listener.local_addr().unwrap());
            let _inside = background.enter();
            let listener = TcpListener::from_std(listener).unwrap();
            let (hang_ups, acceptor) = (hang_ups.clone(), acceptor.clone());
            background.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (hang_ups, acceptor) = (hang_ups.clone(), acceptor.clone());
                    tokio::spawn(async move {
                        match acceptor {
                            None => serve(stream, true, n, &hang_ups).await,
                            Some(acceptor) => {
                                if let Ok(stream) = acceptor.accept(stream).await {
                                    serve(stream, false, n, &hang_ups).await;
                                }
                            }
                        }
                    });
                }
            });
        }
        Self {
            addresses,
            hang_ups,
        }
    }

    pub fn addresses(&self) -> Vec<String> {
        self.addresses.iter().map(ToString::to_string).collect()
    }

    /// Ends every connection.
    pub fn hang_up(&self) {
        self.hang_ups.fetch_add(1, Ordering::Relaxed);
    }
}

fn acceptor(made: CertifiedKey<KeyPair>) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    Arc::new(config).into()
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    wants_token: bool,
    board: usize,
    hang_ups: &AtomicU64,
) {
    let began = hang_ups.load(Ordering::Relaxed);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let request = String::from_utf8(request).unwrap().to_lowercase();
    assert!(
        request.starts_with("get /api/v1/telemetry http/1.1\r\n"),
        "{request}"
    );
    if wants_token && !request.contains("\r\nauthorization: bearer secret\r\n") {
        let answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
        // The monitor may be gone.
        let _ = stream.write_all(answer.as_bytes()).await;
        return;
    }
    let mut chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for sequence in 0.. {
        let frame = frame(&format!("board-{board}"), sequence);
        chunk.extend_from_slice(format!("{:x}\r\n", frame.len()).as_bytes());
        chunk.extend_from_slice(&frame);
        chunk.extend_from_slice(b"\r\n");
        if stream.write_all(&chunk).await.is_err()
            || stream.flush().await.is_err()
            || hang_ups.load(Ordering::Relaxed) > began
        {
            return;
        }
        chunk.clear();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

//! The thread that serves the page, and the listener it accepts from.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;

use super::app::App;
use super::connection::Connections;
use super::tls::Tls;
use super::{PageError, Settings, Tokens, routes};
use crate::state::BoardState;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 128;
/// Bytes that the kernel keeps for a viewer that is slower than its stream.
const SEND_BUFFER: u32 = 128 * 1024;
/// Pause after the system refused a connection, for want of file descriptors for instance.
const PAUSE: Duration = Duration::from_millis(100);

/// A page that is served until this is dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    fingerprint: Option<String>,
    /// What makes a token; none while there is one.
    wanted: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Where it listens, with the port that the system chose if port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.fingerprint.is_some() {
            "https"
        } else {
            "http"
        };
        write!(f, "page: {scheme}://{}/", self.address)?;
        if let Some(fingerprint) = &self.fingerprint {
            write!(f, ", certificate SHA-256 {fingerprint}")?;
        }
        if let Some(command) = &self.wanted {
            write!(f, "; nobody is let in before `{command}` made a token")?;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Whoever listened for it may be gone already.
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take() {
            // A server that panicked has nothing left to release.
            let _ = thread.join();
        }
    }
}

/// Serves `board` as `settings` say, on a thread of its own.
///
/// # Errors
/// [`PageError`] when the address cannot be listened on, or other machines would come unprotected.
pub fn start(settings: Settings, board: Arc<BoardState>) -> Result<Running, PageError> {
    let tokens = Tokens::read(&settings.folder)?;
    settings.check(!tokens.tokens.is_empty())?;
    let tls = settings.tls.then(|| Tls::new(&settings)).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2)
        .thread_name("page")
        .build()
        .map_err(PageError::System)?;
    let listener = {
        let _inside = runtime.enter();
        listen(settings.listen)
    };
    let failed = |reason| PageError::Listen {
        address: settings.listen,
        reason,
    };
    let listener = listener.map_err(failed)?;
    let address = listener.local_addr().map_err(PageError::System)?;
    let app = Arc::new(App::new(&settings, board));
    let fingerprint = tls.as_ref().map(|tls| tls.fingerprint.clone());
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("page".into())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, app, tls) => {}
                    _ = stopped => {}
                }
            });
            // Streams end with the runtime; what still computes is not waited for.
            runtime.shutdown_background();
        })
        .map_err(PageError::System)?;
    Ok(Running {
        address,
        fingerprint,
        wanted: tokens.tokens.is_empty().then(|| settings.token_command()),
        stop: Some(stop),
        thread: Some(thread),
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A service that starts again must not wait until the last connections are forgotten.
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn serve(listener: TcpListener, app: Arc<App>, mut tls: Option<Tls>) {
    let router = routes::router(&app);
    let connections = Connections::default();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some(tls) = &mut tls {
                    tls.renew(app.board.journal());
                }
                let acceptor = tls.as_ref().map(|tls| &tls.acceptor);
                connections.take(stream, peer, &router, acceptor);
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

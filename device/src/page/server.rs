//! The thread that serves the page, and the listener it accepts from.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;

use super::connection::Connections;
use super::routes::{self, App};
use super::{PageError, Settings};
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
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Where it listens, with the port that the system chose if port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
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
    // Before there are tokens, nobody but this machine is served.
    settings.check(false)?;
    if settings.tls || settings.insecure_beyond_loopback {
        let reason = io::Error::other("TLS and other machines are not served yet");
        return Err(PageError::System(reason));
    }
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
    let app = Arc::new(App::new(settings, board));
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("page".into())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, app) => {}
                    _ = stopped => {}
                }
            });
            // Streams end with the runtime; what still computes is not waited for.
            runtime.shutdown_background();
        })
        .map_err(PageError::System)?;
    Ok(Running {
        address,
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

async fn serve(listener: TcpListener, app: Arc<App>) {
    let router = routes::router(&app);
    let connections = Connections::default();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => connections.take(stream, peer, &router),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

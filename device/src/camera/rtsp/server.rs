//! The listening side: connections, the password, key frames for whoever begins to look.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_rtsp_server as gst_rtsp;
use gstreamer_rtsp_server::gio;
use gstreamer_rtsp_server::prelude::*;
use gstreamer_video as gst_video;

use super::Stream;
use super::faults::Faults;
use crate::allocator;
use crate::camera::rtsp_address::RtspAddress;
use crate::camera::sharpener::lock;
use crate::seats::{Seat, Seats};

/// Connections at one time.
const MOST: usize = 48;
/// Of one address.
const MOST_OF_ONE: usize = 16;
/// Bytes of a request's body; it is read before anybody is asked for a password.
const BODY: u32 = 16 * 1024;
/// Pause after the system refused a connection, for want of file descriptors for instance.
const PAUSE: Duration = Duration::from_millis(100);
/// Seconds between two looks for viewers that went without a word.
const CLEAN_EVERY: u32 = 2;
/// By then an encoder whose last viewer left is gone.
const ENCODER_GONE: Duration = Duration::from_secs(1);
/// What viewers that know the password are to the server.
const ROLE: &str = "viewer";

/// The server on a thread of its own; gone, with all its viewers, when this is dropped.
pub(super) struct Server {
    server: gst_rtsp::RTSPServer,
    listening: glib::Source,
    main_loop: glib::MainLoop,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(
        address: &RtspAddress,
        factory: &gst_rtsp::RTSPMediaFactory,
        stream: &Arc<Mutex<Stream>>,
        faults: &Arc<Mutex<Faults>>,
    ) -> Result<Self, String> {
        let server = gst_rtsp::RTSPServer::new();
        server.set_address(&address.host);
        server.set_service(&address.port.to_string());
        // Boards with GStreamer before 1.18 take bodies of any length.
        if server.find_property("content-length-limit").is_some() {
            server.set_property("content-length-limit", BODY);
        }
        if let Some((user, password)) = &address.login {
            ask(&server, factory, user, password);
        }
        let mounts = server.mount_points().unwrap_or_default();
        mounts.add_factory(&address.path, factory.clone());
        server.set_mount_points(Some(&mounts));
        let arriving = Arc::<Mutex<Option<Seat>>>::default();
        let (shown, seat) = (stream.clone(), arriving.clone());
        server.connect_client_connected(move |_, client| {
            let stream = shown.clone();
            client.connect_play_request(move |_, _| key_frame(&lock(&stream)));
            let seat = Mutex::new(lock(&seat).take());
            client.connect_closed(move |_| drop(lock(&seat).take()));
        });

        let context = glib::MainContext::new();
        let socket = server.create_socket(gio::Cancellable::NONE).map_err(|_| {
            format!(
                "it cannot listen on {}:{}: is the port taken, is the address this machine's?",
                address.host, address.port
            )
        })?;
        let listening = listen(&socket, &server, arriving, faults.clone());
        listening.attach(Some(&context));
        if let Some(pool) = server.session_pool() {
            let stream = stream.clone();
            let cleaning = glib::timeout_source_new_seconds(
                CLEAN_EVERY,
                None,
                glib::Priority::DEFAULT,
                move || {
                    pool.cleanup();
                    let gone = |at: &mut Instant| at.elapsed() > ENCODER_GONE;
                    let left = lock(&stream).left.take_if(gone);
                    if left.is_some() {
                        allocator::give_back();
                    }
                    glib::ControlFlow::Continue
                },
            );
            cleaning.attach(Some(&context));
        }
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let thread = std::thread::Builder::new()
            .name("rtsp".into())
            .spawn({
                let main_loop = main_loop.clone();
                move || main_loop.run()
            })
            .map_err(|e| e.to_string())?;
        Ok(Self {
            server,
            listening,
            main_loop,
            thread: Some(thread),
        })
    }

    pub(super) fn is_gone(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listening.destroy();
        self.server
            .client_filter(Some(&mut |_, _| gst_rtsp::RTSPFilterResult::Remove));
        // By way of the loop: told directly before its thread has come to run it, it would forget.
        let main_loop = self.main_loop.clone();
        let quit = glib::idle_source_new(None, glib::Priority::DEFAULT, move || {
            main_loop.quit();
            glib::ControlFlow::Break
        });
        quit.attach(Some(&self.main_loop.context()));
        if let Some(thread) = self.thread.take() {
            // It holds nothing that a panic could have broken.
            let _ = thread.join();
        }
    }
}

/// Gives every connection that comes to `server`, its seat by way of `arriving`; one too many is closed at once. The server's
/// own way to accept them knows no limit, and what it has accepted it cannot close before it serves it.
fn listen(
    socket: &gio::Socket,
    server: &gst_rtsp::RTSPServer,
    arriving: Arc<Mutex<Option<Seat>>>,
    faults: Arc<Mutex<Faults>>,
) -> glib::Source {
    let (server, seats) = (server.clone(), Seats::new(MOST, MOST_OF_ONE));
    let accept = move |socket: &gio::Socket, _| {
        let Ok(connection) = socket.accept(gio::Cancellable::NONE) else {
            std::thread::sleep(PAUSE);
            return glib::ControlFlow::Continue;
        };
        notice_loss(&connection);
        let Some((ip, port)) = peer(&connection) else {
            return glib::ControlFlow::Continue;
        };
        let Some(seat) = seats.take(ip) else {
            lock(&faults).crowded(ip, MOST, MOST_OF_ONE);
            return glib::ControlFlow::Continue;
        };
        *lock(&arriving) = Some(seat);
        // It fails for a connection that has ended already.
        let _ = server.transfer_connection(connection, &ip.to_string(), port.into(), None);
        *lock(&arriving) = None;
        glib::ControlFlow::Continue
    };
    SocketExtManual::create_source(
        socket,
        glib::IOCondition::IN,
        gio::Cancellable::NONE,
        None,
        glib::Priority::DEFAULT,
        accept,
    )
}

/// Has the kernel end `connection` a minute after a viewer went without a word, as when its power fails: it must not keep its
/// seat for the hours that are usual.
fn notice_loss(connection: &gio::Socket) {
    connection.set_keepalive(true);
    for (option, value) in [
        (libc::TCP_KEEPIDLE, 30),
        (libc::TCP_KEEPINTVL, 10),
        (libc::TCP_KEEPCNT, 3),
        (libc::TCP_USER_TIMEOUT, 60_000),
    ] {
        // A system without ends it later.
        let _ = connection.set_option(libc::IPPROTO_TCP, option, value);
    }
}

/// Who is at the other end of `connection`.
fn peer(connection: &gio::Socket) -> Option<(IpAddr, u16)> {
    let address = connection.remote_address().ok()?;
    let address = address.downcast::<gio::InetSocketAddress>().ok()?;
    Some((address.address().into(), address.port()))
}

/// Lets only those in who know the password, which never crosses the network.
fn ask(
    server: &gst_rtsp::RTSPServer,
    factory: &gst_rtsp::RTSPMediaFactory,
    user: &str,
    password: &str,
) {
    let role = gst::Structure::builder(ROLE)
        .field("media.factory.access", true)
        .field("media.factory.construct", true)
        .build();
    factory.add_role_from_structure(&role);
    let token = gst_rtsp::RTSPToken::builder()
        .field("media.factory.role", ROLE)
        .build();
    let auth = gst_rtsp::RTSPAuth::new();
    auth.set_supported_methods(gst_rtsp::gst_rtsp::RTSPAuthMethod::Digest);
    auth.add_digest(user, password, &token);
    server.set_auth(Some(&auth));
}

/// Asks the encoder for a frame that a new viewer can start with.
fn key_frame(stream: &Stream) {
    let source = stream.encoder.as_ref().and_then(|e| e.static_pad("src"));
    if let Some(source) = source {
        let event = gst_video::UpstreamForceKeyUnitEvent::builder()
            .all_headers(true)
            .build();
        // An encoder that cannot has a key frame every two seconds anyway.
        let _ = source.send_event(event);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    /// A server that asks for a password, and its port.
    fn served() -> (Server, u16) {
        gst::init().unwrap();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let address = RtspAddress::parse(&format!("rtsp://a:b@127.0.0.1:{port}/live")).unwrap();
        let factory = gst_rtsp::RTSPMediaFactory::new();
        let server = Server::start(&address, &factory, &Arc::default(), &Arc::default()).unwrap();
        (server, port)
    }

    fn connect(port: u16) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).unwrap();
        stream
    }

    /// The first line of the answer to a request; empty when the connection was closed.
    fn ask(mut stream: &TcpStream, lines: &str) -> String {
        let request = format!("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n{lines}\r\n");
        let mut answer = [0; 256];
        let written = stream.write_all(request.as_bytes());
        let read = written.and_then(|()| stream.read(&mut answer));
        let answer = String::from_utf8_lossy(&answer[..read.unwrap_or(0)]).into_owned();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_body_is_small() {
        let (server, port) = served();
        if server
            .server
            .find_property("content-length-limit")
            .is_none()
        {
            return;
        }
        let told = ask(&connect(port), "Content-Length: 1000000000\r\n");
        assert!(told.contains("413"), "{told}");
        let told = ask(&connect(port), "");
        assert!(told.starts_with("RTSP/1.0 200"), "{told}");
    }

    #[test]
    fn one_address_does_not_take_every_connection() {
        let (_server, port) = served();
        let all: Vec<_> = (0..MOST_OF_ONE + 4).map(|_| connect(port)).collect();
        let answered = |stream: &TcpStream| ask(stream, "").contains(" 200 ");
        let served: Vec<bool> = all.iter().map(answered).collect();
        assert_eq!(served.iter().position(|served| !served), Some(MOST_OF_ONE));
        assert!(!served[MOST_OF_ONE..].contains(&true));
        drop(all);
        // The server hears of it in its own time.
        let again = (0..3000).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            answered(&connect(port))
        });
        assert!(again);
    }
}

//! The RTSP server: whoever connects sees the stream, H.264 over UDP or TCP.
//!
//! ```text
//!             one for all viewers, made when the first connects, gone with the last
//! session --> appsrc ! queue (one frame, leaky) ! encoder ! rtph264pay --> viewers
//! ```
//!
//! Nothing is encoded while nobody looks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_rtsp_server as gst_rtsp;
use gstreamer_rtsp_server::prelude::*;
use gstreamer_video as gst_video;

use super::capture::{Frame, probe};
use super::error::CameraError;
use super::histogram::Histogram;
use super::output::{FEED, Output, OutputStats};
use super::rtsp_address::RtspAddress;
use super::sharpener::lock;
use super::sink::SinkSpec;
use super::timeline::{Clock, Marks, Timeline, between};

/// Seconds between two looks for viewers that went without a word.
const CLEAN_EVERY: u32 = 2;
/// What viewers that know the password are to the server.
const ROLE: &str = "viewer";

/// What a stream counts, from the session's thread and the encoder's.
#[derive(Debug, Default)]
struct Counts {
    marks: Marks,
    age: Mutex<Histogram>,
    taken: AtomicU64,
}

/// The stream while somebody looks.
#[derive(Debug, Default)]
struct Stream {
    feed: Option<gst_app::AppSrc>,
    encoder: Option<gst::Element>,
    caps: Option<gst::Caps>,
}

/// An output that serves RTSP.
pub struct RtspOutput {
    name: String,
    timeline: Timeline,
    stream: Arc<Mutex<Stream>>,
    counts: Arc<Counts>,
    given: u64,
    server: Server,
}

impl RtspOutput {
    /// Starts to serve at `address`.
    ///
    /// # Errors
    /// [`CameraError::Sink`] when the port is taken, [`CameraError::MissingElement`] when nothing
    /// encodes.
    pub fn start(
        spec: &SinkSpec,
        address: &RtspAddress,
        timeline: &Timeline,
    ) -> Result<Self, CameraError> {
        let line = format!(
            "( appsrc name=in format=time is-live=true {FEED}leaky=downstream ! {} )",
            spec.tail(true)?
        );
        let (stream, counts) = (Arc::<Mutex<Stream>>::default(), Arc::<Counts>::default());
        let factory = gst_rtsp::RTSPMediaFactory::new();
        factory.set_launch(&line);
        factory.set_shared(true);
        factory.set_clock(Some(timeline.clock()));
        {
            let (stream, counts, timeline) = (stream.clone(), counts.clone(), timeline.clone());
            factory.connect_media_configure(move |_, media| {
                join(media, &stream, &counts, &timeline);
            });
        }
        let server =
            Server::start(address, &factory, &stream).map_err(|reason| CameraError::Sink {
                sink: spec.name.clone(),
                reason,
            })?;
        Ok(Self {
            name: spec.name.clone(),
            timeline: timeline.clone(),
            stream,
            counts,
            given: 0,
            server,
        })
    }
}

/// Takes the pipeline that the server made for its first viewer.
fn join(
    media: &gst_rtsp::RTSPMedia,
    stream: &Arc<Mutex<Stream>>,
    counts: &Arc<Counts>,
    timeline: &Timeline,
) {
    let element = media.element();
    let Some(bin) = element.downcast_ref::<gst::Bin>() else {
        return;
    };
    let feed = bin
        .by_name("in")
        .and_then(|e| e.downcast::<gst_app::AppSrc>().ok());
    let encoder = bin.by_name("exit");
    if let Some(encoder) = &encoder {
        let (counts, timeline) = (counts.clone(), timeline.clone());
        probe(encoder, "sink", move |_, buffer| {
            counts.taken.fetch_add(1, Ordering::Relaxed);
            if let Some(mark) = buffer.pts().and_then(|pts| counts.marks.take(pts)) {
                lock(&counts.age).add(between(mark.captured, timeline.now()));
            }
        });
    }
    *lock(stream) = Stream {
        feed: feed.clone(),
        encoder,
        caps: None,
    };
    let stream = stream.clone();
    media.connect_unprepared(move |_| {
        let mut stream = lock(&stream);
        // The next viewer's pipeline may be there already.
        if stream.feed == feed {
            *stream = Stream::default();
        }
    });
}

impl Output for RtspOutput {
    fn name(&self) -> &str {
        &self.name
    }

    fn push(&mut self, frame: &Frame) -> Result<(), CameraError> {
        if self.server.is_gone() {
            return Err(CameraError::Sink {
                sink: self.name.clone(),
                reason: "the server's thread ended".into(),
            });
        }
        let mut stream = lock(&self.stream);
        let Some(feed) = stream.feed.clone() else {
            return Ok(());
        };
        // Until the pipeline runs it has no time of its own to which the frame's can be brought.
        let running = feed.current_state() == gst::State::Playing;
        let base = feed.base_time().filter(|_| running);
        let times = frame.buffer.pts().zip(base);
        let Some(pts) = times.and_then(|(pts, base)| self.timeline.on_pipeline(pts, base)) else {
            return Ok(());
        };
        if stream.caps.as_ref() != Some(&frame.caps) {
            feed.set_caps(Some(&frame.caps));
            stream.caps = Some(frame.caps.clone());
        }
        drop(stream);
        let mut buffer = frame.buffer.copy();
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(pts);
            buffer.set_dts(gst::ClockTime::NONE);
        }
        self.given += 1;
        self.counts.marks.captured(pts, frame.mark.captured);
        // Refused while the last viewer leaves: then nobody wants it.
        let _ = feed.push_buffer(buffer);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CameraError> {
        Ok(())
    }

    fn stats(&self) -> OutputStats {
        OutputStats {
            given: self.given,
            taken: self.counts.taken.load(Ordering::Relaxed),
            age: lock(&self.counts.age).clone(),
        }
    }
}

/// The server on a thread of its own; gone, with all its viewers, when this is dropped.
struct Server {
    server: gst_rtsp::RTSPServer,
    listening: Option<glib::Source>,
    main_loop: glib::MainLoop,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(
        address: &RtspAddress,
        factory: &gst_rtsp::RTSPMediaFactory,
        stream: &Arc<Mutex<Stream>>,
    ) -> Result<Self, String> {
        let server = gst_rtsp::RTSPServer::new();
        server.set_address(&address.host);
        server.set_service(&address.port.to_string());
        if let Some((user, password)) = &address.login {
            ask(&server, factory, user, password);
        }
        let mounts = server.mount_points().unwrap_or_default();
        mounts.add_factory(&address.path, factory.clone());
        server.set_mount_points(Some(&mounts));
        let stream = stream.clone();
        server.connect_client_connected(move |_, client| {
            let stream = stream.clone();
            client.connect_play_request(move |_, _| key_frame(&lock(&stream)));
        });

        let context = glib::MainContext::new();
        let id = server.attach(Some(&context)).map_err(|_| {
            format!(
                "it cannot listen on {}:{}: is the port taken, is the address this machine's?",
                address.host, address.port
            )
        })?;
        let listening = context.find_source_by_id(&id);
        if let Some(pool) = server.session_pool() {
            let cleaning = glib::timeout_source_new_seconds(
                CLEAN_EVERY,
                None,
                glib::Priority::DEFAULT,
                move || {
                    pool.cleanup();
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

    fn is_gone(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.destroy();
        }
        self.server
            .client_filter(Some(&mut |_, _| gst_rtsp::RTSPFilterResult::Remove));
        self.main_loop.quit();
        if let Some(thread) = self.thread.take() {
            // It holds nothing that a panic could have broken.
            let _ = thread.join();
        }
    }
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

//! The listening side: connections, the password, key frames for whoever begins to look.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_rtsp_server as gst_rtsp;
use gstreamer_rtsp_server::prelude::*;
use gstreamer_video as gst_video;

use super::Stream;
use crate::allocator;
use crate::camera::rtsp_address::RtspAddress;
use crate::camera::sharpener::lock;

/// Seconds between two looks for viewers that went without a word.
const CLEAN_EVERY: u32 = 2;
/// By then an encoder whose last viewer left is gone.
const ENCODER_GONE: Duration = Duration::from_secs(1);
/// What viewers that know the password are to the server.
const ROLE: &str = "viewer";

/// The server on a thread of its own; gone, with all its viewers, when this is dropped.
pub(super) struct Server {
    server: gst_rtsp::RTSPServer,
    listening: Option<glib::Source>,
    main_loop: glib::MainLoop,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(
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
        let shown = stream.clone();
        server.connect_client_connected(move |_, client| {
            let stream = shown.clone();
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
        if let Some(listening) = self.listening.take() {
            listening.destroy();
        }
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

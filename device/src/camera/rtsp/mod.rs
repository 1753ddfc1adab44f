//! The RTSP server: whoever connects sees the stream, H.264 over UDP or TCP.
//!
//! ```text
//!             one for all viewers, made when the first connects, gone with the last
//! session --> appsrc ! queue (one frame, leaky) ! encoder ! rtph264pay --> viewers
//! ```
//!
//! Nothing is encoded while nobody looks.

mod faults;
mod server;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_rtsp_server as gst_rtsp;
use gstreamer_rtsp_server::prelude::*;

use self::faults::Faults;
use self::server::Server;
use super::encoder::fits;
use super::error::CameraError;
use super::feed::Frame;
use super::levels;
use super::output::{Counts, FEED, Output, OutputStats};
use super::rtsp_address::RtspAddress;
use super::sharpener::lock;
use super::sink::SinkSpec;
use super::timeline::Timeline;
use crate::state::ON_THEIR_WAY_OUT;

impl Counts {
    /// Frames given and not taken.
    fn missing(&self) -> u64 {
        let given = self.given.load(Ordering::Relaxed);
        given.saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    /// Forgets the frames that were on their way when a pipeline ended, before which `earlier` were missing: the encoder
    /// was not too slow for them.
    fn forget_rest(&self, earlier: u64) {
        let rest = self.missing().saturating_sub(earlier);
        self.given
            .fetch_sub(rest.min(ON_THEIR_WAY_OUT), Ordering::Relaxed);
    }
}

/// The stream while somebody looks.
#[derive(Debug, Default)]
struct Stream {
    feed: Option<gst_app::AppSrc>,
    encoder: Option<gst::Element>,
    caps: Option<gst::Caps>,
    /// Frames that earlier pipelines did not take.
    missing: u64,
    /// When the last viewer left, until the memory that the encoder took is given back.
    left: Option<Instant>,
}

/// An output that serves RTSP.
pub struct RtspOutput {
    name: String,
    timeline: Timeline,
    stream: Arc<Mutex<Stream>>,
    counts: Arc<Counts>,
    faults: Arc<Mutex<Faults>>,
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
        let faults = Arc::<Mutex<Faults>>::default();
        let factory = gst_rtsp::RTSPMediaFactory::new();
        factory.set_launch(&line);
        factory.set_shared(true);
        factory.set_clock(Some(timeline.clock()));
        {
            let (stream, counts, timeline) = (stream.clone(), counts.clone(), timeline.clone());
            let faults = faults.clone();
            factory.connect_media_configure(move |_, media| {
                faults::listen(media, &faults);
                join(media, &stream, &counts, &timeline);
            });
        }
        let server = Server::start(address, &factory, &stream, &faults).map_err(|reason| {
            CameraError::Sink {
                sink: spec.name.clone(),
                reason,
            }
        })?;
        Ok(Self {
            name: spec.name.clone(),
            timeline: timeline.clone(),
            stream,
            counts,
            faults,
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
    levels::keep(bin);
    let encoder = bin.by_name("exit");
    if let Some(encoder) = &encoder {
        counts.watch(encoder, timeline);
    }
    *lock(stream) = Stream {
        feed: feed.clone(),
        encoder,
        caps: None,
        missing: counts.missing(),
        left: None,
    };
    let (stream, counts) = (stream.clone(), counts.clone());
    media.connect_unprepared(move |_| {
        let mut stream = lock(&stream);
        // The next viewer's pipeline may be there already.
        if stream.feed == feed {
            counts.forget_rest(stream.missing);
            *stream = Stream {
                left: Some(Instant::now()),
                ..Stream::default()
            };
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
        // Also while nobody looks: it is known before the first viewer waits in vain.
        fits(&self.name, &frame.caps)?;
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
        self.counts.give(frame, Some(pts));
        drop(stream);
        let mut buffer = frame.buffer.copy();
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(pts);
            buffer.set_dts(gst::ClockTime::NONE);
        }
        // Refused while the last viewer leaves: then nobody wants it.
        let _ = feed.push_buffer(buffer);
        Ok(())
    }

    fn complete(&mut self) -> Result<(), CameraError> {
        let stream = lock(&self.stream);
        if stream.feed.is_some() {
            self.counts.forget_rest(stream.missing);
        }
        Ok(())
    }

    fn stats(&self) -> OutputStats {
        self.counts.stats()
    }

    fn remark(&mut self) -> Option<String> {
        let reason = lock(&self.faults).next()?;
        Some(format!("note: {}: {reason}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_a_pipeline_ended_with_are_not_lost() {
        let counts = Counts::default();
        let mut earlier = 0;
        for (given, taken, lost) in [(30, 28, 0), (30, 20, 6), (30, 30, 6)] {
            counts.given.fetch_add(given, Ordering::Relaxed);
            counts.taken.fetch_add(taken, Ordering::Relaxed);
            counts.forget_rest(earlier);
            earlier = counts.missing();
            assert_eq!(earlier, lost);
        }
    }
}

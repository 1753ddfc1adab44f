//! MJPEG over http (`multipart/x-mixed-replace`), which most network cameras offer: at once, and
//! never late.
//!
//! ```text
//! souphttpsrc ! queue2 ! multipartdemux ! multiqueue ! jpegdec       inside uridecodebin
//!                                     ^ probe       ^ probe
//!                        one picture waits; a newer one replaces it
//! ```
//!
//! A decoder that is too slow would otherwise fill every buffer up to the camera with pictures that
//! are old when their turn comes.

use std::sync::{Arc, Mutex};

use gstreamer as gst;
use gstreamer::prelude::*;

use super::sharpener::lock;
use super::timeline::Clock;

/// The place before the decoder.
#[derive(Debug, Default)]
struct Place {
    /// Somebody takes the pictures out, so that they may be held back.
    served: bool,
    /// A picture waits for the decoder.
    taken: bool,
    /// A newer one that goes in its stead.
    newer: Option<gst::Buffer>,
}

/// Sets up the demultiplexer that `pipeline` will find it needs. Of a live source, pictures are
/// stamped as they come, and only the newest waits.
pub(super) fn prepare(
    pipeline: &gst::Pipeline,
    clock: Option<impl Clock + Clone + Send + Sync + 'static>,
) {
    let place = Arc::<Mutex<Place>>::default();
    pipeline.connect_deep_element_added(move |_, _, element| {
        let kind = element.factory().map(|f| f.name().to_string());
        match (kind.as_deref(), &clock) {
            (Some("multipartdemux"), clock) => {
                // It cannot know how many streams there are, and decodebin would wait for all.
                element.set_property("single-stream", true);
                if let Some(clock) = clock.clone() {
                    let place = place.clone();
                    element
                        .connect_pad_added(move |_, pad| enter(pad, place.clone(), clock.clone()));
                }
            }
            (Some("multiqueue"), Some(_)) => {
                let place = place.clone();
                element.connect_pad_added(move |_, pad| {
                    if pad.direction() == gst::PadDirection::Src {
                        leave(pad, place.clone());
                    }
                });
            }
            _ => {}
        }
    });
}

/// Pictures come out of `pad` of the demultiplexer.
fn enter(pad: &gst::Pad, place: Arc<Mutex<Place>>, clock: impl Clock + Send + Sync + 'static) {
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data else {
            return gst::PadProbeReturn::Ok;
        };
        if buffer.pts().is_none() {
            buffer.make_mut().set_pts(clock.now());
        }
        let mut place = lock(&place);
        if place.taken {
            place.newer = Some(buffer.clone());
            return gst::PadProbeReturn::Drop;
        }
        place.taken = place.served;
        gst::PadProbeReturn::Ok
    });
}

/// The decoder is ready for what comes out of `pad`.
fn leave(pad: &gst::Pad, place: Arc<Mutex<Place>>) {
    lock(&place).served = true;
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data {
            let mut place = lock(&place);
            place.taken = false;
            if let Some(newer) = place.newer.take() {
                *buffer = newer;
            }
        }
        gst::PadProbeReturn::Ok
    });
}

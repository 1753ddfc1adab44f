//! Lets pictures of what was recorded pass when they are due, as if a camera gave them now.

use std::sync::{Arc, OnceLock};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::camera::elements::{is_a, named};
use crate::camera::error::CameraError;
use crate::camera::timeline::{Clock, Timeline};

/// So far a picture may be overdue, in nanoseconds: after a longer interruption what was missed does not race.
const OVERDUE: i64 = 2_000_000_000;

/// So far a picture may lie ahead, in nanoseconds; one that lies further is due then. A slow film, or one with a hole, has
/// its time, and a stream whose time leaps ahead does not stand still. It must stay below the silence after which a camera
/// counts as lost (`--stall`, five seconds unless told otherwise), or the wait itself would be taken for one.
const AHEAD: i64 = 4_000_000_000;

/// The first picture of a file is due now, however long the run is on: it may start for the tenth time.
pub(super) fn from_now(pipeline: &gst::Pipeline, timeline: &Timeline) -> Result<(), CameraError> {
    if let Some(pad) = named::<gst::Element>(pipeline, "pace")?.static_pad("sink") {
        pad.set_offset(nanoseconds(timeline.now()));
    }
    Ok(())
}

/// The same of what comes over http, if it was recorded: a playlist's segments, or a file, whose length the server knows.
/// Everything else comes at the camera's pace, and to hold it back only makes it late.
pub(super) fn as_recorded(
    pipeline: &gst::Pipeline,
    timeline: &Timeline,
) -> Result<(), CameraError> {
    let pace = named::<gst::Element>(pipeline, "pace")?;
    let source = named::<gst::Element>(pipeline, "source")?;
    let (Some(sink), Some(pad)) = (
        pace.static_pad("sink"),
        pace.static_pad("sink").and_then(|pad| pad.peer()),
    ) else {
        return Ok(());
    };
    let recorded = Arc::<OnceLock<bool>>::default();
    let seen = recorded.clone();
    pipeline.connect_deep_element_added(move |_, _, element| {
        let mjpeg = element
            .factory()
            .is_some_and(|f| f.name() == "multipartdemux");
        if mjpeg || is_a(Some(element.upcast_ref()), "Adaptive") {
            // The first one decides: what it finds comes after it.
            let _ = seen.set(!mjpeg);
        }
    });
    let clock = timeline.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if !recorded.get_or_init(|| has_a_length(&source)) {
            // Not before: the pipeline would wait for a first picture, and this for the pipeline.
            pace.set_property("sync", false);
            return gst::PadProbeReturn::Remove;
        }
        let pts = info.buffer().and_then(|buffer| buffer.pts());
        if let Some(due) = pts.and_then(|pts| running_time(&sink, pts)) {
            let slip = nanoseconds(clock.now()) - nanoseconds(due);
            if pad.offset() == 0 || slip > OVERDUE {
                pad.set_offset(pad.offset() + slip);
            } else if slip < -AHEAD {
                pad.set_offset(pad.offset() + slip + AHEAD);
            }
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Whether the server says how many bytes there are.
fn has_a_length(decoder: &gst::Element) -> bool {
    let source = decoder.property::<Option<gst::Element>>("source");
    source.is_some_and(|source| source.query_duration::<gst::format::Bytes>().is_some())
}

/// A timestamp on `pad` as running time.
pub(super) fn running_time(pad: &gst::Pad, pts: gst::ClockTime) -> Option<gst::ClockTime> {
    let event = pad.sticky_event::<gst::event::Segment>(0)?;
    let segment = event.segment().downcast_ref::<gst::ClockTime>()?;
    segment.to_running_time(pts)
}

fn nanoseconds(time: gst::ClockTime) -> i64 {
    i64::try_from(time.nseconds()).unwrap_or(i64::MAX)
}

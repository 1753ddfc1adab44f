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

/// How pictures come over http.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comes {
    /// At the camera's pace, with the run's time on each (MJPEG).
    Stamped,
    /// At the camera's pace, in a time that begins with each connection.
    Streamed,
    /// As fast as they are taken: a playlist's segments, or a file, whose length the server knows.
    Recorded,
}

/// The same of what comes over http, if it was recorded. Everything else comes at the camera's pace, and to hold it back only
/// makes it late.
pub(super) fn as_recorded(
    pipeline: &gst::Pipeline,
    timeline: &Timeline,
) -> Result<(), CameraError> {
    let pace = named::<gst::Element>(pipeline, "pace")?;
    let source = named::<gst::Element>(pipeline, "source")?;
    let comes = Arc::<OnceLock<Comes>>::default();
    let seen = comes.clone();
    pipeline.connect_deep_element_added(move |_, _, element| {
        let mjpeg = element
            .factory()
            .is_some_and(|f| f.name() == "multipartdemux");
        if mjpeg || is_a(Some(element.upcast_ref()), "Adaptive") {
            // The first one decides: what it finds comes after it.
            let _ = seen.set(if mjpeg {
                Comes::Stamped
            } else {
                Comes::Recorded
            });
        }
    });
    keep_time(&pace, timeline.clone(), move || {
        *comes.get_or_init(|| {
            if has_a_length(&source) {
                Comes::Recorded
            } else {
                Comes::Streamed
            }
        })
    });
    Ok(())
}

/// Brings what reaches `pace` to the time of `clock`, as far as it needs that.
fn keep_time(
    pace: &gst::Element,
    clock: impl Clock + Send + Sync + 'static,
    comes: impl Fn() -> Comes + Send + Sync + 'static,
) {
    let sink = pace.static_pad("sink");
    let Some((sink, pad)) = sink.and_then(|sink| sink.peer().map(|pad| (sink, pad))) else {
        return;
    };
    let pace = pace.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let comes = comes();
        if comes != Comes::Recorded {
            // Not before: the pipeline would wait for a first picture, and this for the pipeline.
            pace.set_property("sync", false);
        }
        if comes == Comes::Stamped {
            return gst::PadProbeReturn::Remove;
        }
        let pts = info.buffer().and_then(|buffer| buffer.pts());
        let Some(due) = pts.and_then(|pts| running_time(&sink, pts)) else {
            return gst::PadProbeReturn::Ok;
        };
        let slip = nanoseconds(clock.now()) - nanoseconds(due);
        if comes == Comes::Streamed {
            // The first picture is of now, however long the run is on; the others say themselves how late they are.
            pad.set_offset(pad.offset() + slip);
            return gst::PadProbeReturn::Remove;
        }
        if pad.offset() == 0 || slip > OVERDUE {
            pad.set_offset(pad.offset() + slip);
        } else if slip < -AHEAD {
            pad.set_offset(pad.offset() + slip + AHEAD);
        }
        gst::PadProbeReturn::Ok
    });
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gstreamer_app as gst_app;

    use super::*;
    use crate::camera::twin::ManualClock;

    #[test]
    fn a_stream_that_is_opened_again_is_of_now() {
        gst::init().unwrap();
        for (comes, begins) in [(Comes::Streamed, 3600), (Comes::Stamped, 0)] {
            let line = "appsrc name=in format=time caps=video/x-raw ! capsfilter caps=video/x-raw \
                        ! identity name=pace sync=true ! appsink name=out sync=false";
            let pipeline = gst::parse::launch(line).unwrap();
            let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
            let clock = ManualClock::default();
            clock.sleep(Duration::from_secs(3600));
            keep_time(&named(&pipeline, "pace").unwrap(), clock, move || comes);
            pipeline.set_state(gst::State::Playing).unwrap();
            let feed: gst_app::AppSrc = named(&pipeline, "in").unwrap();
            let out: gst_app::AppSink = named(&pipeline, "out").unwrap();
            for ms in [0, 100] {
                let mut buffer = gst::Buffer::with_size(1).unwrap();
                let pts = gst::ClockTime::from_mseconds(ms);
                buffer.get_mut().unwrap().set_pts(pts);
                feed.push_buffer(buffer).unwrap();
                let sample = out
                    .try_pull_sample(gst::ClockTime::from_seconds(20))
                    .unwrap();
                let segment = sample.segment().unwrap().downcast_ref::<gst::ClockTime>();
                assert_eq!(
                    segment.unwrap().to_running_time(pts),
                    Some(gst::ClockTime::from_seconds(begins) + pts),
                    "{comes:?}"
                );
            }
            pipeline.set_state(gst::State::Null).unwrap();
        }
    }
}

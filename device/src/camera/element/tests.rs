//! The element between others.

use gstreamer_video as gst_video;
use hone_shared::student::Colour;

use super::*;
use crate::camera::elements::{self, named};
use crate::camera::error::CameraError;
use crate::camera::sharpener::Level;
use crate::camera::twin::InvertingEngine;
use crate::engine::{Engine, EngineError, FrameView, FrameViewMut, StudentInfo};

/// Refuses every frame.
struct Refusing(InvertingEngine);

impl Engine for Refusing {
    fn student(&self) -> &StudentInfo {
        self.0.student()
    }

    fn description(&self) -> String {
        "refuses".into()
    }

    fn run(
        &mut self,
        _: &FrameView<'_>,
        _: &mut FrameViewMut<'_>,
        _: f32,
    ) -> Result<(), EngineError> {
        Err(EngineError::Run("not today".into()))
    }
}

/// A pipeline that stops when it is dropped.
struct Running(gst::Pipeline, HoneSharpen);

impl Running {
    /// Twelve frames for an element with `engine`.
    fn start(engine: impl Engine + 'static, bypass: bool) -> Self {
        elements::start().unwrap();
        let line = "videotestsrc is-live=true num-buffers=12 \
             ! video/x-raw,format=I420,width=64,height=48,framerate=100/1 \
             ! honesharpen name=sharpen ! fakesink name=sink";
        let pipeline = elements::launch(line, CameraError::Gstreamer).unwrap();
        let element = named::<HoneSharpen>(&pipeline, "sharpen").unwrap();
        let level = Level {
            name: "one".into(),
            engine: Box::new(engine),
        };
        let sharpener = Sharpener::new(vec![level], Arc::default()).unwrap();
        sharpener.dials().set_bypass(bypass);
        element.use_sharpener(sharpener.into());
        Self(pipeline, element)
    }

    /// What the element said until all frames went through.
    fn said(&self) -> Vec<gst::MessageType> {
        self.0.set_state(gst::State::Playing).unwrap();
        let mut said = Vec::new();
        for message in self
            .0
            .bus()
            .unwrap()
            .iter_timed(gst::ClockTime::from_seconds(60))
        {
            if message.type_() == gst::MessageType::Eos {
                return said;
            }
            if message.src().is_some_and(|source| *source == self.1) {
                said.push(message.type_());
            }
        }
        panic!("the stream did not end");
    }

    fn stat(&self, name: &str) -> u64 {
        self.1
            .property::<gst::Structure>("stats")
            .get(name)
            .unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn sinks_wait_for_what_a_frame_takes() {
    let running = Running::start(InvertingEngine::new(Colour::Luma), false);
    let said = running.said();
    assert!(said.contains(&gst::MessageType::Latency), "{said:?}");
    let (mut before, mut after) = (gst::query::Latency::new(), gst::query::Latency::new());
    let pad = |name| running.1.static_pad(name).unwrap();
    assert!(pad("sink").peer_query(&mut before) && pad("src").query(&mut after));
    let own = after.result().1 - before.result().1;
    assert!(own >= gst::ClockTime::MSECOND, "{own}");
}

#[test]
fn what_was_measured_outlives_the_stream() {
    let running = Running::start(InvertingEngine::new(Colour::Luma), false);
    running.said();
    let sharpened = running.stat("sharpened");
    assert!(sharpened > 0);
    running.0.set_state(gst::State::Null).unwrap();
    assert_eq!(running.stat("sharpened"), sharpened);
}

#[test]
fn frames_that_fail_alike_are_told_once() {
    let running = Running::start(Refusing(InvertingEngine::new(Colour::Luma)), false);
    let said = running.said();
    let warnings = said.iter().filter(|m| **m == gst::MessageType::Warning);
    assert_eq!(warnings.count(), 1, "{said:?}");
    assert!(running.stat("failed") > 1);
}

#[test]
fn frames_to_be_cropped_are_not_asked_for() {
    type Crop = gst_video::VideoCropMeta;
    type Region = gst_video::VideoRegionOfInterestMeta;
    let running = Running::start(InvertingEngine::new(Colour::Luma), true);
    let sink = named::<gst::Element>(&running.0, "sink").unwrap();
    let pad = sink.static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
        let query = info.query_mut().map(|query| query.view_mut());
        let Some(gst::QueryViewMut::Allocation(query)) = query else {
            return gst::PadProbeReturn::Ok;
        };
        query.add_allocation_meta::<Crop>(None);
        query.add_allocation_meta::<Region>(None);
        gst::PadProbeReturn::Handled
    });
    running.said();
    let pad = running.1.static_pad("sink").unwrap();
    let mut query = gst::query::Allocation::new(pad.current_caps().as_ref(), true);
    assert!(pad.query(&mut query));
    assert!(query.find_allocation_meta::<Region>().is_some());
    assert_eq!(query.find_allocation_meta::<Crop>(), None);
}

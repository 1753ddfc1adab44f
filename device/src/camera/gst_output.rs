//! One output on GStreamer: a pipeline of its own, so that a sink that fails or falls behind takes no other with it.
//!
//! ```text
//! appsrc ! queue (one frame, leaky when live) ! [encoder ! muxer !] sink
//! ```

mod ending;
mod failure;
mod files;
mod lengths;
mod playable;

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::address::without_password;
use super::elements::{self, named};
use super::encoder::fits;
use super::error::CameraError;
use super::feed::Frame;
use super::levels;
use super::output::{Counts, FEED, Output, OutputStats};
use super::picture::{picture, tell_range};
use super::quota::Segments;
use super::sharpener::lock;
use super::sink::{Held, SinkKind, SinkSpec, Unpublished, exact, numbered, packed};
use super::timeline::Timeline;
use crate::atomic;

/// How long one wait for room takes at most, so that a signal or an error is seen soon.
const ROOM: Duration = Duration::from_millis(100);

/// Frames between two looks at the space that a recording takes.
const QUOTA_EVERY: u64 = 300;

/// Frames that the feed of a live output may hold: its queue takes them at once, unless the sink hangs while it is told of
/// another shape. Those that come then are dropped, or they would fill the memory.
const HELD: u64 = 4;

/// An output on GStreamer. Dropped before [`Output::complete`], it leaves nothing behind when its source is a file; what it
/// recorded of a live one will not come again and is kept beside its target.
#[derive(Debug)]
pub struct GstOutput {
    spec: SinkSpec,
    pipeline: gst::Pipeline,
    feed: gst_app::AppSrc,
    live: bool,
    /// Told when the feed wants a frame.
    hungry: Arc<(Mutex<()>, Condvar)>,
    caps: Option<gst::Caps>,
    counts: Arc<Counts>,
    /// What a recording writes.
    segments: Option<Segments>,
    /// Why viewers of a playlist no longer see what is written.
    unpublished: Unpublished,
    /// Not told yet.
    remarks: VecDeque<String>,
    /// Whether its place has been seen to: it is complete, or what could be kept is kept.
    settled: bool,
    /// Keeps other processes from its place.
    _held: Option<Held>,
}

impl GstOutput {
    /// Starts the sink; `live` says whether late frames may be dropped.
    ///
    /// # Errors
    /// [`CameraError`] when its path cannot be written or an element is missing.
    pub fn start(spec: &SinkSpec, timeline: &Timeline, live: bool) -> Result<Self, CameraError> {
        let leaky = if live { "downstream" } else { "no" };
        let description = format!(
            "appsrc name=in format=time {FEED}leaky={leaky} ! {}",
            spec.tail(live)?
        );
        let pipeline = elements::launch(&description, |reason| CameraError::SinkSpec {
            given: spec.name.clone(),
            reason: without_password(&reason),
        })?;
        let earlier = match spec.target() {
            Some(target) if live => ending::earlier(target)?,
            _ => None,
        };
        let held = spec.prepare()?;
        let segments = match &spec.kind {
            SinkKind::Record(recording) => {
                Some(Segments::begin(&recording.folder, recording.quota_bytes()))
            }
            _ => None,
        };
        let mut output = Self {
            spec: spec.clone(),
            feed: named(&pipeline, "in")?,
            pipeline,
            live,
            hungry: Arc::default(),
            caps: None,
            counts: Arc::default(),
            segments,
            unpublished: Unpublished::default(),
            remarks: earlier.into_iter().collect(),
            settled: false,
            _held: held,
        };
        // Frames of one start may be too few for the look that comes with them, and none fit on a full disk.
        output.keep_within_quota();
        output.set_up()?;
        output.watch(timeline)?;
        if live {
            timeline.rule(&output.pipeline);
        }
        output
            .pipeline
            .set_state(gst::State::Playing)
            .map_err(|_| {
                output
                    .failure()
                    .unwrap_or_else(|| output.failed("it does not start".into()))
            })?;
        Ok(output)
    }

    fn set_up(&self) -> Result<(), CameraError> {
        // It never blocks: a pipeline that has failed would not wake it. `ready` holds a file back, and of live sources
        // the leaky queue drops.
        self.feed.set_block(false);
        self.feed.set_max_bytes(1);
        let hungry = self.hungry.clone();
        let callbacks = gst_app::AppSrcCallbacks::builder().need_data(move |_, _| {
            let _waiting = lock(&hungry.0);
            hungry.1.notify_one();
        });
        self.feed.set_callbacks(callbacks.build());
        if let Some(segments) = &self.segments {
            let file = named::<gst::Element>(&self.pipeline, "file")?;
            file.set_property("location", segments.pattern());
        }
        if let SinkKind::Hls(playlist) = &self.spec.kind {
            let sink = named::<gst::Element>(&self.pipeline, "file")?;
            playlist.begin(&self.pipeline, &sink, self.unpublished.clone());
        }
        let Some(target) = self.spec.target() else {
            return Ok(());
        };
        let part = atomic::part_path(target);
        let (element, location) = match self.spec.kind {
            SinkKind::Frames(_) => {
                tell_range(&named(&self.pipeline, "exit")?);
                ("file", numbered(&part, "%06d.png").into())
            }
            SinkKind::Raw(_) => ("exit", part),
            _ => ("file", part),
        };
        let location = location.to_str().ok_or_else(|| CameraError::SinkPath {
            path: target.to_owned(),
            reason: "the path is not UTF-8".into(),
        })?;
        named::<gst::Element>(&self.pipeline, element)?.set_property("location", location);
        Ok(())
    }

    fn watch(&self, timeline: &Timeline) -> Result<(), CameraError> {
        lengths::keep(&self.pipeline);
        levels::keep(self.pipeline.upcast_ref());
        let exit = named::<gst::Element>(&self.pipeline, "exit")?;
        self.counts.watch(&exit, timeline);
        Ok(())
    }

    /// Sees to what depends on the first frame, which goes in with `caps`.
    fn begin(&mut self, caps: &gst::Caps, frame: &Frame) -> Result<(), CameraError> {
        if *caps != frame.caps {
            self.remarks.extend(self.spec.colourless());
        }
        if let SinkKind::Lossless(_) = self.spec.kind {
            let filter = named::<gst::Element>(&self.pipeline, "exact")?;
            filter.set_property("caps", exact(caps));
        }
        Ok(())
    }

    fn keep_within_quota(&mut self) {
        let Some(segments) = &mut self.segments else {
            return;
        };
        if segments.outgrown()
            && let Some(sink) = self.pipeline.by_name("file")
        {
            // `max-size-bytes` would do it too, but without it the encoder is asked for a keyframe where a segment ends;
            // `split-after` is not there before GStreamer 1.16.
            sink.emit_by_name::<()>("split-now", &[]);
        }
        let remark = segments.keep_within_quota();
        self.remarks
            .extend(remark.map(|told| format!("note: {}: {told}", self.spec.name)));
    }

    fn give(&mut self, frame: &Frame) -> Result<(), CameraError> {
        let (buffer, mut caps) = match self.spec.kind {
            SinkKind::Frames(_) => picture(&frame.buffer, &frame.caps)?,
            SinkKind::Raw(_) => (packed(&frame.buffer, &frame.caps)?, frame.caps.clone()),
            _ => (frame.buffer.clone(), frame.caps.clone()),
        };
        match &self.caps {
            Some(given) if *given != caps => keep_rate(&mut caps, given),
            Some(_) => {}
            None => self.begin(&caps, frame)?,
        }
        if self.caps.as_ref() != Some(&caps) {
            if self.spec.encodes() {
                fits(&self.spec.name, &caps)?;
            }
            self.feed.set_caps(Some(&caps));
            self.caps = Some(caps);
        }
        let given = self.counts.give(frame, buffer.pts());
        if given.is_multiple_of(QUOTA_EVERY) {
            self.keep_within_quota();
        }
        let held = self.feed.current_level_bytes();
        let pushed = match self.live && held > HELD * buffer.size() as u64 {
            true => Ok(gst::FlowSuccess::Ok),
            false => self.feed.push_buffer(buffer),
        };
        match (self.failure(), pushed) {
            (Some(error), _) => Err(error),
            (None, Err(flow)) => Err(self.failed(format!("it takes no more frames ({flow})"))),
            (None, Ok(_)) => Ok(()),
        }
    }
}

/// Gives `caps` the frame rate that the output began with: muxers take no other one, and time stamps say it all.
fn keep_rate(caps: &mut gst::Caps, given: &gst::Caps) {
    let rate = given
        .structure(0)
        .map(|s| s.get::<gst::Fraction>("framerate"));
    if let Some(Ok(rate)) = rate {
        caps.make_mut().set("framerate", rate);
    }
}

impl Output for GstOutput {
    fn name(&self) -> &str {
        &self.spec.name
    }

    fn ready(&mut self) -> Result<bool, CameraError> {
        let full = |feed: &gst_app::AppSrc| feed.current_level_bytes() > 0;
        if !self.live && full(&self.feed) {
            let (waiting, room) = &*self.hungry;
            let waiting = lock(waiting);
            let waited = room.wait_timeout_while(waiting, ROOM, |()| full(&self.feed));
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
        match self.failure() {
            Some(error) => Err(error),
            None => Ok(self.live || !full(&self.feed)),
        }
    }

    fn push(&mut self, frame: &Frame) -> Result<(), CameraError> {
        self.give(frame)
    }

    fn end(&mut self) {
        // An end without a beginning would publish an empty playlist over an earlier one.
        if self.counts.given.load(Ordering::Relaxed) > 0 {
            // Refused when the pipeline already failed: the bus says why.
            let _ = self.feed.end_of_stream();
        }
    }

    fn written(&mut self, over: bool) -> Option<Result<(), CameraError>> {
        match self.counts.given.load(Ordering::Relaxed) {
            0 => Some(Ok(())),
            _ => self.end_of_writing(over),
        }
    }

    fn complete(&mut self) -> Result<(), CameraError> {
        match self.counts.given.load(Ordering::Relaxed) {
            0 => Ok(()),
            _ => self.publish(),
        }
    }

    fn settle(&mut self) -> Option<String> {
        self.see_to_place()
    }

    fn stats(&self) -> OutputStats {
        self.counts.stats()
    }

    fn remark(&mut self) -> Option<String> {
        self.remarks.pop_front()
    }
}

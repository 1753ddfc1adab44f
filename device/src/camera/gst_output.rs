//! One output on GStreamer: a pipeline of its own, so that a sink that fails or falls behind takes no other with it.
//!
//! ```text
//! appsrc ! queue (one frame, leaky when live) ! [encoder ! muxer !] sink
//! ```

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::elements::{self, named, probe};
use super::error::CameraError;
use super::feed::Frame;
use super::histogram::Histogram;
use super::output::{FEED, Output, OutputStats};
use super::picture::picture;
use super::sharpener::lock;
use super::sink::{SinkKind, SinkSpec, packed};
use super::timeline::{Clock, Marks, Timeline, between};
use crate::atomic;

/// How long an encoder may take to write what it still holds.
const FINISH: gst::ClockTime = gst::ClockTime::from_seconds(30);

/// How long one wait for room takes at most, so that a signal or an error is seen soon.
const ROOM: Duration = Duration::from_millis(100);

/// Frames between two looks at the space that a recording takes.
const QUOTA_EVERY: u64 = 300;

/// An output on GStreamer. Dropped before [`Output::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct GstOutput {
    spec: SinkSpec,
    pipeline: gst::Pipeline,
    feed: gst_app::AppSrc,
    live: bool,
    /// Told when the feed wants a frame.
    hungry: Arc<(Mutex<()>, Condvar)>,
    caps: Option<gst::Caps>,
    marks: Arc<Marks>,
    age: Arc<Mutex<Histogram>>,
    taken: Arc<AtomicU64>,
    given: u64,
    /// Not told yet.
    remark: Option<String>,
    finished: bool,
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
            reason,
        })?;
        spec.prepare()?;
        let output = Self {
            spec: spec.clone(),
            feed: named(&pipeline, "in")?,
            pipeline,
            live,
            hungry: Arc::default(),
            caps: None,
            marks: Arc::default(),
            age: Arc::default(),
            taken: Arc::default(),
            given: 0,
            remark: None,
            finished: false,
        };
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
                    .bus_error()
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
        if let SinkKind::Record(recording) = &self.spec.kind {
            // A name of its own for every run: what an earlier one recorded stays.
            let start = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap_or_default();
            let pattern = recording
                .folder
                .join(format!("{}-%05d.mkv", start.as_millis()));
            let pattern = pattern.display().to_string();
            named::<gst::Element>(&self.pipeline, "file")?.set_property("location", pattern);
        }
        if let SinkKind::Hls(playlist) = &self.spec.kind {
            let sink = named::<gst::Element>(&self.pipeline, "file")?;
            let inside = |name: &str| playlist.folder.join(name).display().to_string();
            sink.set_property("location", inside("live%05d.ts"));
            sink.set_property("playlist-location", inside("live.m3u8"));
        }
        let Some(target) = self.spec.target() else {
            return Ok(());
        };
        let part = atomic::part_path(target);
        let (element, location) = match self.spec.kind {
            SinkKind::Frames(_) => ("file", part.join("%06d.png")),
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
        let exit = named::<gst::Element>(&self.pipeline, "exit")?;
        let (marks, age, taken) = (self.marks.clone(), self.age.clone(), self.taken.clone());
        let timeline = timeline.clone();
        probe(&exit, "sink", move |_, buffer| {
            taken.fetch_add(1, Ordering::Relaxed);
            if let Some(mark) = buffer.pts().and_then(|pts| marks.take(pts)) {
                lock(&age).add(between(mark.captured, timeline.now()));
            }
        });
        Ok(())
    }

    fn failed(&self, reason: String) -> CameraError {
        match self.spec.target() {
            Some(path) => CameraError::SinkPath {
                path: path.to_owned(),
                reason,
            },
            None => CameraError::Sink {
                sink: self.spec.name.clone(),
                reason,
            },
        }
    }

    fn bus_error(&self) -> Option<CameraError> {
        let message = self
            .pipeline
            .bus()?
            .pop_filtered(&[gst::MessageType::Error])?;
        match message.view() {
            gst::MessageView::Error(error) => Some(self.failed(elements::bus_error(error))),
            _ => None,
        }
    }

    /// Ends the stream and waits until the sink has written the last byte.
    fn drain(&self) -> Result<(), CameraError> {
        // Refused when the pipeline already failed: the bus says why.
        let _ = self.feed.end_of_stream();
        let bus = self.pipeline.bus();
        let message = bus.and_then(|bus| {
            bus.timed_pop_filtered(FINISH, &[gst::MessageType::Eos, gst::MessageType::Error])
        });
        let result = match message.as_ref().map(|m| m.view()) {
            Some(gst::MessageView::Eos(_)) => Ok(()),
            Some(gst::MessageView::Error(error)) => Err(self.failed(elements::bus_error(error))),
            _ => Err(self.failed(format!("the encoder did not finish within {FINISH}"))),
        };
        self.stop();
        result
    }

    fn stop(&self) {
        // Nothing is left to do when even this fails.
        let _ = self.pipeline.set_state(gst::State::Null);
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
        match self.bus_error() {
            Some(error) => Err(error),
            None => Ok(self.live || !full(&self.feed)),
        }
    }

    fn push(&mut self, frame: &Frame) -> Result<(), CameraError> {
        let (buffer, caps) = match self.spec.kind {
            SinkKind::Frames(_) => picture(&frame.buffer, &frame.caps)?,
            SinkKind::Raw(_) => (packed(&frame.buffer, &frame.caps)?, frame.caps.clone()),
            _ => (frame.buffer.clone(), frame.caps.clone()),
        };
        if self.caps.as_ref() != Some(&caps) {
            if self.caps.is_none() && caps != frame.caps {
                self.remark = self.spec.colourless();
            }
            self.feed.set_caps(Some(&caps));
            self.caps = Some(caps);
        }
        if let Some(pts) = buffer.pts() {
            self.marks.captured(pts, frame.mark.captured);
        }
        self.given += 1;
        if let SinkKind::Record(recording) = &self.spec.kind
            && let Some(quota) = recording.quota
            && self.given.is_multiple_of(QUOTA_EVERY)
        {
            super::quota::keep_within(&recording.folder, quota << 30)
                .map_err(|e| self.failed(e.to_string()))?;
        }
        let pushed = self.feed.push_buffer(buffer);
        match (self.bus_error(), pushed) {
            (Some(error), _) => Err(error),
            (None, Err(flow)) => Err(self.failed(format!("it takes no more frames ({flow})"))),
            (None, Ok(_)) => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), CameraError> {
        if self.given == 0 {
            return Ok(());
        }
        self.drain()?;
        if let Some(target) = self.spec.target() {
            publish(target).map_err(|e| self.failed(e.to_string()))?;
        }
        self.finished = true;
        Ok(())
    }

    fn stats(&self) -> OutputStats {
        OutputStats {
            given: self.given,
            taken: self.taken.load(Ordering::Relaxed),
            age: lock(&self.age).clone(),
        }
    }

    fn remark(&mut self) -> Option<String> {
        self.remark.take()
    }
}

impl Drop for GstOutput {
    fn drop(&mut self) {
        self.stop();
        if let Some(target) = self.spec.target().filter(|_| !self.finished) {
            let part = atomic::part_path(target);
            // What was written is of no use, and one of the two does not apply.
            let _ = std::fs::remove_file(&part);
            let _ = std::fs::remove_dir_all(&part);
        }
    }
}

/// Gives a complete output its name.
fn publish(target: &Path) -> std::io::Result<()> {
    let part = atomic::part_path(target);
    std::fs::File::open(&part)?.sync_all()?;
    std::fs::rename(&part, target)
}

//! The pipeline from a source through the student.
//!
//! ```text
//! SOURCE ! decode ! [deinterlace !] queue (one frame, leaky when live) ! videoconvert ! capsfilter
//!   ! [videoflip !] videoscale ! videoconvert ! honesharpen ! appsink
//! ```
//!
//! The first videoconvert brings pictures to what can be turned and scaled; the second, which lets them pass otherwise, to
//! the format that the outputs began with when a source goes over to another, by way of RGB if its range is another too.

mod pace;
mod range;
mod shape;
#[cfg(test)]
mod tests;
mod trouble;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::address::without_password;
use super::damage::{Complaints, Listener};
use super::element::HoneSharpen;
use super::elements::{self, named, probe};
use super::error::CameraError;
use super::feed::{Camera, Frame, Next};
use super::mjpeg;
use super::planes;
use super::reach::Doubt;
use super::sharpener::Sharpener;
use super::source::{Pace, SourceKind, SourceSpec};
use super::timeline::{Clock, Marks, Timeline};
use super::upright::{Turns, pass_untagged};
use pace::running_time;
use shape::Shape;

/// A source on GStreamer.
#[derive(Debug)]
pub struct Capture {
    spec: SourceSpec,
    pipeline: gst::Pipeline,
    frames: gst_app::AppSink,
    marks: Arc<Marks>,
    captured: Arc<AtomicU64>,
    decoders: Listener,
    doubt: Doubt,
    shape: Shape,
    /// The image that was read last, of a folder of them.
    image: Arc<Mutex<Option<PathBuf>>>,
    live: bool,
}

impl Capture {
    /// Starts `spec`; every frame passes through `sharpener`. With `shape`, frames are scaled and
    /// converted to it, so that a camera that comes back in another mode fits the outputs; without, to
    /// that of the first frame.
    ///
    /// # Errors
    /// [`CameraError`] when the source cannot be opened.
    pub fn start(
        spec: &SourceSpec,
        sharpener: &Arc<Sharpener>,
        timeline: &Timeline,
        shape: Option<&gst::Caps>,
    ) -> Result<Self, CameraError> {
        spec.check()?;
        let formats = planes::format_names(sharpener.colour()).join(",");
        let (deinterlace, turn) = (spec.deinterlace(), spec.turn());
        let description = format!(
            "{} ! {deinterlace}queue name=latest max-size-buffers=1 max-size-bytes=0 max-size-time=0 \
             ! videoconvert ! capsfilter name=levels ! {turn}videoscale name=scale ! videoconvert \
             ! capsfilter name=shape caps=\"video/x-raw,format={{{formats}}}\" \
             ! honesharpen name=sharpen ! appsink name=frames sync=false max-buffers=1",
            spec.head()
        );
        let pipeline = elements::launch(&description, |reason| CameraError::SourceSpec {
            given: spec.name.clone(),
            reason: without_password(&reason),
        })?;
        let capture = Self {
            spec: spec.clone(),
            frames: named(&pipeline, "frames")?,
            decoders: Listener::on(&pipeline),
            shape: Shape::new(named(&pipeline, "shape")?, named(&pipeline, "levels")?),
            pipeline,
            marks: Arc::default(),
            captured: Arc::default(),
            doubt: Doubt::default(),
            image: Arc::default(),
            live: false,
        };
        spec.watch_fields(&capture.pipeline);
        pass_untagged(&capture.pipeline);
        capture.set_up(sharpener, shape, timeline)?;
        timeline.rule(&capture.pipeline);
        if spec.pace() == Some(Pace::Live) && spec.is_recorded() {
            pace::from_now(&capture.pipeline, timeline)?;
        }
        let live = Arc::new(AtomicBool::new(false));
        capture.watch(timeline, &live, sharpener)?;
        capture.begin(&live)
    }

    fn set_up(
        &self,
        sharpener: &Arc<Sharpener>,
        shape: Option<&gst::Caps>,
        timeline: &Timeline,
    ) -> Result<(), CameraError> {
        named::<HoneSharpen>(&self.pipeline, "sharpen")?.use_sharpener(sharpener.clone());
        if let Some(caps) = shape {
            self.shape.keep_to(caps);
        }
        let source = || named::<gst::Element>(&self.pipeline, "source");
        match &self.spec.kind {
            SourceKind::File(path) => {
                range::correct(path, &named(&self.pipeline, "decoded")?);
                source()?.set_property("location", path);
            }
            SourceKind::V4l2(path) => source()?.set_property("device", path.display().to_string()),
            SourceKind::Libcamera(Some(name)) => source()?.set_property("camera-name", name),
            SourceKind::Argus(sensor) => {
                source()?.set_property_from_str("sensor-id", &sensor.to_string());
            }
            SourceKind::Network(uri) if uri.starts_with("rtsp") => {
                source()?.set_property("location", uri);
            }
            SourceKind::Network(uri) => {
                let live = self.spec.pace() == Some(Pace::Live);
                mjpeg::prepare(&self.pipeline, live.then(|| timeline.clone()));
                if live && uri.starts_with("http") {
                    pace::as_recorded(&self.pipeline, timeline)?;
                }
                source()?.set_property("uri", uri);
            }
            SourceKind::Images(folder) => {
                let images = super::images::list(folder)?;
                let feed = named::<gst_app::AppSrc>(&self.pipeline, "images")?;
                let fps = self.spec.fps.unwrap_or(30);
                let turns = Turns::of(&self.pipeline);
                super::images::feed(&feed, images, fps, self.image.clone(), turns);
            }
            SourceKind::Test | SourceKind::Libcamera(None) | SourceKind::Gst(_) => {}
        }
        Ok(())
    }

    /// Puts probes where a frame is captured, and where the student begins and ends.
    fn watch(
        &self,
        timeline: &Timeline,
        live: &Arc<AtomicBool>,
        sharpener: &Arc<Sharpener>,
    ) -> Result<(), CameraError> {
        let queue = named::<gst::Element>(&self.pipeline, "latest")?;
        let sharpen = named::<gst::Element>(&self.pipeline, "sharpen")?;
        self.shape.watch(&named(&self.pipeline, "scale")?, &sharpen);
        let (marks, captured) = (self.marks.clone(), self.captured.clone());
        let (live, clock) = (live.clone(), timeline.clone());
        // A scene that is drawn too slowly carries the time at which it should have been there.
        let drawn = matches!(self.spec.kind, SourceKind::Test);
        probe(&queue, "sink", move |pad, buffer| {
            let now = clock.now();
            let index = captured.fetch_add(1, Ordering::Relaxed);
            let live = live.load(Ordering::Relaxed);
            let pts = buffer.pts().unwrap_or_else(|| {
                let pts = if live {
                    now
                } else {
                    index * gst::ClockTime::SECOND / 30
                };
                buffer.make_mut().set_pts(pts);
                pts
            });
            let stamp = running_time(pad, pts).filter(|_| live && !drawn);
            marks.captured(pts, stamp.map_or(now, |stamp| stamp.min(now)));
        });
        let (marks, clock) = (self.marks.clone(), timeline.clone());
        let sharpener = sharpener.clone();
        probe(&sharpen, "sink", move |_, buffer| {
            if let Some(pts) = buffer.pts() {
                sharpener.tap().before(pts, buffer);
                marks.change(pts, |mark| mark.begun = Some(clock.now()));
            }
        });
        let (marks, clock) = (self.marks.clone(), timeline.clone());
        probe(&sharpen, "src", move |_, buffer| {
            if let Some(pts) = buffer.pts() {
                marks.change(pts, |mark| mark.done = Some(clock.now()));
            }
        });
        Ok(())
    }

    /// Pauses, asks whether the source is live, and lets it run.
    fn begin(mut self, live: &AtomicBool) -> Result<Self, CameraError> {
        let paused = self
            .pipeline
            .set_state(gst::State::Paused)
            .map_err(|_| self.no_start())?;
        self.live = match self.spec.pace() {
            Some(pace) => pace == Pace::Live,
            None => paused == gst::StateChangeSuccess::NoPreroll,
        };
        live.store(self.live, Ordering::Relaxed);
        if self.live {
            named::<gst::Element>(&self.pipeline, "latest")?
                .set_property_from_str("leaky", "downstream");
            self.frames.set_drop(true);
        }
        self.pipeline
            .set_state(gst::State::Playing)
            .map_err(|_| self.no_start())?;
        Ok(self)
    }
}

impl Camera for Capture {
    fn next(&mut self, wait: Duration) -> Result<Next, CameraError> {
        let wait = gst::ClockTime::try_from(wait).unwrap_or(gst::ClockTime::SECOND);
        let Some(sample) = self.frames.try_pull_sample(wait) else {
            return match self.fault(wait.into()) {
                Some(error) => Err(error),
                None if self.frames.is_eos() && !self.doubt.open() => Ok(Next::Ended),
                None => Ok(Next::Waiting),
            };
        };
        self.decoders.fine();
        let (Some(mut buffer), Some(caps)) = (sample.buffer_owned(), sample.caps_owned()) else {
            return Ok(Next::Waiting);
        };
        let Some(caps) = self.shape.of(caps) else {
            return Ok(Next::Waiting);
        };
        let Some(mark) = buffer.pts().and_then(|pts| self.marks.take(pts)) else {
            return Ok(Next::Waiting);
        };
        let running = sample
            .segment()
            .and_then(|s| s.downcast_ref::<gst::ClockTime>())
            .and_then(|s| s.to_running_time(mark.pts))
            .unwrap_or(mark.pts);
        // Only the sample holds the buffer besides this, and it goes now.
        drop(sample);
        buffer.make_mut().set_pts(running);
        Ok(Next::Frame(Frame { buffer, caps, mark }))
    }

    fn live(&self) -> bool {
        self.live
    }

    fn captured(&self) -> u64 {
        self.captured.load(Ordering::Relaxed)
    }

    fn announced(&self) -> Option<gst::ClockTime> {
        self.pipeline.query_duration()
    }

    fn keep_to(&mut self, shape: &gst::Caps) {
        self.shape.keep_to(shape);
    }

    fn remark(&mut self) -> Option<String> {
        self.shape.remark()
    }

    fn complaints(&self) -> Complaints {
        self.decoders.complaints()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Nothing is left to do when even this fails.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

//! Properties, caps and the transform of `honesharpen`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;
use gstreamer_base as gst_base;
use gstreamer_base::prelude::*;
use gstreamer_base::subclass::BaseTransformMode;
use gstreamer_base::subclass::prelude::*;
use gstreamer_video as gst_video;
use gstreamer_video::subclass::prelude::*;

use super::super::dials::Dials;
use super::super::planes;
use super::super::sharpener::{Sharpener, lock};
use super::settings::Settings;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "honesharpen",
        gst::DebugColorFlags::empty(),
        Some("Restoration by a student network"),
    )
});

#[derive(Debug, Default)]
pub struct HoneSharpen {
    settings: Mutex<Settings>,
    dials: Mutex<Arc<Dials>>,
    given: Mutex<Option<Arc<Sharpener>>>,
    running: Mutex<Option<Arc<Sharpener>>>,
    was_untouched: AtomicBool,
    told_interlaced: AtomicBool,
    frames: AtomicU64,
}

impl HoneSharpen {
    pub(super) fn use_sharpener(&self, sharpener: Arc<Sharpener>) {
        *lock(&self.dials) = sharpener.dials().clone();
        *lock(&self.given) = Some(sharpener);
    }

    fn dials(&self) -> Arc<Dials> {
        lock(&self.dials).clone()
    }

    fn running(&self) -> Option<Arc<Sharpener>> {
        lock(&self.running).clone()
    }

    fn stats(&self) -> gst::Structure {
        let stats = self.running().map(|s| s.stats()).unwrap_or_default();
        let millis = |d: std::time::Duration| d.as_secs_f64() * 1e3;
        gst::Structure::builder("honesharpen-stats")
            .field("sharpened", stats.sharpened)
            .field("untouched", stats.untouched)
            .field("skipped", stats.skipped)
            .field("failed", stats.failed)
            .field("ms-mean", millis(stats.time.mean()))
            .field("ms-p99", millis(stats.time.quantile(0.99)))
            .build()
    }
}

#[glib::object_subclass]
impl ObjectSubclass for HoneSharpen {
    const NAME: &'static str = "HoneSharpen";
    type Type = super::HoneSharpen;
    type ParentType = gst_video::VideoFilter;
}

impl ObjectImpl for HoneSharpen {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(super::properties::all);
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        let text = || value.get::<Option<String>>().ok().flatten();
        let number = || value.get::<f64>().unwrap_or_default() as f32;
        match pspec.name() {
            "bundle" => settings.bundle = text().map(PathBuf::from),
            "trusted-key" => settings.trusted_key = text().map(PathBuf::from),
            "allow-unsigned" => settings.allow_unsigned = value.get().unwrap_or_default(),
            "model" => settings.model = text().map(PathBuf::from),
            "level" => settings.level = text().filter(|level| !level.is_empty()),
            "threads" => settings.threads = value.get().unwrap_or_default(),
            "strength" => self.dials().set_strength(number()),
            "split" => self.dials().set_split(number()),
            "bypass" => self.dials().set_bypass(value.get().unwrap_or_default()),
            _ => {}
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        let path = |p: &Option<PathBuf>| p.as_ref().map(|p| p.display().to_string()).to_value();
        match pspec.name() {
            "bundle" => path(&settings.bundle),
            "trusted-key" => path(&settings.trusted_key),
            "allow-unsigned" => settings.allow_unsigned.to_value(),
            "model" => path(&settings.model),
            "level" => settings.level.to_value(),
            "threads" => settings.threads.to_value(),
            "strength" => f64::from(self.dials().strength()).to_value(),
            "split" => f64::from(self.dials().split()).to_value(),
            "bypass" => self.dials().bypass().to_value(),
            _ => self.stats().to_value(),
        }
    }
}

impl GstObjectImpl for HoneSharpen {}

impl ElementImpl for HoneSharpen {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "hone sharpener",
                "Filter/Effect/Video",
                "Restores blurred frames with a student network distilled by hone",
                "The hone authors",
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = gst_video::VideoCapsBuilder::new()
                .format_list(formats(None))
                .build();
            [
                ("src", gst::PadDirection::Src),
                ("sink", gst::PadDirection::Sink),
            ]
            .into_iter()
            .filter_map(|(name, direction)| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).ok()
            })
            .collect()
        });
        TEMPLATES.as_ref()
    }
}

fn formats(colour: Option<hone_shared::student::Colour>) -> Vec<gst_video::VideoFormat> {
    planes::format_names(colour)
        .iter()
        .map(|name| gst_video::VideoFormat::from_string(name))
        .collect()
}

impl BaseTransformImpl for HoneSharpen {
    const MODE: BaseTransformMode = BaseTransformMode::NeverInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let given = lock(&self.given).clone();
        let sharpener = match given {
            Some(sharpener) => sharpener,
            None => {
                let settings = lock(&self.settings).clone();
                settings.load(self.dials())?
            }
        };
        gst::info!(CAT, imp = self, "{}", sharpener.description());
        *lock(&self.running) = Some(sharpener.clone());
        self.frames.store(0, Ordering::Relaxed);
        // A camera that comes back shows another moment.
        sharpener.restart();
        self.parent_start()
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.running) = None;
        self.parent_stop()
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        let elsewhere = match event.view() {
            gst::EventView::FlushStop(_) | gst::EventView::StreamStart(_) => true,
            gst::EventView::Segment(new) => !continues(&self.obj().segment(), new.segment()),
            _ => false,
        };
        if elsewhere && let Some(sharpener) = self.running() {
            // What comes next does not follow the picture before, as after a seek.
            sharpener.restart();
        }
        self.parent_sink_event(event)
    }

    fn transform_caps(
        &self,
        _direction: gst::PadDirection,
        caps: &gst::Caps,
        filter: Option<&gst::Caps>,
    ) -> Option<gst::Caps> {
        let colour = self.running().and_then(|s| s.colour());
        let fitting = gst_video::VideoCapsBuilder::new()
            .format_list(formats(colour))
            .build();
        let caps = caps.intersect(&fitting);
        Some(match filter {
            Some(filter) => filter.intersect_with_mode(&caps, gst::CapsIntersectMode::First),
            None => caps,
        })
    }

    fn before_transform(&self, inbuf: &gst::BufferRef) {
        if let Some(time) = stream_time(&self.obj().segment(), inbuf.pts()) {
            // A controlled property out of step is no reason to lose a frame.
            let _ = self.obj().sync_values(time);
        }
        let Some(sharpener) = self.running() else {
            return;
        };
        let untouched = sharpener.colour().is_none() || sharpener.dials().untouched();
        if untouched {
            sharpener.note_untouched();
        }
        if self.was_untouched.swap(untouched, Ordering::Relaxed) != untouched {
            self.obj().set_passthrough(untouched);
            self.obj().reconfigure_src();
        }
    }
}

/// The time that controllers count, of a frame with this timestamp; none outside the segment.
fn stream_time(segment: &gst::Segment, pts: Option<gst::ClockTime>) -> Option<gst::ClockTime> {
    let segment = segment.downcast_ref::<gst::ClockTime>()?;
    segment.to_stream_time(pts)
}

/// Whether a stream goes on in segment `new` where it was in `old`: sources repeat theirs.
fn continues(old: &gst::Segment, new: &gst::Segment) -> bool {
    let place = |s: &gst::Segment| (s.format(), s.rate(), s.start(), s.time(), s.base());
    place(old) == place(new)
}

impl VideoFilterImpl for HoneSharpen {
    fn set_info(
        &self,
        incaps: &gst::Caps,
        in_info: &gst_video::VideoInfo,
        outcaps: &gst::Caps,
        out_info: &gst_video::VideoInfo,
    ) -> Result<(), gst::LoggableError> {
        // `honed` says so itself, of every source.
        if in_info.interlace_mode() != gst_video::VideoInterlaceMode::Progressive
            && lock(&self.given).is_none()
            && !self.told_interlaced.swap(true, Ordering::Relaxed)
        {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Format,
                [
                    "the picture is interlaced, and its two fields are restored as one: put deinterlace before honesharpen"
                ]
            );
        }
        self.parent_set_info(incaps, in_info, outcaps, out_info)
    }

    fn transform_frame(
        &self,
        inframe: &gst_video::VideoFrameRef<&gst::BufferRef>,
        outframe: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let Some(sharpener) = self.running() else {
            return Err(gst::FlowError::Flushing);
        };
        if sharpener.skips(self.frames.fetch_add(1, Ordering::Relaxed)) {
            return Ok(gst_base::BASE_TRANSFORM_FLOW_DROPPED);
        }
        let result = planes::view(inframe).and_then(|frame| {
            let mut out = planes::view_mut(outframe)?;
            sharpener.sharpen(&frame, &mut out).map_err(Into::into)
        });
        if let Err(error) = result {
            sharpener.note_failed();
            gst::element_imp_warning!(
                self,
                gst::StreamError::Failed,
                ["the frame passes as it came: {error}"]
            );
            inframe
                .copy(outframe)
                .map_err(|_| gst::FlowError::NotNegotiated)?;
        }
        Ok(gst::FlowSuccess::Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_that_is_repeated_continues_the_stream() {
        gst::init().unwrap();
        let mut old = gst::FormattedSegment::<gst::ClockTime>::new();
        old.set_position(gst::ClockTime::from_seconds(3));
        let mut new = gst::FormattedSegment::<gst::ClockTime>::new();
        assert!(continues(old.upcast_ref(), new.upcast_ref()));
        new.set_start(gst::ClockTime::from_seconds(9));
        assert!(!continues(old.upcast_ref(), new.upcast_ref()));
    }

    #[test]
    fn controllers_count_the_time_of_the_stream() {
        gst::init().unwrap();
        let seconds = gst::ClockTime::from_seconds;
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_start(seconds(1000));
        segment.set_time(seconds(2));
        let time = |pts| stream_time(segment.upcast_ref(), pts);
        assert_eq!(time(Some(seconds(1003))), Some(seconds(5)));
        assert_eq!(time(Some(seconds(3))), None);
        assert_eq!(time(None), None);
        let bytes = gst::FormattedSegment::<gst::format::Bytes>::new();
        assert_eq!(stream_time(bytes.upcast_ref(), Some(seconds(3))), None);
    }
}

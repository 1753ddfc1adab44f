//! Properties, caps and the transform of `honesharpen`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Instant;

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
use super::super::sharpener::{SharpenStats, Sharpener, lock};
use super::latency::Latency;
use super::segment::{continues, stream_time};
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
    pub(super) settings: Mutex<Settings>,
    dials: Mutex<Arc<Dials>>,
    given: Mutex<Option<Arc<Sharpener>>>,
    running: Mutex<Option<Arc<Sharpener>>>,
    /// What was measured until it stopped.
    measured: Mutex<SharpenStats>,
    latency: Mutex<Latency>,
    /// Why the last frame passed that could not be restored.
    refused: Mutex<String>,
    was_untouched: AtomicBool,
    told_interlaced: AtomicBool,
    frames: AtomicU64,
}

impl HoneSharpen {
    pub(super) fn use_sharpener(&self, sharpener: Arc<Sharpener>) {
        *lock(&self.dials) = sharpener.dials().clone();
        *lock(&self.given) = Some(sharpener);
    }

    pub(super) fn dials(&self) -> Arc<Dials> {
        lock(&self.dials).clone()
    }

    fn running(&self) -> Option<Arc<Sharpener>> {
        lock(&self.running).clone()
    }

    pub(super) fn stats(&self) -> gst::Structure {
        let stats = match self.running() {
            Some(sharpener) => sharpener.stats(),
            None => lock(&self.measured).clone(),
        };
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
        self.set(pspec.name(), value);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        self.get(pspec.name())
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
        *lock(&self.latency) = Latency::default();
        lock(&self.refused).clear();
        // A camera that comes back shows another moment.
        sharpener.restart();
        self.parent_start()
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let stopped = lock(&self.running).take();
        if let Some(sharpener) = stopped {
            *lock(&self.measured) = sharpener.stats();
        }
        self.parent_stop()
    }

    fn query(&self, direction: gst::PadDirection, query: &mut gst::QueryRef) -> bool {
        let answered = BaseTransformImplExt::parent_query(self, direction, query);
        if answered
            && direction == gst::PadDirection::Src
            && let gst::QueryViewMut::Latency(query) = query.view_mut()
        {
            lock(&self.latency).add_to(query);
        }
        answered
    }

    fn propose_allocation(
        &self,
        decide_query: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        self.parent_propose_allocation(decide_query, query)?;
        // While frames pass as they came, the answer is that of what follows. Frames to be cropped are larger than the caps
        // say, and would still come when they are to be restored.
        if let Some(index) = query.find_allocation_meta::<gst_video::VideoCropMeta>() {
            query.remove_nth_allocation_meta(index);
        }
        Ok(())
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
        let begun = Instant::now();
        let result = planes::view(inframe).and_then(|frame| {
            let mut out = planes::view_mut(outframe)?;
            sharpener.sharpen(&frame, &mut out).map_err(Into::into)
        });
        let grown = lock(&self.latency).add(begun.elapsed());
        if grown {
            let element = self.obj();
            let message = gst::message::Latency::builder().src(&*element);
            // Without a bus nobody waits for it.
            let _ = element.post_message(message.build());
        }
        if let Err(error) = result {
            sharpener.note_failed();
            let reason = error.to_string();
            // Of frames that all fail alike the first one is told.
            if std::mem::replace(&mut *lock(&self.refused), reason.clone()) != reason {
                gst::element_imp_warning!(
                    self,
                    gst::StreamError::Failed,
                    ["the frame passes as it came: {reason}"]
                );
            }
            inframe
                .copy(outframe)
                .map_err(|_| gst::FlowError::NotNegotiated)?;
        }
        Ok(gst::FlowSuccess::Ok)
    }
}

//! One shape for all frames of a run: an encoder, a raw file or a page takes no second size, so
//! whatever comes after the first is scaled to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;

use crate::camera::levels::{before, differ, lead, on_caps};
use crate::camera::sharpener::lock;

/// What outputs tell frames apart by; a frame rate cannot be scaled, and outputs take another one.
const KEPT: [&str; 6] = [
    "format",
    "width",
    "height",
    "pixel-aspect-ratio",
    "colorimetry",
    "chroma-site",
];

/// Changes that are told; a source that changes with every frame would fill the log.
const TOLD: usize = 5;

/// The shape that frames are brought to, from when there is one.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    filter: gst::Element,
    levels: gst::Element,
    state: Arc<Mutex<State>>,
    /// A picture passed. Caps may change before, as when a film says that it is to be turned.
    flowing: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct State {
    kept: Option<gst::Caps>,
    /// What the source gives, before all conversion.
    given: Option<gst::Caps>,
    /// Width and height of what came last.
    came: Option<(u32, u32)>,
    told: usize,
    told_interlaced: bool,
    remarks: Vec<String>,
}

impl State {
    /// Width and height of the shape that is kept.
    fn size(&self) -> Option<(u32, u32)> {
        let info = gst_video::VideoInfo::from_caps(self.kept.as_ref()?).ok()?;
        Some((info.width(), info.height()))
    }

    fn tell(&mut self, news: &str) {
        self.told += 1;
        if self.told > TOLD {
            return;
        }
        let scaled = match self.size().filter(|size| self.came != Some(*size)) {
            Some((w, h)) => format!(": scaled to {w}x{h}, which the outputs began with"),
            None => String::new(),
        };
        self.remarks.push(format!("note: {news}{scaled}"));
    }
}

impl Shape {
    /// Frames pass the capsfilters `levels`, between a converter and a scaler, and `filter`, behind a second converter.
    pub(super) fn new(filter: gst::Element, levels: gst::Element) -> Self {
        Self {
            filter,
            levels,
            state: Arc::default(),
            flowing: Arc::default(),
        }
    }

    /// Brings all frames from now on to `caps`. Before the source has said what it gives, that waits: a source that leaves its
    /// caps to a filter behind it asks what is taken there, and the scaler's ranges would make the filter's answer no single one.
    pub(super) fn keep_to(&self, caps: &gst::Caps) {
        let known = {
            let mut state = lock(&self.state);
            if state.kept.as_ref() == Some(caps) {
                return;
            }
            state.kept = Some(caps.clone());
            state.given.is_some()
        };
        // Not under the lock: the filters ask their neighbours.
        if known {
            self.bring(caps);
        }
        self.level(Some(caps));
    }

    /// Has the last converters bring frames to `caps`.
    fn bring(&self, caps: &gst::Caps) {
        let wanted = only_kept(caps);
        if self.filter.property::<gst::Caps>("caps") != wanted {
            self.filter.set_property("caps", wanted);
        }
    }

    /// Leads frames to `wanted` by a way that keeps their range.
    fn level(&self, wanted: Option<&gst::Caps>) {
        let given = lock(&self.state).given.clone();
        let differ = given
            .zip(wanted)
            .is_some_and(|(given, wanted)| differ(&given, wanted));
        lead(&self.levels, differ);
    }

    /// Looks at the caps that reach `scale`; the ones that first reached `sharpen` decide.
    pub(super) fn watch(&self, scale: &gst::Element, sharpen: &gst::Element) {
        let (Some(scale), Some(sharpen)) = (scale.static_pad("sink"), sharpen.static_pad("sink"))
        else {
            return;
        };
        let (shape, given) = (self.clone(), sharpen.clone());
        on_caps(before(&self.levels), move |caps| {
            let flowing = shape.flowing.load(Ordering::Relaxed);
            let kept = {
                let mut state = lock(&shape.state);
                state.given = Some(caps.to_owned());
                state.kept.clone()
            };
            if let Some(kept) = &kept {
                shape.bring(kept);
            }
            let present = || given.current_caps().filter(|_| flowing);
            shape.level(kept.or_else(present).as_ref());
        });
        let shape = self.clone();
        let first = self.clone();
        scale.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            first.flow();
            gst::PadProbeReturn::Remove
        });
        scale.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if let Some(gst::EventView::Caps(event)) = info.event().map(|event| event.view())
                && let Ok(info) = gst_video::VideoInfo::from_caps(&event.caps_owned())
            {
                shape.come(&info, sharpen.current_caps());
            }
            gst::PadProbeReturn::Ok
        });
        // A camera keeps the mode that it runs in: some would stop and start again to look for another.
        for pad in before(&self.levels).into_iter().chain([scale]) {
            pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, |_, info| {
                match info.event().map(|event| event.type_()) {
                    Some(gst::EventType::Reconfigure) => gst::PadProbeReturn::Handled,
                    _ => gst::PadProbeReturn::Ok,
                }
            });
        }
    }

    /// Frames as `info` says come next; so far they left the scaler as `present`.
    fn come(&self, info: &gst_video::VideoInfo, present: Option<gst::Caps>) {
        let size = (info.width(), info.height());
        let before = lock(&self.state).came.replace(size);
        let before = before.filter(|_| self.flowing.load(Ordering::Relaxed));
        let unset = lock(&self.state).kept.is_none();
        if let Some(present) = present.filter(|_| unset && before.is_some()) {
            self.keep_to(&present);
        }
        let mut state = lock(&self.state);
        if info.interlace_mode() != gst_video::VideoInterlaceMode::Progressive
            && !std::mem::replace(&mut state.told_interlaced, true)
        {
            state.remarks.push(
                "note: the picture is interlaced, and its two fields are restored as one picture; to have them \
                 taken apart, put 'videoconvert ! deinterlace' (of gstreamer1.0-plugins-good) into a gst: source"
                    .into(),
            );
        }
        if let Some((w, h)) = before.filter(|before| *before != size) {
            let news = format!("the source changed from {w}x{h} to {}x{}", size.0, size.1);
            state.tell(&news);
        }
    }

    /// The first picture comes.
    fn flow(&self) {
        self.flowing.store(true, Ordering::Relaxed);
        let mut state = lock(&self.state);
        if let (Some((w, h)), Some(kept)) = (state.came, state.size())
            && kept != (w, h)
        {
            state.tell(&format!("the source gives {w}x{h}"));
        }
    }

    /// The caps of a frame that came out with `caps`; `None` for one from before the shape was set.
    pub(super) fn of(&self, caps: gst::Caps) -> Option<gst::Caps> {
        let Some(mut kept) = lock(&self.state).kept.clone() else {
            return Some(caps);
        };
        let bytes = |caps: &gst::Caps| {
            let info = gst_video::VideoInfo::from_caps(caps).ok()?;
            Some((info.format(), info.width(), info.height()))
        };
        if bytes(&kept) != bytes(&caps) {
            return None;
        }
        // What is left of the difference is of no matter to the bytes, and outputs would start anew for it.
        let rate = caps
            .structure(0)
            .map(|s| s.get::<gst::Fraction>("framerate"));
        if let Some(Ok(rate)) = rate {
            kept.make_mut().set("framerate", rate);
        }
        Some(kept)
    }

    /// What a person should know, each once.
    pub(super) fn remark(&self) -> Option<String> {
        let mut state = lock(&self.state);
        (!state.remarks.is_empty()).then(|| state.remarks.remove(0))
    }
}

/// What of `caps` frames can be brought to. Borders keep a picture's proportions, for which a pixel's
/// must be known. Colours that `caps` do not name are those that everybody takes them for, by the size.
fn only_kept(caps: &gst::Caps) -> gst::Caps {
    let mut wanted = gst::Structure::new_empty("video/x-raw");
    wanted.set("pixel-aspect-ratio", gst::Fraction::new(1, 1));
    for (field, value) in caps.structure(0).into_iter().flat_map(|s| s.iter()) {
        if KEPT.contains(&field.as_str()) {
            wanted.set_value(field.as_str(), value.clone());
        }
    }
    if let Ok(info) = gst_video::VideoInfo::from_caps(caps)
        && info.is_yuv()
        && !wanted.has_field("colorimetry")
    {
        wanted.set("colorimetry", info.colorimetry().to_string());
    }
    gst::Caps::builder_full().structure(wanted).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(width: i32, height: i32, fps: i32) -> gst::Caps {
        gst_video::VideoCapsBuilder::new()
            .format(gst_video::VideoFormat::I420)
            .width(width)
            .height(height)
            .framerate(gst::Fraction::new(fps, 1))
            .build()
    }

    fn shape() -> Shape {
        gst::init().unwrap();
        let filter = || gst::ElementFactory::make("capsfilter").build().unwrap();
        Shape::new(filter(), filter())
    }

    fn info(caps: &gst::Caps) -> gst_video::VideoInfo {
        gst_video::VideoInfo::from_caps(caps).unwrap()
    }

    #[test]
    fn the_first_size_is_kept_and_a_change_is_told() {
        let shape = shape();
        let (first, second) = (caps(320, 240, 30), caps(160, 120, 30));
        // A film that is to be turned says so before its first picture.
        shape.come(&info(&caps(240, 320, 30)), None);
        shape.come(&info(&first), None);
        shape.flow();
        lock(&shape.state).given = Some(first.clone());
        assert_eq!(shape.of(first.clone()), Some(first.clone()));
        assert_eq!(shape.remark(), None);
        shape.come(&info(&second), Some(first.clone()));
        let told = shape.remark().unwrap();
        assert!(
            told.contains("changed from 320x240 to 160x120: scaled to 320x240"),
            "{told}"
        );
        assert_eq!(shape.of(second), None);
        // Another frame rate passes.
        assert_eq!(shape.of(caps(320, 240, 15)), Some(caps(320, 240, 15)));
        let filter: gst::Caps = shape.filter.property("caps");
        assert!(filter.can_intersect(&caps(320, 240, 7)), "{filter}");
        assert!(!filter.can_intersect(&caps(160, 120, 7)));
    }

    #[test]
    fn a_source_that_flaps_is_told_a_few_times() {
        let shape = shape();
        shape.keep_to(&caps(320, 240, 30));
        shape.flow();
        for at in 0..40 {
            shape.come(&info(&caps(320 - 2 * (at % 2), 240, 30)), None);
        }
        let told = std::iter::from_fn(|| shape.remark()).count();
        assert_eq!(told, TOLD);
    }

    #[test]
    fn an_interlaced_picture_is_told_once() {
        let shape = shape();
        let mut caps = caps(320, 240, 25);
        caps.make_mut().set("interlace-mode", "mixed");
        shape.come(&info(&caps), None);
        shape.come(&info(&caps), Some(caps.clone()));
        assert!(shape.remark().unwrap().contains("interlaced"));
        assert_eq!(shape.remark(), None);
    }
}

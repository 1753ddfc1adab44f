//! The range of samples where videoconvert loses it: between two layouts of luma and chroma, and from grey to one of them, it
//! copies samples as they are, though 0 to 255 becomes 16 to 235 in what it says of them.

mod limit;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use gstreamer_video::{VideoColorRange, VideoColorimetry};

/// Sees to the range in a pipeline behind `appsrc`: the filter `coded` gets the range that frames have, where it would be lost, the
/// filter `levels` leads grey through RGB unless the element `exit` takes it as it is, and what passes `limited` leaves it in the
/// limited range.
pub(super) fn keep(bin: &gst::Bin) {
    let limited = bin.by_name("limited");
    if let Some(limited) = &limited {
        limit::limit(limited);
    }
    if let Some(coded) = bin.by_name("coded") {
        let brought = limited.is_some();
        if let Some(limited) = &limited {
            limit::welcome(limited, &coded);
        }
        on_caps(before(&coded), move |caps| {
            let mut layout = gst::Caps::new_empty_simple("video/x-raw");
            layout.make_mut().set("format", "I420");
            if let Some(colour) = grey(caps).or_else(|| full(caps).filter(|_| brought)) {
                layout.make_mut().set("colorimetry", colour.to_string());
            }
            set_caps(&coded, &layout);
        });
    }
    if let (Some(filter), Some(exit)) = (bin.by_name("levels"), bin.by_name("exit")) {
        on_caps(before(&filter), move |caps| {
            let takes = exit.static_pad("sink").map(|pad| pad.query_caps(None));
            let full = grey(caps).is_some_and(|c| c.range() == VideoColorRange::Range0_255);
            lead(
                &filter,
                full && takes.is_none_or(|takes| !takes.can_intersect(caps)),
            );
        });
    }
}

/// The colorimetry of frames that are grey.
fn grey(caps: &gst::CapsRef) -> Option<VideoColorimetry> {
    let info = gst_video::VideoInfo::from_caps(caps).ok()?;
    info.is_gray().then(|| info.colorimetry())
}

/// The colorimetry of luma and chroma in full range.
fn full(caps: &gst::CapsRef) -> Option<VideoColorimetry> {
    let info = gst_video::VideoInfo::from_caps(caps).ok()?;
    let colour = info.colorimetry();
    (info.is_yuv() && colour.range() == VideoColorRange::Range0_255).then_some(colour)
}

/// The sink pad of the converter before `filter`.
pub(super) fn before(filter: &gst::Element) -> Option<gst::Pad> {
    let source = filter.static_pad("sink")?.peer()?;
    source.parent_element()?.static_pad("sink")
}

/// Runs `each` on all caps before they reach the element of `pad`.
pub(super) fn on_caps(pad: Option<gst::Pad>, each: impl Fn(&gst::CapsRef) + Send + Sync + 'static) {
    let Some(pad) = pad else {
        return;
    };
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::EventView::Caps(event)) = info.event().map(|event| event.view()) {
            each(event.caps());
        }
        gst::PadProbeReturn::Ok
    });
}

/// Leads frames through RGB at `filter`, which stands between two converters, or lets them go straight on.
pub(super) fn lead(filter: &gst::Element, through_rgb: bool) {
    let mut caps = gst::Caps::new_empty_simple("video/x-raw");
    if through_rgb {
        caps.make_mut().set("format", "RGB");
    }
    set_caps(filter, &caps);
}

/// Sets what `filter` lets pass, which has all before it negotiate again.
fn set_caps(filter: &gst::Element, caps: &gst::Caps) {
    if filter.property::<gst::Caps>("caps") != *caps {
        filter.set_property("caps", caps);
    }
}

/// Whether a straight way from one shape to the other loses the range.
pub(super) fn differ(from: &gst::Caps, to: &gst::Caps) -> bool {
    let range = |caps| {
        let info = gst_video::VideoInfo::from_caps(caps).ok()?;
        (!info.is_rgb()).then(|| info.colorimetry().range())
    };
    range(from)
        .zip(range(to))
        .is_some_and(|(from, to)| from != to)
}

/// `caps` of the range `from` in the range `to`.
pub(super) fn in_range(
    mut caps: gst::Caps,
    from: VideoColorRange,
    to: VideoColorRange,
) -> Option<gst::Caps> {
    let said = gst_video::VideoInfo::from_caps(&caps).ok()?.colorimetry();
    if said.range() != from {
        return None;
    }
    let other = VideoColorimetry::new(to, said.matrix(), said.transfer(), said.primaries());
    caps.make_mut().set("colorimetry", other.to_string());
    Some(caps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(format: &str, colour: &str) -> gst::Caps {
        gst::init().unwrap();
        gst::Caps::builder("video/x-raw")
            .field("format", format)
            .field("width", 64)
            .field("height", 48)
            .field("colorimetry", colour)
            .build()
    }

    #[test]
    fn only_ranges_that_are_copied_wrongly_differ() {
        let limited = caps("NV12", "bt601");
        assert!(differ(&caps("GRAY8", "1:4:0:0"), &limited));
        assert!(differ(&caps("I420", "1:4:7:1"), &limited));
        assert!(!differ(&caps("I420", "bt709"), &limited));
        assert!(!differ(&caps("RGB", "sRGB"), &limited));
    }

    #[test]
    fn only_one_range_is_brought_to_the_other() {
        let full = |caps| {
            let (from, to) = (VideoColorRange::Range16_235, VideoColorRange::Range0_255);
            in_range(caps, from, to)
        };
        assert_eq!(full(caps("I420", "2:4:7:1")), Some(caps("I420", "1:4:7:1")));
        assert_eq!(full(caps("I420", "1:4:7:1")), None);
    }
}

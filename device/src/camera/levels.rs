//! The range of samples where videoconvert loses it: between two layouts of luma and chroma, and from grey to one of them, it
//! copies samples as they are, though 0 to 255 becomes 16 to 235 in what it says of them.

use std::sync::Mutex;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use gstreamer_video::{VideoColorRange, VideoColorimetry};

use super::sharpener::lock;

/// From the full range to the limited one.
const LUMA: [u8; 256] = table(219, 16 * 255);
/// The same of chroma, whose middle stays where it is.
const CHROMA: [u8; 256] = table(224, 128 * (255 - 224));

/// `(value * times + plus) / 255`, rounded, of every value.
#[allow(clippy::cast_possible_truncation)] // no result is above 240
const fn table(times: usize, plus: usize) -> [u8; 256] {
    let mut table = [0; 256];
    let mut value = 0;
    while value < 256 {
        table[value] = ((value * times + plus + 127) / 255) as u8;
        value += 1;
    }
    table
}

/// Sees to the range in a pipeline behind `appsrc`: the filter `coded` gets grey in the range that it has, the filter `levels`
/// leads grey through RGB unless the element `exit` takes it as it is, and what passes `limited` leaves it in the limited range.
pub(super) fn keep(bin: &gst::Bin) {
    if let Some(coded) = bin.by_name("coded") {
        on_caps(before(&coded), move |caps| {
            if let Some(colour) = grey(caps) {
                let layout = gst::Caps::builder("video/x-raw")
                    .field("format", "I420")
                    .field("colorimetry", colour.to_string());
                coded.set_property("caps", layout.build());
            }
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
    if let Some(limited) = bin.by_name("limited") {
        limit(&limited);
    }
}

/// The colorimetry of frames that are grey.
fn grey(caps: &gst::CapsRef) -> Option<VideoColorimetry> {
    let info = gst_video::VideoInfo::from_caps(caps).ok()?;
    info.is_gray().then(|| info.colorimetry())
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
    if filter.property::<gst::Caps>("caps") != caps {
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

/// Brings I420 frames that pass `element` to the limited range.
fn limit(element: &gst::Element) {
    let Some(pad) = element.static_pad("sink") else {
        return;
    };
    let full = Mutex::<Option<gst_video::VideoInfo>>::default();
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(kinds, move |_, info| {
        match &mut info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => {
                if let Some(full) = &*lock(&full) {
                    squeeze(buffer.make_mut(), full);
                }
            }
            Some(gst::PadProbeData::Event(event)) => {
                if let gst::EventView::Caps(caps) = event.view() {
                    let caps = caps.caps_owned();
                    let (from, to) = (VideoColorRange::Range0_255, VideoColorRange::Range16_235);
                    let limited = in_range(caps.clone(), from, to);
                    let given = limited
                        .as_ref()
                        .map(|_| gst_video::VideoInfo::from_caps(&caps));
                    *lock(&full) = given.and_then(Result::ok);
                    if let Some(limited) = limited {
                        *event = gst::event::Caps::new(&limited);
                    }
                }
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
}

fn squeeze(buffer: &mut gst::BufferRef, info: &gst_video::VideoInfo) {
    // One that cannot be mapped, the encoder refuses too.
    let Ok(mut frame) = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, info) else {
        return;
    };
    for (plane, table) in frame
        .planes_data_mut()
        .into_iter()
        .zip([&LUMA, &CHROMA, &CHROMA])
    {
        for value in plane {
            *value = table[usize::from(*value)];
        }
    }
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
    fn both_ends_and_the_middle_of_a_range_are_met() {
        assert_eq!([0, 255].map(|v: usize| LUMA[v]), [16, 235]);
        assert_eq!([0, 128, 255].map(|v: usize| CHROMA[v]), [16, 128, 240]);
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

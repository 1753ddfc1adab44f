//! The limited range for encoders that write none into their stream.

use std::sync::Mutex;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use gstreamer_video::{VideoColorMatrix, VideoColorRange};

use super::in_range;
use crate::camera::sharpener::lock;

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

/// Brings I420 frames that pass `element` to the limited range, in colours that what is behind it takes.
pub(super) fn limit(element: &gst::Element) {
    let (Some(pad), Some(exit)) = (element.static_pad("sink"), element.static_pad("src")) else {
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
                    let said = taken(limited.unwrap_or_else(|| caps.clone()), &exit);
                    if said != caps {
                        *event = gst::event::Caps::new(&said);
                    }
                }
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
}

/// `caps` of the limited range in the nearest colours that are taken behind `exit`: the encoder of a board may list a few, and none
/// as a camera's frames or grey have them.
fn taken(caps: gst::Caps, exit: &gst::Pad) -> gst::Caps {
    let takes = exit.peer_query_caps(None);
    let Ok(info) = gst_video::VideoInfo::from_caps(&caps) else {
        return caps;
    };
    let named = match info.colorimetry().matrix() {
        VideoColorMatrix::Bt709 => "bt709",
        VideoColorMatrix::Smpte240m => "smpte240m",
        VideoColorMatrix::Bt2020 => "bt2020",
        _ => "bt601",
    };
    let others = [named, "bt709", "bt601"].map(|colour| {
        let mut other = caps.clone();
        other.make_mut().set("colorimetry", colour);
        other
    });
    let mut all = std::iter::once(&caps).chain(&others);
    let fit = all.find(|caps| takes.can_intersect(caps)).cloned();
    fit.unwrap_or(caps)
}

/// Lets frames of any colours come to `limited` while `coded` asks for some. What the encoder lists would otherwise have the
/// converter before `coded` call full samples limited, or find nothing to agree on.
pub(super) fn welcome(limited: &gst::Element, coded: &gst::Element) {
    let (Some(pad), Some(exit)) = (limited.static_pad("sink"), limited.static_pad("src")) else {
        return;
    };
    let coded = coded.clone();
    let kinds = gst::PadProbeType::QUERY_DOWNSTREAM | gst::PadProbeType::PUSH;
    pad.add_probe(kinds, move |_, info| {
        let layout = coded.property::<gst::Caps>("caps");
        let asks = layout.iter().any(|one| one.has_field("colorimetry"));
        match info.query_mut().map(gst::QueryRef::view_mut) {
            Some(gst::QueryViewMut::Caps(query)) if asks => {
                let mut takes = of_any_colours(&exit);
                if let Some(filter) = query.filter() {
                    takes = filter.intersect_with_mode(&takes, gst::CapsIntersectMode::First);
                }
                query.set_result(&takes);
                gst::PadProbeReturn::Handled
            }
            Some(gst::QueryViewMut::AcceptCaps(query)) if asks => {
                let takes = of_any_colours(&exit).can_intersect(query.caps());
                query.set_result(takes);
                gst::PadProbeReturn::Handled
            }
            _ => gst::PadProbeReturn::Ok,
        }
    });
}

/// What is taken behind `exit`, whatever the colours.
fn of_any_colours(exit: &gst::Pad) -> gst::Caps {
    let mut caps = exit.peer_query_caps(None);
    for one in caps.make_mut().iter_mut() {
        one.remove_field("colorimetry");
    }
    caps
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
    use gstreamer_app as gst_app;

    use super::*;
    use crate::camera::elements;
    use crate::camera::error::CameraError;

    #[test]
    fn both_ends_and_the_middle_of_a_range_are_met() {
        assert_eq!([0, 255].map(|v: usize| LUMA[v]), [16, 235]);
        assert_eq!([0, 128, 255].map(|v: usize| CHROMA[v]), [16, 128, 240]);
    }

    /// The colours and samples behind `limited`, before an encoder that lists few colours, of frames with these samples.
    fn coded(frames: &[(&str, &str, [u8; 2])]) -> Vec<(gst_video::VideoInfo, Vec<u8>)> {
        elements::start().unwrap();
        let line = "appsrc name=in format=time ! videoconvert ! capsfilter name=coded caps=video/x-raw,format=I420 \
             ! identity name=limited \
             ! capsfilter caps=\"video/x-raw,format=I420,colorimetry={bt709,bt601,1:4:7:1,2:4:7:1}\" \
             ! appsink name=out sync=false";
        let pipeline = elements::launch(line, CameraError::Gstreamer).unwrap();
        super::super::keep(pipeline.upcast_ref());
        let feed: gst_app::AppSrc = elements::named(&pipeline, "in").unwrap();
        let out: gst_app::AppSink = elements::named(&pipeline, "out").unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let shown = frames.iter().map(|&(format, colour, [left, right])| {
            let caps = format!(
                "video/x-raw,format={format},width=64,height=48,framerate=10/1,colorimetry={colour}"
            );
            feed.set_caps(Some(&caps.parse().unwrap()));
            let mut frame = [[left; 32], [right; 32]].concat().repeat(48);
            if format != "GRAY8" {
                frame.extend([128; 64 * 48 / 2]);
            }
            let mut buffer = gst::Buffer::from_mut_slice(frame);
            buffer.get_mut().unwrap().set_pts(gst::ClockTime::ZERO);
            feed.push_buffer(buffer).unwrap();
            let sample = out.try_pull_sample(gst::ClockTime::from_seconds(60));
            let sample = sample.unwrap_or_else(|| panic!("{format} {colour} does not arrive"));
            let map = sample.buffer().unwrap().map_readable().unwrap();
            let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
            (info, map.to_vec())
        });
        let shown = shown.collect();
        pipeline.set_state(gst::State::Null).unwrap();
        shown
    }

    fn sees(frames: &[(&str, &str, [u8; 2])], ends: [u8; 2]) {
        for ((info, samples), frame) in coded(frames).into_iter().zip(frames) {
            let range = info.colorimetry().range();
            assert_eq!(range, VideoColorRange::Range16_235, "{frame:?}");
            assert_eq!([samples[0], samples[63]], ends, "{frame:?}");
            let chroma = &samples[64 * 48..];
            assert!(chroma.iter().all(|&value| value == 128), "{frame:?}");
        }
    }

    #[test]
    fn the_full_range_becomes_limited_before_an_encoder_of_few_colours() {
        let frames = [
            ("GRAY8", "1:4:0:0", [0, 255]),
            ("I420", "1:3:5:1", [0, 255]),
            ("NV12", "1:3:5:1", [0, 255]),
            ("NV12", "1:4:7:1", [0, 255]),
        ];
        for frame in frames {
            sees(&[frame], [16, 235]);
        }
        sees(&frames, [16, 235]);
    }

    #[test]
    fn the_limited_range_passes_as_it_is() {
        let frames = [
            ("I420", "bt601", [1, 250]),
            ("NV12", "bt709", [1, 250]),
            ("GRAY8", "2:4:0:0", [1, 250]),
        ];
        for frame in frames {
            sees(&[frame], [1, 250]);
        }
        let turned = coded(&[("GRAY8", "1:4:0:0", [0, 255]), frames[0]]);
        assert_eq!([turned[1].1[0], turned[1].1[63]], [1, 250]);
    }
}

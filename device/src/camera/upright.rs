//! Photographs the right way up: a camera held on its side stores the picture as its sensor saw it, and beside it, in EXIF,
//! how it lay. GStreamer's own way, a tag, stays for the pictures that follow, which may tell nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_base as gst_base;
use gstreamer_base::prelude::*;

use super::sharpener::lock;

/// EXIF's tag of the orientation.
const ORIENTATION: u16 = 0x0112;

/// Lets pictures pass the element `turn` of `pipeline`, if it is there, until a tag says that they lie otherwise than upright.
/// Up to GStreamer 1.22 it copies them all, and of odd widths not whole.
pub(super) fn pass_untagged(pipeline: &gst::Pipeline) {
    let element = pipeline.by_name("turn");
    let Some((element, pad)) = element.and_then(|e| e.static_pad("sink").map(|pad| (e, pad)))
    else {
        return;
    };
    let_pass(&element, true);
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |pad, info| {
        let turned = match info.event().map(|event| event.view()) {
            Some(gst::EventView::Tag(event)) => event
                .tag()
                .get::<gst::tags::ImageOrientation>()
                .is_some_and(|lies| lies.get() != "rotate-0"),
            _ => false,
        };
        match pad.parent_element().filter(|_| turned) {
            Some(element) => {
                let_pass(&element, false);
                gst::PadProbeReturn::Remove
            }
            None => gst::PadProbeReturn::Ok,
        }
    });
}

fn let_pass(turn: &gst::Element, pass: bool) {
    if let Some(transform) = turn.downcast_ref::<gst_base::BaseTransform>() {
        transform.set_passthrough(pass);
    }
}

/// How the pictures on their way through a pipeline are to be turned.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Arc<Mutex<VecDeque<(gst::ClockTime, &'static str)>>>);

impl Turns {
    /// Those that the element `turn` of `pipeline` makes, if it is there.
    pub(super) fn of(pipeline: &gst::Pipeline) -> Option<Self> {
        let turns = Self::default();
        let pad = pipeline.by_name("turn")?.static_pad("sink")?;
        let coming = turns.clone();
        let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
        pad.add_probe(kinds, move |pad, info| {
            let direction = match &info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => buffer.pts().map(|pts| coming.take(pts)),
                // A new size comes before its picture.
                Some(gst::PadProbeData::Event(event)) if event.type_() == gst::EventType::Caps => {
                    coming.next()
                }
                _ => None,
            };
            if let (Some(direction), Some(element)) = (direction, pad.parent_element()) {
                element.set_property_from_str("video-direction", direction);
                let_pass(&element, direction == "identity");
            }
            gst::PadProbeReturn::Ok
        });
        Some(turns)
    }

    /// Notes that the picture in `file` comes at `pts`.
    pub(super) fn note(&self, pts: gst::ClockTime, file: &[u8]) {
        lock(&self.0).push_back((pts, direction(file)));
    }

    /// How to turn the picture at `pts`; those before it were dropped.
    fn take(&self, pts: gst::ClockTime) -> &'static str {
        let mut coming = lock(&self.0);
        while coming.front().is_some_and(|(at, _)| *at < pts) {
            coming.pop_front();
        }
        match coming.front() {
            Some((at, _)) if *at == pts => coming.pop_front().map_or("identity", |turn| turn.1),
            _ => "identity",
        }
    }

    /// How to turn the picture that comes next, unless that one is dropped.
    fn next(&self) -> Option<&'static str> {
        lock(&self.0).front().map(|turn| turn.1)
    }
}

/// What turns the picture in `file` upright, in the words of `videoflip`.
fn direction(file: &[u8]) -> &'static str {
    match orientation(file) {
        Some(2) => "horiz",
        Some(3) => "180",
        Some(4) => "vert",
        Some(5) => "ul-lr",
        Some(6) => "90r",
        Some(7) => "ur-ll",
        Some(8) => "90l",
        _ => "identity",
    }
}

/// The orientation that a JPEG's EXIF tells.
fn orientation(file: &[u8]) -> Option<u16> {
    let mut rest = file.strip_prefix(&[0xff, 0xd8])?;
    while let [0xff, kind, high, low, ..] = *rest {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let exif = rest.get(4..2 + length)?.strip_prefix(b"Exif\0\0");
        match (kind, exif) {
            // The picture itself begins.
            (0xda, _) => return None,
            (0xe1, Some(tiff)) => return in_tiff(tiff),
            _ => rest = &rest[2 + length..],
        }
    }
    None
}

fn in_tiff(tiff: &[u8]) -> Option<u16> {
    let big = match tiff.get(..4)? {
        b"MM\0*" => true,
        b"II*\0" => false,
        _ => return None,
    };
    let two = |at: usize| {
        let bytes = [*tiff.get(at)?, *tiff.get(at + 1)?];
        Some(match big {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        })
    };
    let halves = (usize::from(two(4)?), usize::from(two(6)?));
    let (high, low) = if big { halves } else { (halves.1, halves.0) };
    let first = high << 16 | low;
    let mut entries = (0..usize::from(two(first)?)).map(|entry| first + 2 + 12 * entry);
    let at = entries.find(|at| two(*at) == Some(ORIENTATION))?;
    two(at + 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(tiff: &[u8]) -> Vec<u8> {
        let length = u16::try_from(tiff.len() + 8).unwrap().to_be_bytes();
        let exif = [&[0xff, 0xe1], &length[..], b"Exif\0\0", tiff].concat();
        let other = [0xff, 0xe0, 0, 4, 7, 7];
        [&[0xff, 0xd8], &other[..], &exif, &[0xff, 0xda, 0, 2]].concat()
    }

    #[test]
    fn the_orientation_is_read_in_either_order_of_bytes() {
        let big = b"MM\0*\0\0\0\x08\0\x02\x01\0\0\x03\0\0\0\x01\0\x40\0\0\x01\x12\0\x03\0\0\0\x01\0\x06\0\0";
        let little = b"II*\0\x0a\0\0\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x08\0\0\0";
        assert_eq!(direction(&photo(big)), "90r");
        assert_eq!(direction(&photo(little)), "90l");
        assert_eq!(direction(&photo(b"MM\0*\xff\xff\xff\xff")), "identity");
        for length in 0..photo(big).len() - 10 {
            assert_eq!(orientation(&photo(big)[..length]), None, "{length}");
        }
        assert_eq!(direction(b"\x89PNG\r\n\x1a\n"), "identity");
    }

    #[test]
    fn nothing_is_noted_where_nothing_turns() {
        gst::init().unwrap();
        assert!(Turns::of(&gst::Pipeline::new()).is_none());
    }

    #[test]
    fn every_picture_has_its_own_turn() {
        let ms = gst::ClockTime::from_mseconds;
        let turns = Turns::default();
        let lying = photo(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0");
        for (at, file) in [(0, &lying[..]), (10, b""), (20, &lying), (30, b"")] {
            turns.note(ms(at), file);
        }
        assert_eq!(turns.next(), Some("180"));
        let taken = [0, 20, 30, 40].map(|at| turns.take(ms(at)));
        assert_eq!(taken, ["180", "180", "identity", "identity"]);
        assert_eq!(turns.next(), None);
    }
}

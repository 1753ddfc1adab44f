//! MJPEG over http (`multipart/x-mixed-replace`), which most network cameras offer: at once, and
//! never late.
//!
//! ```text
//! souphttpsrc ! queue2 ! multipartdemux ! multiqueue ! jpegdec       inside uridecodebin
//!                                     ^ probe       ^ probe
//!                        one picture waits; a newer one replaces it
//! ```
//!
//! A decoder that is too slow would otherwise fill every buffer up to the camera with pictures that
//! are old when their turn comes. It would also show the grey rest of a picture that was cut on its way: such a one is left
//! out, and the bus hears of it.

use std::sync::{Arc, Mutex};

use gstreamer as gst;
use gstreamer::prelude::*;

use super::sharpener::lock;
use super::timeline::Clock;
use super::truncation::jpeg_ends;

/// The place before the decoder.
#[derive(Debug, Default)]
struct Place {
    /// Somebody takes the pictures out, so that they may be held back.
    served: bool,
    /// A picture waits for the decoder.
    taken: bool,
    /// A newer one that goes in its stead.
    newer: Option<gst::Buffer>,
}

/// How many of a stream's last pictures came with their end marker, and how many without; older ones count half, a quarter...
#[derive(Debug, Default)]
struct Ends {
    with: u64,
    without: u64,
}

/// So many pictures are counted before they count half: a camera that ceases to write the marker is dark for about twenty.
const COUNTED: u64 = 16;

impl Ends {
    /// Whether `jpeg` was cut: it has no end marker, and at least a fifth of the last ones had one. Some cameras never write it, others
    /// pad behind it.
    fn cut(&mut self, jpeg: &[u8]) -> bool {
        // What is no JPEG is the decoder's to complain of; a marker is looked for in memory, which does not fail.
        let ends = !jpeg.starts_with(&[0xff, 0xd8]) || jpeg_ends(&mut &*jpeg).unwrap_or(true);
        *(if ends {
            &mut self.with
        } else {
            &mut self.without
        }) += 1;
        if self.with + self.without >= COUNTED {
            self.with /= 2;
            self.without /= 2;
        }
        !ends && self.without < 4 * self.with
    }
}

/// Sets up the demultiplexer that `pipeline` will find it needs. Of a live source, pictures are
/// stamped as they come, and only the newest waits.
pub(super) fn prepare(
    pipeline: &gst::Pipeline,
    clock: Option<impl Clock + Clone + Send + Sync + 'static>,
) {
    let place = Arc::<Mutex<Place>>::default();
    pipeline.connect_deep_element_added(move |_, _, element| {
        let kind = element.factory().map(|f| f.name().to_string());
        match (kind.as_deref(), &clock) {
            (Some("multipartdemux"), clock) => {
                // It cannot know how many streams there are, and decodebin would wait for all.
                element.set_property("single-stream", true);
                let (place, clock) = (place.clone(), clock.clone());
                element.connect_pad_added(move |_, pad| enter(pad, place.clone(), clock.clone()));
            }
            (Some("multiqueue"), Some(_)) => {
                let place = place.clone();
                element.connect_pad_added(move |_, pad| {
                    if pad.direction() == gst::PadDirection::Src {
                        leave(pad, place.clone());
                    }
                });
            }
            _ => {}
        }
    });
}

/// Pictures come out of `pad` of the demultiplexer, of a live source by the `clock`.
fn enter(
    pad: &gst::Pad,
    place: Arc<Mutex<Place>>,
    clock: Option<impl Clock + Send + Sync + 'static>,
) {
    let ends = Mutex::<Ends>::default();
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data else {
            return gst::PadProbeReturn::Ok;
        };
        if let Ok(bytes) = buffer.map_readable()
            && lock(&ends).cut(&bytes)
        {
            if let Some(demuxer) = pad.parent_element() {
                gst::element_warning!(
                    demuxer,
                    gst::StreamError::Decode,
                    ("a JPEG picture was cut on its way")
                );
            }
            return gst::PadProbeReturn::Drop;
        }
        let Some(clock) = &clock else {
            return gst::PadProbeReturn::Ok;
        };
        if buffer.pts().is_none() {
            buffer.make_mut().set_pts(clock.now());
        }
        let mut place = lock(&place);
        if place.taken {
            place.newer = Some(buffer.clone());
            return gst::PadProbeReturn::Drop;
        }
        place.taken = place.served;
        gst::PadProbeReturn::Ok
    });
}

/// The decoder is ready for what comes out of `pad`.
fn leave(pad: &gst::Pad, place: Arc<Mutex<Place>>) {
    lock(&place).served = true;
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data {
            let mut place = lock(&place);
            place.taken = false;
            if let Some(newer) = place.newer.take() {
                *buffer = newer;
            }
        }
        gst::PadProbeReturn::Ok
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::damage::Listener;

    const WHOLE: [u8; 10] = [0xff, 0xd8, 0xff, 0xda, 0, 2, 7, 8, 0xff, 0xd9];

    #[test]
    fn a_picture_without_its_end_is_cut_unless_nearly_all_are_so() {
        let (padded, cut) = ([&WHOLE[..], &[0; 9000]].concat(), &WHOLE[..7]);
        let mut ends = Ends::default();
        let seen = [cut, &WHOLE, cut, &padded, cut, b"no JPEG"].map(|jpeg| ends.cut(jpeg));
        assert_eq!(seen, [false, false, true, false, true, false]);
        let mut never = Ends::default();
        assert!((0..99).all(|_| !never.cut(cut)));
        let mut ceased = Ends::default();
        assert!((0..999).all(|_| !ceased.cut(&WHOLE)));
        let dark = (0..99).take_while(|_| ceased.cut(cut)).count();
        assert!((8..30).contains(&dark), "{dark}");
    }

    #[test]
    fn a_cut_picture_is_left_out_and_counted() {
        gst::init().unwrap();
        let pipeline = gst::Pipeline::new();
        let demuxer = gst::ElementFactory::make("identity").build().unwrap();
        pipeline.add(&demuxer).unwrap();
        let listener = Listener::on(&pipeline);
        let pad = demuxer.static_pad("src").unwrap();
        enter(
            &pad,
            Arc::default(),
            None::<crate::camera::timeline::Timeline>,
        );
        let passed = Arc::<Mutex<u64>>::default();
        let count = passed.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            *lock(&count) += 1;
            gst::PadProbeReturn::Drop
        });
        pad.set_active(true).unwrap();
        pad.push_event(gst::event::StreamStart::new("pictures"));
        let time = gst::FormattedSegment::<gst::ClockTime>::new();
        pad.push_event(gst::event::Segment::new(&time));
        for picture in [&WHOLE[..], &WHOLE, &WHOLE[..7], &WHOLE] {
            pad.push(gst::Buffer::from_slice(picture.to_vec())).unwrap();
        }
        assert_eq!(*lock(&passed), 3);
        let complaints = listener.complaints();
        assert_eq!(
            (complaints.count, complaints.first.as_str()),
            (1, "a JPEG picture was cut on its way")
        );
    }
}

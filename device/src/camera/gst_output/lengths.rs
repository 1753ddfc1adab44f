//! How long the last picture of an MP4 lasts. Without a length of its own, players leave it out.
//!
//! What the parser says of it comes from the frame rate that the encoder was told: of a camera that declares none, or after
//! a change of rate, it is wrong. And a muxer lets a film last until the picture that was coded last is over, though others
//! may be shown after that one.

use std::sync::{Arc, Mutex};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::camera::elements::probe;
use crate::camera::sharpener::lock;

/// The film so far.
#[derive(Debug, Default)]
struct Film {
    /// Of the frame that went to the encoder last.
    length: gst::ClockTime,
    /// How long before it is shown the first picture is decoded.
    ahead: Option<gst::ClockTime>,
    /// When what was coded so far has been shown.
    end: gst::ClockTime,
}

impl Film {
    /// The length that a coded picture must have if it is the last one; of all others the muxer looks at the next.
    fn length(&mut self, pts: gst::ClockTime, dts: gst::ClockTime) -> gst::ClockTime {
        let ahead = *self.ahead.get_or_insert(pts.saturating_sub(dts));
        self.end = self.end.max(pts + self.length);
        self.end.saturating_sub(dts).saturating_sub(ahead)
    }
}

/// Sees to it in a pipeline that has an element `film-lengths` before its muxer.
pub(super) fn keep(pipeline: &gst::Pipeline) {
    let (Some(feed), Some(coded)) = (pipeline.by_name("in"), pipeline.by_name("film-lengths"))
    else {
        return;
    };
    let film = Arc::<Mutex<Film>>::default();
    let given = film.clone();
    probe(&feed, "src", move |_, buffer| {
        lock(&given).length = buffer.duration().unwrap_or_default();
    });
    probe(&coded, "sink", move |_, buffer| {
        if let Some(pts) = buffer.pts() {
            let dts = buffer.dts().unwrap_or(pts);
            let length = lock(&film).length(pts, dts);
            buffer.make_mut().set_duration(length);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_lasts_until_its_last_picture_has_been_shown() {
        let ms = gst::ClockTime::from_mseconds;
        let mut film = Film {
            length: ms(100),
            ..Film::default()
        };
        let mut last = |coded: &[(u64, u64)]| {
            let lengths = coded
                .iter()
                .map(|(pts, dts)| film.length(ms(*pts), ms(*dts)));
            lengths.last()
        };
        assert_eq!(last(&[(200, 0), (400, 100), (300, 200)]), Some(ms(100)));
        // After a change of rate, the picture that is decoded last is not the one that is shown last.
        assert_eq!(last(&[(900, 500), (800, 600)]), Some(ms(200)));
    }
}

//! Where in its stream a frame is.

use gstreamer as gst;

/// The time that controllers count, of a frame with this timestamp; none outside the segment.
pub(super) fn stream_time(
    segment: &gst::Segment,
    pts: Option<gst::ClockTime>,
) -> Option<gst::ClockTime> {
    let segment = segment.downcast_ref::<gst::ClockTime>()?;
    segment.to_stream_time(pts)
}

/// Whether a stream goes on in segment `new` where it was in `old`: sources repeat theirs.
pub(super) fn continues(old: &gst::Segment, new: &gst::Segment) -> bool {
    let place = |s: &gst::Segment| (s.format(), s.rate(), s.start(), s.time(), s.base());
    place(old) == place(new)
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

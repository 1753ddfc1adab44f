//! Damage in what a source delivers: the first complaint of a decoder is told at once, the rest is
//! counted; a file's gaps and its early end are told at its end.

use gstreamer as gst;

use super::{Event, Session};

/// A file that lacks so much at its end may be damaged.
const SHORT: gst::ClockTime = gst::ClockTime::from_seconds(1);

/// Gaps between the pictures of a file. Parsers leave out what they cannot read without a word.
#[derive(Debug, Default)]
pub(super) struct Damage {
    /// When the picture before is over, if it said how long it lasts.
    over: Option<gst::ClockTime>,
    first: Option<gst::ClockTime>,
    missing: gst::ClockTime,
    gaps: u64,
    told: bool,
}

impl Damage {
    /// Notes a picture of `length` at `pts`, which the next one follows at once unless some are missing.
    pub(super) fn picture(&mut self, pts: gst::ClockTime, length: Option<gst::ClockTime>) {
        if let (Some(over), Some(length)) = (self.over, length)
            && pts > over + length / 2
        {
            self.first.get_or_insert(over);
            self.missing += pts - over;
            self.gaps += 1;
        }
        self.over = length.map(|length| pts + length);
    }

    /// Notes that the file starts again, wherever its first picture lies.
    pub(super) fn start_over(&mut self) {
        self.over = None;
    }
}

impl Session<'_> {
    /// Tells the first complaint of the decoders, and what else is to be known of the pictures.
    pub(super) fn hear_complaints(&mut self) {
        while let Some(remark) = self.link.remark() {
            (self.notify)(&Event::Status(remark));
        }
        if self.damage.told {
            return;
        }
        let complaints = self.link.complaints();
        if complaints.count > 0 {
            self.damage.told = true;
            (self.notify)(&Event::Damaged(format!(
                "{}: not every picture can be decoded whole ({}); more of this is only counted",
                self.plan.source, complaints.first
            )));
        }
    }

    /// Tells what a file lacked, and counts it.
    pub(super) fn sum_up_damage(&mut self) {
        self.meter.decode_errors = self.link.complaints().count;
        self.meter.gaps = self.damage.gaps;
        if let Some(first) = self.damage.first {
            (self.notify)(&Event::Damaged(format!(
                "{} lacks {:.2} s of pictures in {} places, the first after {:.2} s: it is damaged, or was \
                 recorded so",
                self.plan.source,
                self.damage.missing.seconds_f64(),
                self.damage.gaps,
                first.seconds_f64()
            )));
        }
    }

    /// Tells of a file whose pictures end long before it says.
    pub(super) fn compare_length(&mut self) {
        if let Some(announced) = self.link.announced().filter(|_| !self.live)
            && announced > self.end + SHORT
        {
            (self.notify)(&Event::Damaged(format!(
                "{} says it lasts {:.1} s, its pictures end after {:.1} s: it is damaged, or only its sound goes on",
                self.plan.source,
                announced.seconds_f64(),
                self.end.seconds_f64()
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_that_are_missing_are_told_from_slow_ones() {
        let ms = gst::ClockTime::from_mseconds;
        let mut damage = Damage::default();
        for (pts, length) in [(100, 33), (133, 33), (167, 500), (667, 33), (700, 33)] {
            damage.picture(ms(pts), Some(ms(length)));
        }
        assert_eq!((damage.gaps, damage.first), (0, None));
        damage.picture(ms(800), Some(ms(33)));
        damage.picture(ms(833), None);
        damage.picture(ms(2000), Some(ms(33)));
        assert_eq!((damage.gaps, damage.first), (1, Some(ms(733))));
        assert_eq!(damage.missing, ms(67));
        damage.start_over();
        damage.picture(ms(9000), Some(ms(33)));
        assert_eq!(damage.gaps, 1);
    }
}

//! Damage in what a source delivers: the first complaint of a decoder is told at once, the rest is
//! counted; a file's gaps and its early end are told at its end.

use gstreamer as gst;

use super::{Event, Session};

/// A file that lacks so much at its end may be damaged.
const SHORT: gst::ClockTime = gst::ClockTime::from_seconds(1);

/// Gaps between the pictures of a file. Parsers leave out what they cannot read without a word.
///
/// The length of a picture is often no more than the rate that the film declared once. So a gap is one only where the
/// pictures on both its sides follow each other as their lengths say.
#[derive(Debug, Default)]
pub(super) struct Damage {
    /// Time and length of the picture before.
    before: Option<(gst::ClockTime, Option<gst::ClockTime>)>,
    /// The picture before came when the one before it was over.
    steady: bool,
    /// From the end of the picture before the last to the last, if pictures may be missing there.
    doubt: Option<(gst::ClockTime, gst::ClockTime)>,
    first: Option<gst::ClockTime>,
    missing: gst::ClockTime,
    gaps: u64,
    told: bool,
}

impl Damage {
    /// Notes a picture of `length` at `pts`, which the next one follows at once unless some are missing.
    pub(super) fn picture(&mut self, pts: gst::ClockTime, length: Option<gst::ClockTime>) {
        let Some((before, lasts)) = self.before.replace((pts, length)) else {
            return;
        };
        let doubt = self.doubt.take();
        let was_steady = std::mem::take(&mut self.steady);
        let Some(lasts) = lasts else {
            return;
        };
        let over = before + lasts;
        self.steady = pts.max(over) - pts.min(over) <= lasts / 4;
        if let Some((from, to)) = doubt.filter(|_| self.steady) {
            self.first.get_or_insert(from);
            self.missing += to - from;
            self.gaps += 1;
        }
        if was_steady && pts > over + lasts / 2 {
            self.doubt = Some((over, pts));
        }
    }

    /// Notes that the file starts again, wherever its first picture lies.
    pub(super) fn start_over(&mut self) {
        self.before = None;
        self.doubt = None;
        self.steady = false;
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
            && announced > self.end + self.stand_in.apart() + SHORT
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
        assert_eq!(damage.gaps, 0);
        damage.picture(ms(833), None);
        damage.picture(ms(2000), Some(ms(33)));
        assert_eq!((damage.gaps, damage.first), (1, Some(ms(733))));
        assert_eq!(damage.missing, ms(67));
        damage.start_over();
        damage.picture(ms(9000), Some(ms(33)));
        assert_eq!(damage.gaps, 1);
    }

    #[test]
    fn another_rate_than_the_declared_one_is_no_gap() {
        let ms = gst::ClockTime::from_mseconds;
        let mut damage = Damage::default();
        // From 30 a second to 10 and back, and all the time 30 are declared.
        let times = [0, 33, 67, 100, 200, 300, 400, 500, 533, 567, 600];
        for pts in times {
            damage.picture(ms(pts), Some(ms(33)));
        }
        // Nothing at all is declared, which some decoders take for a nanosecond.
        damage.start_over();
        for pts in 0..9 {
            damage.picture(ms(100 * pts), Some(gst::ClockTime::NSECOND));
        }
        assert_eq!((damage.gaps, damage.first), (0, None));
    }
}

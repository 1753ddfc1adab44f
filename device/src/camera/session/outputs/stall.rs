//! Outputs whose sink takes nothing any more without saying so: a disk that hangs, a peer that does not read.

use gstreamer as gst;

use crate::camera::output::OutputStats;

/// How long a sink may take no frame.
const STILL: gst::ClockTime = gst::ClockTime::from_seconds(10);
/// Between two looks at what it took.
const EVERY: gst::ClockTime = gst::ClockTime::SECOND;

/// What one output took lately.
#[derive(Debug, Default)]
pub(super) struct Stall {
    next: gst::ClockTime,
    given: u64,
    taken: u64,
    /// When it last took a frame, or none was given to it.
    moved: Option<gst::ClockTime>,
    told: bool,
}

/// What there is to tell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    Still,
    Moves,
}

impl News {
    /// In words, of the sink `name`.
    pub(super) fn told_of(&self, name: &str) -> String {
        match self {
            Self::Still => format!(
                "warning: the sink {name} has taken no frame for {} s: see whether its disk, device or peer hangs",
                STILL.seconds()
            ),
            Self::Moves => format!("note: the sink {name} takes frames again"),
        }
    }
}

impl Stall {
    /// Looks, when that is due, at what the output did: a sink that stands still while frames are given to it is told once, and
    /// so is one that goes on.
    pub(super) fn look(
        &mut self,
        now: gst::ClockTime,
        stats: impl FnOnce() -> OutputStats,
    ) -> Option<News> {
        if now < self.next {
            return None;
        }
        self.next = now + EVERY;
        let stats = stats();
        let (given, taken) = (stats.given != self.given, stats.taken != self.taken);
        (self.given, self.taken) = (stats.given, stats.taken);
        if taken || !given {
            self.moved = Some(now);
            return (taken && std::mem::take(&mut self.told)).then_some(News::Moves);
        }
        let moved = *self.moved.get_or_insert(now);
        let still = now.saturating_sub(moved) >= STILL;
        (still && !std::mem::replace(&mut self.told, true)).then_some(News::Still)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_that_stands_still_is_told_once_and_so_is_one_that_goes_on() {
        let mut stall = Stall::default();
        let (mut given, mut taken) = (0, 0);
        let mut told = Vec::new();
        // Nobody looks; then all is well; then it hangs, and once more.
        for second in 100..200 {
            given += u64::from(second >= 120) * 30;
            taken += u64::from((120..140).contains(&second) || (160..170).contains(&second)) * 30;
            let stats = OutputStats {
                given,
                taken,
                ..OutputStats::default()
            };
            let now = gst::ClockTime::from_seconds(second);
            told.extend(stall.look(now, || stats).map(|news| (second, news)));
        }
        let want = [(149, News::Still), (160, News::Moves), (179, News::Still)];
        assert_eq!(told, want);
    }
}

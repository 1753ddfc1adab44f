//! How long frames stay in `honesharpen`, for sinks that show them by the clock.

use std::time::Duration;

use gstreamer as gst;

/// One of so many frames may stay longer than is told: the first one after a pause, or whatever else the machine did.
const FRAMES: u64 = 100;

/// Frames after which less may be told.
const LOOK_BACK: u64 = 300;

/// What is told, and the frames that it is told from.
#[derive(Debug, Default)]
pub(super) struct Latency {
    told: Duration,
    frames: u64,
    /// The newest frame that stayed longer, and for how long.
    longer: Option<(u64, Duration)>,
    /// The two longest of those since the last look back.
    longest: [Duration; 2],
}

impl Latency {
    /// Counts a frame that stayed for `time`; whether another latency is told from now on. It seldom is less, for with every
    /// change a picture jumps: a few frames that the machine held up must not delay all others for ever.
    pub(super) fn add(&mut self, time: Duration) -> bool {
        self.frames += 1;
        let [first, second] = self.longest;
        self.longest = [first.max(time), second.max(time.min(first))];
        if self.frames.is_multiple_of(LOOK_BACK) {
            let [_, second] = std::mem::take(&mut self.longest);
            if second * 2 < self.told {
                return self.tell(second);
            }
        }
        if time <= self.told {
            return false;
        }
        let earlier = self.longer.replace((self.frames, time));
        match earlier.filter(|(frame, _)| self.frames - frame < FRAMES) {
            Some((_, other)) => self.tell(time.min(other)),
            None => false,
        }
    }

    /// Tells `time`, with room above, or it would be told anew for every little more.
    fn tell(&mut self, time: Duration) -> bool {
        let millis = time.as_secs_f64() * 1e3 * 1.125;
        self.told = Duration::from_millis(millis.ceil() as u64);
        self.longer = None;
        true
    }

    /// Adds it to the least of the answer of whatever comes before. Its most stays: frames queue nowhere here.
    pub(super) fn add_to(&self, query: &mut gst::query::Latency) {
        let own = gst::ClockTime::try_from(self.told).unwrap_or_default();
        let (live, min, max) = query.result();
        query.set(live, min.saturating_add(own), max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_of_a_hundred_frames_take_is_told() {
        let mut latency = Latency::default();
        let mut add = |millis| {
            let grown = latency.add(Duration::from_millis(millis));
            grown.then_some(latency.told.as_millis())
        };
        assert_eq!(
            [200, 20, 20, 23].map(&mut add),
            [None, Some(23), None, None]
        );
        // Alone among a hundred, then not.
        assert_eq!([300; 1].map(&mut add), [None]);
        assert_eq!([20; 100].map(&mut add), [None; 100]);
        assert_eq!([300; 1].map(&mut add), [None]);
        assert_eq!([20; 90].map(&mut add), [None; 90]);
        assert_eq!([400, 330].map(&mut add), [Some(338), None]);
        // The machine held them up, and no others since.
        assert_eq!(
            [20; 600]
                .map(&mut add)
                .into_iter()
                .flatten()
                .collect::<Vec<_>>(),
            [23]
        );
    }
}

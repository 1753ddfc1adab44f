//! Holds the frame rate: steps down the bundle's ladder when frames take too long or the board is
//! too hot, and climbs back when there is room.
//!
//! ```text
//! large > medium > small > nano > every second frame > no sharpening
//! ```

pub mod thermometer;

use std::time::Duration;

use thermometer::Reading;

/// Time between two decisions.
const WINDOW: Duration = Duration::from_millis(500);
/// A window so many times as long as usual had no frames for a while: no time of calm.
const AWAY: u32 = 4;
/// Windows over budget before a step down: the governor acts within two seconds.
const PATIENCE: u32 = 3;
/// Part of the frame interval that the student may take.
const BUDGET: f64 = 0.9;
/// Part of the interval that the next larger step must be expected to fit in.
const ROOM: f64 = 0.7;
/// Calm before the first climb; doubled whenever a climb had to be taken back.
const FIRST_HOLD: Duration = Duration::from_secs(5);
/// Longest calm asked for.
const LONGEST_HOLD: Duration = Duration::from_secs(300);
/// Degrees Celsius from which the board gets less to do.
const HOT: f32 = 80.0;
/// Degrees Celsius below which it may get more again.
const COOL: f32 = 72.0;

/// How much is done for each frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// The ladder's level with this index.
    Level(usize),
    /// The smallest level, on every second frame; the others are dropped.
    EverySecond,
    /// Frames pass as they came.
    Bypass,
}

/// A change of rung, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is done from now on.
    pub rung: Rung,
    /// One line for the log.
    pub reason: String,
}

/// What a window saw.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    frames: u32,
    busy: Duration,
}

/// Decides from measured times and temperatures; it has no clock of its own.
#[derive(Debug)]
pub struct Governor {
    rungs: Vec<Rung>,
    names: Vec<String>,
    at: usize,
    interval: Duration,
    window: Window,
    window_start: Duration,
    over: u32,
    calm_since: Duration,
    hold: Duration,
    climbed: bool,
    known: Vec<Option<Duration>>,
}

impl Governor {
    /// A governor over `levels` (names, largest first) that is to hold `fps` frames a second.
    pub fn new(levels: &[String], fps: f64) -> Self {
        let mut rungs: Vec<Rung> = (0..levels.len()).map(Rung::Level).collect();
        let mut names = levels.to_vec();
        if !rungs.is_empty() {
            rungs.push(Rung::EverySecond);
            names.push("every second frame".into());
        }
        rungs.push(Rung::Bypass);
        names.push("no sharpening".into());
        Self {
            known: vec![None; rungs.len()],
            rungs,
            names,
            at: 0,
            interval: Duration::from_secs_f64(1.0 / fps.clamp(0.1, 1000.0)),
            window: Window::default(),
            window_start: Duration::ZERO,
            over: 0,
            calm_since: Duration::ZERO,
            hold: FIRST_HOLD,
            climbed: false,
        }
    }

    /// What is done now.
    pub fn rung(&self) -> Rung {
        self.rungs[self.at]
    }

    /// Notes a frame on which the student worked for `busy` (zero when it did not).
    pub fn frame(&mut self, busy: Duration) {
        self.window.frames += 1;
        self.window.busy += busy;
    }

    /// Whether it is time to decide: at most twice a second.
    pub fn is_due(&self, now: Duration) -> bool {
        now.saturating_sub(self.window_start) >= WINDOW
    }

    /// Decides at `now` (on any clock that only goes forward), when that is due.
    pub fn decide(&mut self, now: Duration, board: Reading) -> Option<Step> {
        if !self.is_due(now) {
            return None;
        }
        let window = std::mem::take(&mut self.window);
        let lasted = now.saturating_sub(self.window_start);
        if lasted > AWAY * WINDOW.max(self.interval) {
            self.calm_since += lasted - WINDOW;
        }
        self.window_start = now;
        let mean = window.busy.checked_div(window.frames);
        if let Some(mean) = mean.filter(|m| !m.is_zero()) {
            self.known[self.at] = Some(mean);
        }
        let hot = board.throttled || board.celsius.is_some_and(|c| c >= HOT);
        let late = mean.is_some_and(|m| m.as_secs_f64() > BUDGET * self.time_allowed(self.at));
        self.over = if late || hot { self.over + 1 } else { 0 };
        if self.over >= PATIENCE {
            return self.step_down(now, mean.unwrap_or_default(), hot, board);
        }
        // Under-voltage throttles in some windows and not in others: none of them is calm.
        if late || hot || board.celsius.is_some_and(|c| c >= COOL) {
            self.calm_since = now;
            return None;
        }
        self.step_up(now)
    }

    fn time_allowed(&self, rung: usize) -> f64 {
        let doubled = self.rungs[rung] == Rung::EverySecond;
        self.interval.as_secs_f64() * if doubled { 2.0 } else { 1.0 }
    }

    fn step_down(
        &mut self,
        now: Duration,
        mean: Duration,
        hot: bool,
        board: Reading,
    ) -> Option<Step> {
        self.over = 0;
        self.calm_since = now;
        if self.climbed {
            self.hold = (self.hold * 2).min(LONGEST_HOLD);
            self.climbed = false;
        }
        if self.at + 1 >= self.rungs.len() {
            return None;
        }
        let from = self.names[self.at].clone();
        let allowed = self.time_allowed(self.at);
        self.at += 1;
        let why = match (hot, board.celsius) {
            (true, _) if board.throttled => "the board throttles itself".to_owned(),
            (true, Some(celsius)) => format!("the board is at {celsius:.0} degrees"),
            _ => format!(
                "{:.1} ms a frame, {:.1} are there",
                mean.as_secs_f64() * 1e3,
                allowed * 1e3
            ),
        };
        Some(self.step(&from, &why))
    }

    fn step_up(&mut self, now: Duration) -> Option<Step> {
        let calm = now.saturating_sub(self.calm_since);
        if self.at == 0 || calm < self.hold {
            if self.climbed && calm >= self.hold {
                self.hold = FIRST_HOLD;
                self.climbed = false;
            }
            return None;
        }
        let above = self.at - 1;
        // A time measured long ago may no longer be true: after four holds it is tried anyway.
        let fits = self.known[above]
            .is_none_or(|time| time.as_secs_f64() < ROOM * self.time_allowed(above));
        if !fits && calm < 4 * self.hold {
            return None;
        }
        let from = self.names[self.at].clone();
        self.at = above;
        self.calm_since = now;
        self.climbed = true;
        Some(self.step(&from, &format!("calm for {:.0} s", calm.as_secs_f64())))
    }

    fn step(&self, from: &str, why: &str) -> Step {
        Step {
            rung: self.rung(),
            reason: format!("{from} -> {}: {why}", self.names[self.at]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLD: Reading = Reading {
        celsius: Some(45.0),
        throttled: false,
    };

    /// Runs 30 fps for `seconds`; `cost` gives the milliseconds of a frame on each rung.
    fn play(
        governor: &mut Governor,
        from: f64,
        seconds: f64,
        board: Reading,
        cost: impl Fn(Rung) -> f64,
    ) -> Vec<(f64, Step)> {
        let mut steps = Vec::new();
        for frame in 0..(seconds * 30.0) as u32 {
            let now = from + f64::from(frame) / 30.0;
            governor.frame(Duration::from_secs_f64(cost(governor.rung()) / 1e3));
            if let Some(step) = governor.decide(Duration::from_secs_f64(now), board) {
                steps.push((now, step));
            }
        }
        steps
    }

    fn governor() -> Governor {
        Governor::new(&["large".to_owned(), "small".to_owned()], 30.0)
    }

    #[test]
    fn twice_the_load_steps_down_within_two_seconds() {
        let mut governor = governor();
        let steps = play(&mut governor, 0.0, 10.0, COLD, |rung| match rung {
            Rung::Level(0) => 66.0,
            _ => 12.0,
        });
        assert_eq!(steps[0].1.rung, Rung::Level(1));
        assert!(steps[0].0 <= 2.0, "{steps:?}");
        assert!(
            steps[0].1.reason.starts_with("large -> small: 66.0 ms"),
            "{steps:?}"
        );
        assert_eq!(governor.rung(), Rung::Level(1));
    }

    #[test]
    fn it_climbs_back_when_the_load_is_gone() {
        let mut governor = governor();
        play(&mut governor, 0.0, 3.0, COLD, |_| 66.0);
        assert_ne!(governor.rung(), Rung::Level(0));
        let steps = play(&mut governor, 3.0, 60.0, COLD, |_| 9.0);
        assert_eq!(governor.rung(), Rung::Level(0), "{steps:?}");
    }

    #[test]
    fn a_load_that_stays_is_tried_less_and_less_often() {
        let mut governor = governor();
        let steps = play(&mut governor, 0.0, 600.0, COLD, |rung| match rung {
            Rung::Level(0) => 40.0,
            _ => 12.0,
        });
        let climbs = steps.iter().filter(|s| s.1.rung == Rung::Level(0)).count();
        assert!((2..=6).contains(&climbs), "{steps:?}");
    }

    #[test]
    fn time_without_frames_is_not_calm() {
        let mut governor = governor();
        let cost = |rung| match rung {
            Rung::Level(0) => 40.0,
            _ => 9.0,
        };
        play(&mut governor, 0.0, 2.0, COLD, cost);
        assert_eq!(governor.rung(), Rung::Level(1));
        assert_eq!(play(&mut governor, 30.0, 10.0, COLD, cost), []);
        let steps = play(&mut governor, 40.0, 15.0, COLD, cost);
        assert_eq!(steps[0].1.rung, Rung::Level(0));
    }

    #[test]
    fn a_camera_slower_than_a_window_has_its_calm_too() {
        let mut governor = governor();
        play(&mut governor, 0.0, 2.0, COLD, |_| 40.0);
        for second in 1..60 {
            governor.frame(Duration::from_millis(9));
            governor.decide(Duration::from_secs(2 + 3 * second), COLD);
        }
        assert_eq!(governor.rung(), Rung::Level(0));
    }

    #[test]
    fn every_second_frame_has_twice_the_time() {
        let mut governor = Governor::new(&["only".to_owned()], 30.0);
        let steps = play(&mut governor, 0.0, 6.0, COLD, |_| 63.0);
        assert_eq!(governor.rung(), Rung::Bypass);
        let reason = &steps[1].1.reason;
        assert!(
            reason.ends_with("63.0 ms a frame, 66.7 are there"),
            "{reason}"
        );
    }

    #[test]
    fn heat_goes_down_to_bypass_and_back() {
        let mut governor = governor();
        let hot = Reading {
            celsius: Some(85.0),
            throttled: false,
        };
        let steps = play(&mut governor, 0.0, 20.0, hot, |_| 5.0);
        assert_eq!(governor.rung(), Rung::Bypass);
        assert!(steps[0].1.reason.contains("85 degrees"), "{steps:?}");
        let warm = Reading {
            celsius: Some(75.0),
            throttled: false,
        };
        assert!(play(&mut governor, 20.0, 20.0, warm, |_| 5.0).is_empty());
        play(&mut governor, 40.0, 60.0, COLD, |_| 5.0);
        assert_eq!(governor.rung(), Rung::Level(0));
    }

    #[test]
    fn a_board_that_throttles_now_and_again_is_given_no_more_to_do() {
        let mut governor = governor();
        play(&mut governor, 0.0, 3.0, COLD, |_| 66.0);
        play(&mut governor, 3.0, 1.0, COLD, |_| 5.0);
        let rung = governor.rung();
        assert_ne!(rung, Rung::Level(0));
        // Two windows of three: too few for a step down, too many for a climb.
        for window in 0..120_u32 {
            governor.frame(Duration::from_millis(5));
            let board = Reading {
                throttled: window % 3 != 0,
                ..COLD
            };
            let now = Duration::from_secs(4) + window * WINDOW;
            assert_eq!(governor.decide(now, board), None, "window {window}");
        }
        assert_eq!(governor.rung(), rung);
    }

    #[test]
    fn without_a_student_there_is_nothing_to_decide() {
        let mut governor = Governor::new(&[], 30.0);
        assert!(play(&mut governor, 0.0, 20.0, COLD, |_| 90.0).is_empty());
        assert_eq!(governor.rung(), Rung::Bypass);
    }
}

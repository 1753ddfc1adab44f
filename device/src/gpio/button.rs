//! One button, three meanings by how long it is held.

use std::time::Duration;

/// A level counts when it lasts for so long; contacts bounce.
const SETTLED: Duration = Duration::from_millis(30);
/// From here on a press is long.
const LONG: Duration = Duration::from_secs(1);
/// Held for so long, the run ends; it acts at once, so that nobody wonders.
const VERY_LONG: Duration = Duration::from_secs(5);

/// What a press asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Press {
    /// Under a second: bypass on or off.
    Short,
    /// One to five seconds: A/B view on or off.
    Long,
    /// Five seconds: complete the files and stop.
    VeryLong,
}

/// Turns the level of a pin into presses; it has no clock of its own.
#[derive(Debug, Default)]
pub struct Button {
    /// Whether it was up once. One that is down from the start was pressed for somebody else, or is a short circuit.
    armed: bool,
    raw: bool,
    raw_since: Duration,
    down_since: Option<Duration>,
    spent: bool,
}

impl Button {
    /// Takes one look: whether the button is `down` at `now`.
    pub fn look(&mut self, now: Duration, down: bool) -> Option<Press> {
        if down != self.raw {
            self.raw = down;
            self.raw_since = now;
        }
        let settled = now.saturating_sub(self.raw_since) >= SETTLED;
        if !self.armed {
            self.armed = !self.raw && settled;
            return None;
        }
        match (self.down_since, self.raw && settled, !self.raw && settled) {
            (None, true, _) => {
                self.down_since = Some(self.raw_since);
                None
            }
            (Some(since), _, true) => {
                self.down_since = None;
                let held = self.raw_since.saturating_sub(since);
                match std::mem::take(&mut self.spent) {
                    true => None,
                    false if held >= LONG => Some(Press::Long),
                    false => Some(Press::Short),
                }
            }
            (Some(since), _, _) if self.raw && !self.spent => {
                let held = now.saturating_sub(since);
                self.spent = held >= VERY_LONG;
                self.spent.then_some(Press::VeryLong)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every 10 ms at a button that is down for the spans given in milliseconds.
    fn play(down: &[(u64, u64)], until: u64) -> Vec<(u64, Press)> {
        let mut button = Button::default();
        (0..until)
            .step_by(10)
            .filter_map(|ms| {
                let is_down = down.iter().any(|(from, to)| (*from..*to).contains(&ms));
                let press = button.look(Duration::from_millis(ms), is_down)?;
                Some((ms, press))
            })
            .collect()
    }

    #[test]
    fn length_tells_what_is_wanted() {
        let presses = play(
            &[(100, 400), (1000, 3000), (4000, 11_000), (12_000, 12_300)],
            13_000,
        );
        let kinds: Vec<Press> = presses.iter().map(|(_, press)| *press).collect();
        assert_eq!(
            kinds,
            [Press::Short, Press::Long, Press::VeryLong, Press::Short]
        );
        let shutdown = presses[2].0;
        assert!((9000..9100).contains(&shutdown), "while held: {presses:?}");
    }

    #[test]
    fn bouncing_contacts_are_one_press() {
        let bouncing = [(100, 110), (120, 130), (140, 500), (510, 520), (530, 540)];
        let presses = play(&bouncing, 2000);
        assert_eq!(presses.len(), 1, "{presses:?}");
        assert_eq!(play(&[(100, 120)], 1000), []);
    }

    #[test]
    fn a_button_that_is_down_from_the_start_was_not_pressed() {
        assert_eq!(play(&[(0, 20_000)], 20_000), []);
        let presses = play(&[(0, 6000), (7000, 7300)], 8000);
        assert!(
            matches!(presses.as_slice(), [(7300.., Press::Short)]),
            "{presses:?}"
        );
    }
}

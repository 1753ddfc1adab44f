//! What the status LED shows, told apart from across a street.
//!
//! ```text
//! starting    #.#.#.#.#.   quick blinking
//! live        ##########   steady
//! degraded    #########.   steady with a wink
//! no camera   #####.....   slow blinking
//! fault       #.#.......   two flashes, then dark
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use crate::camera::session::Event;

/// What the lamp says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LampState {
    /// Until the first frame.
    Starting,
    /// Frames flow, all is well.
    Live,
    /// Frames flow, with less than asked for: a smaller student, or an output is gone.
    Degraded,
    /// The camera is away.
    NoCamera,
    /// No student could be loaded; frames pass as they came.
    Fault,
}

const TENTH: Duration = Duration::from_millis(100);

impl LampState {
    const ALL: [Self; 5] = [
        Self::Starting,
        Self::Live,
        Self::Degraded,
        Self::NoCamera,
        Self::Fault,
    ];

    /// Ten tenths of a second, lit where `#` stands.
    const fn pattern(self) -> &'static [u8; 10] {
        match self {
            Self::Starting => b"#.#.#.#.#.",
            Self::Live => b"##########",
            Self::Degraded => b"#########.",
            Self::NoCamera => b"#####.....",
            Self::Fault => b"#.#.......",
        }
    }

    /// Whether the lamp is lit at `time`, on any clock.
    pub fn lit(self, time: Duration) -> bool {
        let tenth = time.as_millis() / TENTH.as_millis() % 10;
        self.pattern()[tenth as usize] == b'#'
    }
}

/// The state of a run as the lamp shows it; shared between the session and the panel's thread.
#[derive(Debug, Clone, Default)]
pub struct Lamp {
    state: Arc<AtomicU8>,
    without_student: Arc<AtomicBool>,
    less: Arc<AtomicBool>,
    outputs_gone: Arc<AtomicU8>,
}

impl Lamp {
    /// What it says now.
    pub fn state(&self) -> LampState {
        let shown = LampState::ALL[usize::from(self.state.load(Ordering::Relaxed)) % 5];
        let degraded =
            self.less.load(Ordering::Relaxed) || self.outputs_gone.load(Ordering::Relaxed) > 0;
        match shown {
            LampState::Live if self.without_student.load(Ordering::Relaxed) => LampState::Fault,
            LampState::Live if degraded => LampState::Degraded,
            other => other,
        }
    }

    /// Notes that no student could be loaded.
    pub fn without_student(&self) {
        self.without_student.store(true, Ordering::Relaxed);
    }

    /// Takes note of what happens in the session.
    pub fn hear(&self, event: &Event) {
        let show = |state: LampState| self.state.store(state as u8, Ordering::Relaxed);
        match event {
            Event::Live | Event::Begun => show(LampState::Live),
            Event::Dark(_) => show(LampState::NoCamera),
            Event::OutputFailed(_) => {
                self.outputs_gone.fetch_add(1, Ordering::Relaxed);
            }
            Event::OutputBack(_) => {
                // One thread writes; a panel that reads in between is right a moment later.
                let gone = self.outputs_gone.load(Ordering::Relaxed);
                self.outputs_gone
                    .store(gone.saturating_sub(1), Ordering::Relaxed);
            }
            Event::Governed { degraded, .. } => self.less.store(*degraded, Ordering::Relaxed),
            Event::Damaged(_) | Event::Status(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_states_look_alike() {
        let mut seen = Vec::new();
        for state in LampState::ALL {
            let second: Vec<bool> = (0..10).map(|i| state.lit(i * TENTH)).collect();
            assert!(!seen.contains(&second), "{state:?}");
            seen.push(second);
        }
        assert!(LampState::Live.lit(Duration::from_secs(100_000)));
    }

    #[test]
    fn events_change_what_it_says() {
        let lamp = Lamp::default();
        assert_eq!(lamp.state(), LampState::Starting);
        lamp.hear(&Event::Begun);
        assert_eq!(lamp.state(), LampState::Live);
        let governed = |degraded| Event::Governed {
            reason: String::new(),
            degraded,
        };
        lamp.hear(&governed(true));
        assert_eq!(lamp.state(), LampState::Degraded);
        lamp.hear(&Event::Dark("unplugged".into()));
        assert_eq!(lamp.state(), LampState::NoCamera);
        lamp.hear(&Event::Live);
        lamp.hear(&governed(false));
        lamp.hear(&Event::OutputFailed("full".into()));
        assert_eq!(lamp.state(), LampState::Degraded);
        lamp.hear(&Event::OutputBack("record".into()));
        assert_eq!(lamp.state(), LampState::Live);
        lamp.without_student();
        assert_eq!(lamp.state(), LampState::Fault);
    }
}

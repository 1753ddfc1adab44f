use super::*;
use crate::camera::session::Event;
use crate::governor::thermometer::{Reading, SetThermometer};
use crate::gpio::twin::TwinPins;

fn config() -> GpioConfig {
    GpioConfig {
        led: Some(17),
        button: Some(27),
        fan: Some(18),
        ..GpioConfig::default()
    }
}

struct Wired {
    board: TwinPins,
    panel: Panel,
    lamp: Lamp,
    dials: Arc<Dials>,
    stop: Arc<AtomicBool>,
    by_button: Arc<AtomicBool>,
    hot: SetThermometer,
}

fn wired() -> Wired {
    let mut board = TwinPins::default();
    let (lamp, dials) = (Lamp::default(), Arc::<Dials>::default());
    let (stop, by_button) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let hot = SetThermometer::default();
    let parts = PanelParts {
        lamp: lamp.clone(),
        dials: dials.clone(),
        stop: stop.clone(),
        by_button: by_button.clone(),
        thermometer: Box::new(hot.clone()),
        journal: Journal::default(),
    };
    let panel = Panel::new(&config(), &mut board, parts).unwrap();
    Wired {
        board,
        panel,
        lamp,
        dials,
        stop,
        by_button,
        hot,
    }
}

impl Wired {
    /// Ticks from one millisecond to another.
    fn play(&mut self, from: u64, to: u64) {
        for ms in (from..to).step_by(10) {
            self.panel.tick(Duration::from_millis(ms)).unwrap();
        }
    }

    /// Holds the button, which pulls the pin low.
    fn hold(&mut self, from: u64, to: u64) {
        self.board.press(27, false);
        self.play(from, to);
        self.board.press(27, true);
        self.play(to, to + 100);
    }
}

#[test]
fn presses_turn_the_dials() {
    let mut wired = wired();
    wired.play(0, 100);
    wired.hold(100, 300);
    assert!(wired.dials.bypass());
    wired.hold(500, 700);
    assert!(!wired.dials.bypass());
    wired.hold(1000, 3000);
    assert_eq!(wired.dials.split(), HALF);
    wired.hold(4000, 6000);
    assert_eq!(wired.dials.split(), 0.0);
    assert!(!wired.stop.load(Ordering::Relaxed));
    wired.hold(7000, 13_000);
    assert!(wired.stop.load(Ordering::Relaxed));
    assert!(wired.by_button.load(Ordering::Relaxed));
}

#[test]
fn the_lamp_follows_the_session() {
    let mut wired = wired();
    wired.play(0, 1000);
    assert_eq!(wired.board.history(17).len(), 10, "quick blinking");
    wired.lamp.hear(&Event::Live);
    wired.play(1000, 3000);
    assert!(wired.board.is_high(17));
    let before = wired.board.history(17).len();
    wired.lamp.hear(&Event::Dark("unplugged".into()));
    wired.play(3000, 5000);
    assert_eq!(wired.board.history(17)[before..], [false, true, false]);
}

#[test]
fn the_fan_follows_the_heat() {
    let mut wired = wired();
    let set = |hot: &SetThermometer, celsius| {
        *hot.0.lock().unwrap() = Reading {
            celsius: Some(celsius),
            throttled: false,
        };
    };
    set(&wired.hot, 90.0);
    wired.play(0, 100);
    wired.board.wait_until(|board| board.is_high(18));
    set(&wired.hot, 30.0);
    wired.play(3000, 3100);
    wired.board.wait_until(|board| !board.is_high(18));
}

#[test]
fn a_pin_that_is_taken_is_named() {
    let mut board = TwinPins::default();
    let _taken = board.output(27).unwrap();
    let parts = wired().panel.parts;
    let error = Panel::new(&config(), &mut board, parts).err().unwrap();
    assert_eq!(
        error.to_string(),
        "GPIO pin 27 (gpio.button) cannot be used: it is in use"
    );
}

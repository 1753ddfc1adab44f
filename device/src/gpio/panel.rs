//! The thread that blinks the lamp, watches the button and turns the fan.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hone_shared::config::GpioConfig;

use super::{Button, FanCurve, GpioError, InputPin, Lamp, OutputPin, Pins, Press, Pull, Pwm};
use crate::camera::dials::Dials;
use crate::governor::thermometer::Thermometer;
use crate::journal::Journal;

/// Time between two looks at the button.
const TICK: Duration = Duration::from_millis(10);
/// Time between two looks at the thermometer.
const FAN_EVERY: Duration = Duration::from_secs(2);
/// Part of the width that the A/B view gives the camera's own picture.
const HALF: f32 = 0.5;

/// What a panel acts on.
pub struct PanelParts {
    /// What the lamp shows.
    pub lamp: Lamp,
    /// What short and long presses turn.
    pub dials: Arc<Dials>,
    /// Raised by a very long press.
    pub stop: Arc<AtomicBool>,
    /// Raised with it: that it was the button.
    pub by_button: Arc<AtomicBool>,
    /// What the fan follows.
    pub thermometer: Box<dyn Thermometer>,
    /// What hears of a pin that fails.
    pub journal: Journal,
}

struct WiredButton {
    pin: Box<dyn InputPin>,
    pressed_high: bool,
    button: Button,
}

struct WiredFan {
    pwm: Pwm,
    curve: FanCurve,
    next: Duration,
}

/// Everything that is wired.
pub struct Panel {
    led: Option<Box<dyn OutputPin>>,
    lit: Option<bool>,
    button: Option<WiredButton>,
    fan: Option<WiredFan>,
    parts: PanelParts,
}

impl Panel {
    /// Takes the pins that `config` names.
    ///
    /// # Errors
    /// [`GpioError`] with the first pin that cannot be had.
    pub fn new(
        config: &GpioConfig,
        pins: &mut dyn Pins,
        parts: PanelParts,
    ) -> Result<Self, GpioError> {
        let pull = Pull::named(&config.button_pull);
        let failed = |pin, purpose| {
            move |reason| GpioError {
                pin,
                purpose,
                reason,
            }
        };
        let led = match config.led {
            Some(pin) => Some(pins.output(pin).map_err(failed(pin, "gpio.led"))?),
            None => None,
        };
        let button = match config.button {
            Some(pin) => Some(WiredButton {
                pin: pins.input(pin, pull).map_err(failed(pin, "gpio.button"))?,
                pressed_high: pull == Pull::Down,
                button: Button::default(),
            }),
            None => None,
        };
        let fan = match config.fan {
            Some(pin) => {
                let failed = failed(pin, "gpio.fan");
                let output = pins.output(pin).map_err(&failed)?;
                Some(WiredFan {
                    pwm: Pwm::start(output).map_err(|e| failed(e.to_string()))?,
                    curve: FanCurve::new(config.fan_on_celsius, config.fan_full_celsius),
                    next: Duration::ZERO,
                })
            }
            None => None,
        };
        Ok(Self {
            led,
            lit: None,
            button,
            fan,
            parts,
        })
    }

    /// One look at everything, at `now` since the start.
    ///
    /// # Errors
    /// The system's words when a pin fails.
    pub fn tick(&mut self, now: Duration) -> Result<(), String> {
        if let Some(led) = &mut self.led {
            let lit = self.parts.lamp.state().lit(now);
            if self.lit != Some(lit) {
                led.set(lit)?;
                self.lit = Some(lit);
            }
        }
        if let Some(fan) = &mut self.fan
            && now >= fan.next
        {
            fan.next = now + FAN_EVERY;
            let celsius = self.parts.thermometer.read().celsius;
            fan.pwm.set(fan.curve.speed(celsius));
        }
        let Some(wired) = &mut self.button else {
            return Ok(());
        };
        let down = wired.pin.is_high()? == wired.pressed_high;
        if let Some(press) = wired.button.look(now, down) {
            self.act(press);
        }
        Ok(())
    }

    fn act(&self, press: Press) {
        let dials = &self.parts.dials;
        match press {
            Press::Short => dials.set_bypass(!dials.bypass()),
            Press::Long => dials.set_split(if dials.split() > 0.0 { 0.0 } else { HALF }),
            Press::VeryLong => {
                self.parts.by_button.store(true, Ordering::Relaxed);
                self.parts.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Ticks on a thread of its own until what is returned is dropped. A pin that fails is told once;
    /// video goes on.
    ///
    /// # Errors
    /// The system's, when no thread can be started.
    pub fn start(mut self) -> std::io::Result<Running> {
        let over = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("panel".into()).spawn({
            let over = over.clone();
            move || {
                let start = Instant::now();
                let mut told = false;
                while !over.load(Ordering::Relaxed) {
                    if let Err(error) = self.tick(start.elapsed())
                        && !std::mem::replace(&mut told, true)
                    {
                        self.parts
                            .journal
                            .say(format_args!("warning: GPIO: {error}"));
                    }
                    std::thread::sleep(TICK);
                }
                if let Some(led) = &mut self.led {
                    // The last thing this run can say; there is no one to tell when it fails.
                    let _ = led.set(false);
                }
            }
        })?;
        Ok(Running {
            over,
            thread: Some(thread),
        })
    }
}

/// A panel that ticks until this is dropped.
#[derive(Debug)]
pub struct Running {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panel that panicked has nothing left to release.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;

//! Lamp, button, fan and trigger on the board's pins. Nothing is wired unless the configuration
//! names a pin.
//!
//! ```text
//! session events -> Lamp state ----> LED pattern
//!                                    button -> press -> bypass, A/B view, shutdown
//! thermometer ----> fan curve -----> PWM
//! every frame ----> trigger pulse
//! ```

mod button;
mod chip;
mod fan;
mod lamp;
mod panel;
#[cfg(feature = "pi")]
mod pi;
mod pwm;
mod trigger;
#[cfg(test)]
pub mod twin;

pub use button::{Button, Press};
pub use chip::ChipPins;
pub use fan::FanCurve;
pub use lamp::{Lamp, LampState};
pub use panel::{Panel, PanelParts, Running};
#[cfg(feature = "pi")]
pub use pi::PiPins;
pub use pwm::Pwm;
pub use trigger::{NAME as TRIGGER, TriggerOutput};

use hone_shared::config::GpioConfig;

/// A pin that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("GPIO pin {pin} ({purpose}) cannot be used: {reason}")]
pub struct GpioError {
    /// Its number in the configuration.
    pub pin: u8,
    /// The configuration's key.
    pub purpose: &'static str,
    /// The system's words and what to do.
    pub reason: String,
}

/// What holds an input's level while nothing drives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// A resistor to the supply inside the chip; the button connects the pin to ground.
    Up,
    /// A resistor to ground inside the chip; the button connects the pin to the supply.
    Down,
    /// A resistor to the supply on the circuit; the button connects the pin to ground.
    None,
}

impl Pull {
    /// The pull that the configuration names.
    pub fn named(name: &str) -> Self {
        match name {
            "down" => Self::Down,
            "none" => Self::None,
            _ => Self::Up,
        }
    }
}

/// A pin that is driven.
pub trait OutputPin: Send {
    /// Drives it high or low.
    ///
    /// # Errors
    /// The system's words.
    fn set(&mut self, high: bool) -> Result<(), String>;
}

/// A pin that is read.
pub trait InputPin: Send {
    /// Whether it is high.
    ///
    /// # Errors
    /// The system's words.
    fn is_high(&mut self) -> Result<bool, String>;
}

/// The pins of a board.
pub trait Pins: Send {
    /// Takes a pin to drive, low at first.
    ///
    /// # Errors
    /// The system's words, with what to do where that is known.
    fn output(&mut self, pin: u8) -> Result<Box<dyn OutputPin>, String>;

    /// Takes a pin to read.
    ///
    /// # Errors
    /// As [`Pins::output`].
    fn input(&mut self, pin: u8, pull: Pull) -> Result<Box<dyn InputPin>, String>;
}

/// Whether the configuration names any pin at all.
pub fn wanted(config: &GpioConfig) -> bool {
    [config.led, config.button, config.fan, config.trigger]
        .iter()
        .any(Option::is_some)
}

/// The pins of this board: those of a named chip; without a name a Raspberry Pi's header, on any
/// other board `/dev/gpiochip0`.
pub fn board(chip: &str) -> Box<dyn Pins> {
    if !chip.is_empty() {
        return Box::new(ChipPins::new(chip.into()));
    }
    #[cfg(feature = "pi")]
    if let Ok(pins) = PiPins::new() {
        return Box::new(pins);
    }
    Box::new(ChipPins::new("/dev/gpiochip0".into()))
}

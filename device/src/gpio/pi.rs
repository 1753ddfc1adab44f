//! Pins of a Raspberry Pi's header by their BCM numbers, through rppal.

use rppal::gpio::{Gpio, InputPin as PiInput, OutputPin as PiOutput};

use super::{InputPin, OutputPin, Pins, Pull};

/// The header of this Raspberry Pi.
#[derive(Debug)]
pub struct PiPins {
    gpio: Gpio,
}

impl PiPins {
    /// Opens the header.
    ///
    /// # Errors
    /// rppal's words when this is no Raspberry Pi or its pins may not be used.
    pub fn new() -> Result<Self, String> {
        Gpio::new()
            .map(|gpio| Self { gpio })
            .map_err(|e| e.to_string())
    }
}

impl Pins for PiPins {
    fn output(&mut self, pin: u8) -> Result<Box<dyn OutputPin>, String> {
        let pin = self.gpio.get(pin).map_err(|e| e.to_string())?;
        Ok(Box::new(pin.into_output_low()))
    }

    fn input(&mut self, pin: u8, pull: Pull) -> Result<Box<dyn InputPin>, String> {
        let pin = self.gpio.get(pin).map_err(|e| e.to_string())?;
        Ok(Box::new(match pull {
            Pull::Up => pin.into_input_pullup(),
            Pull::Down => pin.into_input_pulldown(),
            Pull::None => pin.into_input(),
        }))
    }
}

impl OutputPin for PiOutput {
    fn set(&mut self, high: bool) -> Result<(), String> {
        self.write(if high {
            rppal::gpio::Level::High
        } else {
            rppal::gpio::Level::Low
        });
        Ok(())
    }
}

impl InputPin for PiInput {
    fn is_high(&mut self) -> Result<bool, String> {
        Ok(PiInput::is_high(self))
    }
}

//! Pins of any Linux board through the GPIO character device. Old kernels (a Jetson Nano's 4.9) speak
//! the first version of its interface, newer ones the second; the crate asks which.

use std::path::PathBuf;

use gpiocdev::Request;
use gpiocdev::line::{Bias, Value};

use super::{InputPin, OutputPin, Pins, Pull};

/// The lines of one chip, such as `/dev/gpiochip0`.
#[derive(Debug)]
pub struct ChipPins {
    chip: PathBuf,
}

impl ChipPins {
    /// The lines of `chip`; whether it is there shows when the first is taken.
    pub fn new(chip: PathBuf) -> Self {
        Self { chip }
    }

    fn words(&self, error: &gpiocdev::Error) -> String {
        format!(
            "{}: {error}; is the user in the group gpio, is the line free (gpioinfo), does this chip have it?",
            self.chip.display()
        )
    }
}

struct Line {
    request: Request,
    offset: u32,
}

impl Pins for ChipPins {
    fn output(&mut self, pin: u8) -> Result<Box<dyn OutputPin>, String> {
        let offset = u32::from(pin);
        let request = Request::builder()
            .on_chip(&self.chip)
            .with_consumer("honed")
            .with_line(offset)
            .as_output(Value::Inactive)
            .request()
            .map_err(|e| self.words(&e))?;
        Ok(Box::new(Line { request, offset }))
    }

    fn input(&mut self, pin: u8, pull: Pull) -> Result<Box<dyn InputPin>, String> {
        let offset = u32::from(pin);
        let mut builder = Request::builder();
        builder
            .on_chip(&self.chip)
            .with_consumer("honed")
            .with_line(offset)
            .as_input();
        match pull {
            Pull::Up => builder.with_bias(Bias::PullUp),
            Pull::Down => builder.with_bias(Bias::PullDown),
            Pull::None => &mut builder,
        };
        let request = builder.request().map_err(|e| {
            let hint = if pull == Pull::None {
                ""
            } else {
                "; kernels before 5.5 have no pull: use a resistor and button_pull = \"none\""
            };
            self.words(&e) + hint
        })?;
        Ok(Box::new(Line { request, offset }))
    }
}

impl OutputPin for Line {
    fn set(&mut self, high: bool) -> Result<(), String> {
        let value = if high { Value::Active } else { Value::Inactive };
        self.request
            .set_value(self.offset, value)
            .map(|_| ())
            .map_err(|e| e.to_string())
    }
}

impl InputPin for Line {
    fn is_high(&mut self) -> Result<bool, String> {
        self.request
            .value(self.offset)
            .map(|value| value == Value::Active)
            .map_err(|e| e.to_string())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // A lamp does not stay lit, nor a fan running, for a program that is gone. For an input the
        // kernel refuses, which is as good.
        let _ = self.request.set_value(self.offset, Value::Inactive);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_that_is_not_there_is_named() {
        let mut pins = ChipPins::new("/dev/gpiochip-none".into());
        let error = pins.output(17).err().unwrap();
        assert!(error.contains("/dev/gpiochip-none"), "{error}");
        let error = pins.input(4, Pull::Up).err().unwrap();
        assert!(error.contains("button_pull"), "{error}");
    }
}

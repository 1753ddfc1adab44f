//! `[gpio]`: what is wired to the board's pins.

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// `[gpio]`; pins are absent by default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GpioConfig {
    /// Path of the GPIO chip, or empty.
    pub chip: String,
    /// Pin of the status LED.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub led: Option<u8>,
    /// Pin of the button.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub button: Option<u8>,
    /// `up`, `down` or `none`.
    pub button_pull: String,
    /// Whether a very long press also switches the board off.
    pub power_off: bool,
    /// Pin of the fan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fan: Option<u8>,
    /// Degrees Celsius at which it starts.
    pub fan_on_celsius: f32,
    /// Degrees Celsius from which it runs at full speed.
    pub fan_full_celsius: f32,
    /// Pin that pulses on each frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<u8>,
    /// Length of a pulse in microseconds, 10..=20000.
    pub trigger_micros: u32,
}

impl Default for GpioConfig {
    fn default() -> Self {
        Self {
            chip: String::new(),
            led: None,
            button: None,
            button_pull: "up".into(),
            power_off: false,
            fan: None,
            fan_on_celsius: 55.0,
            fan_full_celsius: 75.0,
            trigger: None,
            trigger_micros: 1000,
        }
    }
}

impl GpioConfig {
    /// What is set and has no effect. No error: a board must not go dark for it.
    pub fn unused(&self) -> Option<&'static str> {
        let unheard = self.power_off && self.button.is_none();
        unheard.then_some("gpio.power_off has no effect without gpio.button: name the button's pin")
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |key, given: String, wanted| Err(ConfigError::Value { key, given, wanted });
        if !["up", "down", "none"].contains(&self.button_pull.as_str()) {
            let given = self.button_pull.clone();
            return wrong("gpio.button_pull", given, "use up, down or none");
        }
        let (on, full) = (self.fan_on_celsius, self.fan_full_celsius);
        if !(0.0..=120.0).contains(&on) {
            return wrong("gpio.fan_on_celsius", on.to_string(), "use 0 to 120");
        }
        if !(full > on && full <= 150.0) {
            let wanted = "use more than fan_on_celsius, 150 at most";
            return wrong("gpio.fan_full_celsius", full.to_string(), wanted);
        }
        if !(10..=20_000).contains(&self.trigger_micros) {
            let given = self.trigger_micros.to_string();
            return wrong("gpio.trigger_micros", given, "use 10 to 20000");
        }
        let mut pins = Vec::new();
        for (key, pin) in [
            ("gpio.led", self.led),
            ("gpio.button", self.button),
            ("gpio.fan", self.fan),
            ("gpio.trigger", self.trigger),
        ] {
            let Some(pin) = pin else { continue };
            if pins.contains(&pin) {
                return wrong(key, pin.to_string(), "give each purpose a pin of its own");
            }
            pins.push(pin);
        }
        Ok(())
    }
}

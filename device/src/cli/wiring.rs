//! The board's pins in a run: lamp, button, fan and trigger.

use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail};
use hone_shared::config::GpioConfig;
use hone_shared::print::tell;

use crate::camera::dials::Dials;
use crate::camera::error::CameraError;
use crate::camera::output::Output;
use crate::camera::sharpener::lock;
use crate::camera::timeline::Timeline;
use crate::governor::thermometer::Watched;
use crate::gpio::{self, Lamp, Panel, PanelParts, Pins, Running, TriggerOutput};
use crate::journal::Journal;
use crate::systemd;

/// What tells the service manager that the button was held, by the exit status: that honed is not to be started again,
/// and that the board is to be switched off, which takes more rights than a service has.
const STOPPED: u8 = 150;
const POWER_OFF: u8 = 151;

/// What is wired, and what the session tells it.
pub(super) struct Wiring {
    /// Hears the session's events.
    pub(super) lamp: Lamp,
    config: GpioConfig,
    pins: Option<Arc<Mutex<Box<dyn Pins>>>>,
    panel: Option<Running>,
    by_button: Arc<AtomicBool>,
}

impl Wiring {
    /// Takes the pins that `config` names; `journal` hears of one that fails later.
    ///
    /// # Errors
    /// The first pin that cannot be had.
    pub(super) fn new(
        config: &GpioConfig,
        dials: &Arc<Dials>,
        stop: &Arc<AtomicBool>,
        thermometer: &Watched,
        journal: &Journal,
    ) -> anyhow::Result<Self> {
        let mut wiring = Self {
            lamp: Lamp::default(),
            config: config.clone(),
            pins: None,
            panel: None,
            by_button: Arc::default(),
        };
        if !gpio::wanted(config) {
            return Ok(wiring);
        }
        let mut pins = gpio::board(&config.chip);
        let parts = PanelParts {
            lamp: wiring.lamp.clone(),
            dials: dials.clone(),
            stop: stop.clone(),
            by_button: wiring.by_button.clone(),
            thermometer: Box::new(thermometer.clone()),
            journal: journal.clone(),
        };
        let panel = Panel::new(config, pins.as_mut(), parts)?;
        wiring.panel = Some(
            panel
                .start()
                .context("cannot start a thread for the pins")?,
        );
        wiring.pins = Some(Arc::new(Mutex::new(pins)));
        Ok(wiring)
    }

    /// Starts the output that pulses on every frame.
    pub(super) fn trigger(
        &self,
        timeline: &Timeline,
    ) -> impl Fn() -> Result<Box<dyn Output>, CameraError> + Send + Sync + 'static {
        let failed = |reason: String| CameraError::Sink {
            sink: gpio::TRIGGER.into(),
            reason,
        };
        let (pins, timeline) = (self.pins.clone(), timeline.clone());
        let (pin, width) = (self.config.trigger, self.config.trigger_micros);
        move || {
            let (Some(pins), Some(pin)) = (&pins, pin) else {
                return Err(failed("no pin is named for it".into()));
            };
            let line = lock(pins).output(pin);
            let line = line.map_err(|e| {
                failed(format!("GPIO pin {pin} (gpio.trigger) cannot be used: {e}"))
            })?;
            let width = Duration::from_micros(width.into());
            TriggerOutput::start(line, width, Box::new(timeline.clone()))
                .map(|output| Box::new(output) as Box<dyn Output>)
                .map_err(|e| failed(e.to_string()))
        }
    }

    /// Lets the pins go; what the program ends with. A button that was held switches the board off where that was asked
    /// for. A service that may not leaves it to its manager, and none is to be started again.
    ///
    /// # Errors
    /// When systemd refuses, but for a service.
    pub(super) fn finish(&mut self) -> anyhow::Result<ExitCode> {
        self.panel = None;
        if !self.by_button.load(Ordering::Relaxed) {
            return Ok(ExitCode::SUCCESS);
        }
        let service = systemd::is_service();
        let stopped = if service { STOPPED } else { 0 };
        if !self.config.power_off {
            return Ok(stopped.into());
        }
        tell("the button asks to switch the board off");
        match power_off() {
            Ok(()) => Ok(stopped.into()),
            Err(_) if service && !rustix::process::geteuid().is_root() => Ok(POWER_OFF.into()),
            Err(error) if service => {
                tell(format_args!("error: {error:#}"));
                Ok(stopped.into())
            }
            Err(error) => Err(error),
        }
    }
}

fn power_off() -> anyhow::Result<()> {
    let command = ["--no-ask-password", "poweroff"];
    let output = Command::new("systemctl").args(command).output();
    let output = output.context("cannot run systemctl poweroff")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "systemctl poweroff failed: {}: may this user switch the board off?",
            said.trim()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_knows_what_the_button_asked_for() {
        let unit = include_str!("../../../cross/honed.service");
        for key in ["RestartPreventExitStatus", "SuccessExitStatus"] {
            let line = format!("\n{key}={STOPPED} {POWER_OFF}\n");
            assert!(unit.contains(&line), "{line}");
        }
        assert!(unit.contains(&format!("[ \"$$EXIT_STATUS\" = {POWER_OFF} ]")));
    }

    #[test]
    fn the_service_starts_where_systemd_knows_few_groups_of_system_calls() {
        // Of the groups that systemd 237 has, those that the service does without.
        const KNOWN: &str =
            "@clock @cpu-emulation @debug @module @mount @obsolete @raw-io @reboot @swap";
        let unit = include_str!("../../../cross/honed.service");
        let mut denied = unit
            .lines()
            .filter_map(|line| line.strip_prefix("SystemCallFilter="))
            .flat_map(|names| names.strip_prefix('~').unwrap_or("@allowed").split(' '))
            .filter(|name| name.starts_with('@'))
            .peekable();
        assert!(denied.peek().is_some());
        for group in denied {
            assert!(KNOWN.split(' ').any(|known| known == group), "{group}");
        }
    }
}

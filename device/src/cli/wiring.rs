//! The board's pins in a run: lamp, button, fan and trigger.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use hone_shared::config::GpioConfig;

use crate::camera::dials::Dials;
use crate::camera::error::CameraError;
use crate::camera::output::Output;
use crate::camera::timeline::Timeline;
use crate::governor::thermometer::Watched;
use crate::gpio::{self, Lamp, Panel, PanelParts, Pins, Running, TriggerOutput};
use crate::journal::Journal;

/// What is wired, and what the session tells it.
pub(super) struct Wiring {
    /// Hears the session's events.
    pub(super) lamp: Lamp,
    config: GpioConfig,
    pins: Option<Box<dyn Pins>>,
    panel: Option<Running>,
    power_off: Arc<AtomicBool>,
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
            power_off: Arc::default(),
        };
        if !gpio::wanted(config) {
            return Ok(wiring);
        }
        let mut pins = gpio::board(&config.chip);
        let parts = PanelParts {
            lamp: wiring.lamp.clone(),
            dials: dials.clone(),
            stop: stop.clone(),
            power_off: wiring.power_off.clone(),
            thermometer: Box::new(thermometer.clone()),
            journal: journal.clone(),
        };
        let panel = Panel::new(config, pins.as_mut(), parts)?;
        wiring.panel = Some(
            panel
                .start()
                .context("cannot start a thread for the pins")?,
        );
        wiring.pins = Some(pins);
        Ok(wiring)
    }

    /// The output that pulses on every frame.
    pub(super) fn trigger(&mut self, timeline: &Timeline) -> Result<Box<dyn Output>, CameraError> {
        let failed = |reason: String| CameraError::Sink {
            sink: gpio::TRIGGER.into(),
            reason,
        };
        let (Some(pins), Some(pin)) = (&mut self.pins, self.config.trigger) else {
            return Err(failed("no pin is named for it".into()));
        };
        let line = pins
            .output(pin)
            .map_err(|e| failed(format!("GPIO pin {pin} (gpio.trigger) cannot be used: {e}")))?;
        let width = Duration::from_micros(self.config.trigger_micros.into());
        TriggerOutput::start(line, width, Box::new(timeline.clone()))
            .map(|output| Box::new(output) as Box<dyn Output>)
            .map_err(|e| failed(e.to_string()))
    }

    /// Lets the pins go; switches the board off when the button asked for it.
    ///
    /// # Errors
    /// When systemd refuses.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        self.panel = None;
        if !self.power_off.load(Ordering::Relaxed) {
            return Ok(());
        }
        eprintln!("the button asks to switch the board off");
        let status = Command::new("systemctl").arg("poweroff").status();
        let status = status.context("cannot run systemctl poweroff")?;
        if !status.success() {
            bail!("systemctl poweroff failed ({status}): may this user switch the board off?");
        }
        Ok(())
    }
}

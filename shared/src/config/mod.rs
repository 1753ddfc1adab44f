//! The configuration of `honed`: one TOML file, which `hone` can write and check too.

pub mod edit;
mod fault;
mod gpio;
mod known;
mod page;
mod telemetry;

use serde::{Deserialize, Serialize};

pub use gpio::GpioConfig;
pub use page::{PAGE_FOLDER, PageConfig};
pub use telemetry::TelemetryConfig;

/// The default configuration with every key explained.
pub const DEFAULT: &str = include_str!("default.toml");
/// Where a board keeps the keys it trusts, as `*.pub` files.
pub const KEYS_FOLDER: &str = "/etc/honed/trusted-keys";
/// Where a board keeps its slots.
pub const SLOTS_FOLDER: &str = "/var/lib/honed";

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is no TOML, or has an unknown key or a value of the wrong type; the message is one line that has the place.
    #[error("{0}")]
    Toml(String),
    /// A value is out of range.
    #[error("{key} is {given}: {wanted}")]
    Value {
        /// Table and key.
        key: &'static str,
        /// The value.
        given: String,
        /// What is allowed.
        wanted: &'static str,
    },
}

/// Everything that `honed run` can be told. Keys that are left out have the value in [`DEFAULT`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What restores.
    pub student: StudentConfig,
    /// What is installed, and when an update has proved itself.
    pub slots: SlotsConfig,
    /// Where frames come from.
    pub source: SourceConfig,
    /// Where frames go.
    pub output: OutputConfig,
    /// What happens when the board is too slow or too hot.
    pub governor: GovernorConfig,
    /// The page in the browser.
    pub page: PageConfig,
    /// What is wired to the board's pins.
    pub gpio: GpioConfig,
    /// Who hears how the board does.
    pub telemetry: TelemetryConfig,
}

/// `[student]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StudentConfig {
    /// Path of the bundle, or empty.
    pub bundle: String,
    /// Files of trusted public keys, and folders of them.
    pub trusted_keys: Vec<String>,
    /// Whether unsigned bundles and those of unknown keys are taken.
    pub allow_unsigned: bool,
    /// Name of the only level, or empty.
    pub level: String,
    /// `int8`, `f32` or empty.
    pub precision: String,
    /// Worker threads, 0 for one on each core.
    pub threads: usize,
    /// Whether each worker keeps to one core.
    pub pin: bool,
    /// 0..=1.
    pub strength: f32,
    /// 0..=1.
    pub split: f32,
    /// Whether frames pass as they came.
    pub bypass: bool,
}

impl Default for StudentConfig {
    fn default() -> Self {
        Self {
            bundle: String::new(),
            trusted_keys: vec![KEYS_FOLDER.into()],
            allow_unsigned: false,
            level: String::new(),
            precision: String::new(),
            threads: 0,
            pin: false,
            strength: 1.0,
            split: 0.0,
            bypass: false,
        }
    }
}

/// `[slots]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlotsConfig {
    /// Folder of the slots.
    pub folder: String,
    /// Frames in time that prove an update, 1..=100000.
    pub trial_frames: u64,
    /// Oldest that such a frame may be when it is delivered, milliseconds, 1..=10000.
    pub trial_age_ms: u64,
    /// Time for it while frames come, seconds, 1..=3600.
    pub trial_seconds: u64,
}

impl Default for SlotsConfig {
    fn default() -> Self {
        Self {
            folder: SLOTS_FOLDER.into(),
            trial_frames: 90,
            trial_age_ms: 200,
            trial_seconds: 60,
        }
    }
}

/// `[source]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceConfig {
    /// The source as `honed run --source` takes it.
    pub name: String,
    /// `WxH` or empty.
    pub size: String,
    /// Frames a second, 0 for the camera's own choice.
    pub fps: u32,
    /// Seconds, 0.1..=3600.
    pub stall_seconds: f64,
    /// Whether a camera that is not there yet is waited for.
    pub keep_trying: bool,
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            name: "v4l2:/dev/video0".into(),
            size: String::new(),
            fps: 0,
            stall_seconds: 5.0,
            keep_trying: true,
        }
    }
}

/// `[output]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// Sinks as `honed run --sink` takes them.
    pub sinks: Vec<String>,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self {
            sinks: vec!["display".into()],
        }
    }
}

/// `[governor]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GovernorConfig {
    /// Frames a second to hold, 0 for no governor.
    pub fps: f64,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`ConfigError`] with the line, or the key and what it allows.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)
            .map_err(|e: toml::de::Error| fault::toml(text, e.message(), e.span()))?;
        config.validate()?;
        Ok(config)
    }

    /// Width and height wanted from the camera.
    pub fn size(&self) -> Option<(u32, u32)> {
        parse_size(&self.source.size)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |key, given: String, wanted| Err(ConfigError::Value { key, given, wanted });
        let (student, source) = (&self.student, &self.source);
        if !(0.0..=1.0).contains(&student.strength) {
            return wrong(
                "student.strength",
                student.strength.to_string(),
                "use 0 to 1",
            );
        }
        if !(0.0..=1.0).contains(&student.split) {
            return wrong("student.split", student.split.to_string(), "use 0 to 1");
        }
        if !["", "int8", "f32"].contains(&student.precision.as_str()) {
            let given = student.precision.clone();
            return wrong("student.precision", given, "use int8, f32 or nothing");
        }
        if student.threads > 256 {
            return wrong(
                "student.threads",
                student.threads.to_string(),
                "use 0 to 256",
            );
        }
        if !source.size.is_empty() && self.size().is_none() {
            return wrong(
                "source.size",
                source.size.clone(),
                "use WxH, as in 1280x720",
            );
        }
        if source.fps > 1000 {
            return wrong("source.fps", source.fps.to_string(), "use 0 to 1000");
        }
        if !(0.1..=3600.0).contains(&source.stall_seconds) {
            let given = source.stall_seconds.to_string();
            return wrong("source.stall_seconds", given, "use 0.1 to 3600");
        }
        let slots = &self.slots;
        for (key, folder) in [
            ("slots.folder", &slots.folder),
            ("page.folder", &self.page.folder),
        ] {
            if folder.is_empty() {
                return wrong(key, "empty".into(), "name a folder");
            }
        }
        for (key, given, most, wanted) in [
            (
                "slots.trial_frames",
                slots.trial_frames,
                100_000,
                "use 1 to 100000",
            ),
            (
                "slots.trial_age_ms",
                slots.trial_age_ms,
                10_000,
                "use 1 to 10000",
            ),
            (
                "slots.trial_seconds",
                slots.trial_seconds,
                3600,
                "use 1 to 3600",
            ),
        ] {
            if !(1..=most).contains(&given) {
                return wrong(key, given.to_string(), wanted);
            }
        }
        let fps = self.governor.fps;
        if fps != 0.0 && !(1.0..=240.0).contains(&fps) {
            return wrong("governor.fps", fps.to_string(), "use 0, or 1 to 240");
        }
        if self.output.sinks.is_empty() {
            return wrong("output.sinks", "empty".into(), "give at least one sink");
        }
        self.page.validate()?;
        self.gpio.validate()?;
        self.telemetry.validate()
    }
}

/// Reads `WxH`, both from 1 to 16384.
pub fn parse_size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    let side = |text: &str| {
        text.parse()
            .ok()
            .filter(|side| (1..=16384_u32).contains(side))
    };
    Some((side(width)?, side(height)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_default_is_the_default() {
        assert_eq!(Config::parse(DEFAULT), Ok(Config::default()));
        assert_eq!(Config::parse(""), Ok(Config::default()));
    }

    #[test]
    fn every_key_is_printed() {
        let written = toml::to_string(&Config::default()).unwrap();
        for line in written.lines().filter(|l| l.contains('=')) {
            let key = line.split(" = ").next().unwrap();
            assert!(DEFAULT.contains(&format!("\n{key} = ")), "{key}");
        }
        for key in ["led", "button", "fan", "trigger"] {
            let line = format!("\n# {key} = ");
            assert!(DEFAULT.contains(&line), "{key}");
            let wired = Config::parse(&DEFAULT.replace(&line, &format!("\n{key} = ")));
            assert_ne!(wired, Ok(Config::default()), "{key}");
            assert!(wired.is_ok(), "{wired:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str| Config::parse(text).unwrap_err().to_string();
        let unknown = error("[student]\nstrenght = 1.0\n");
        assert!(
            unknown.contains("strenght") && unknown.contains("line 2"),
            "{unknown}"
        );
        for (text, key) in [
            ("student.strength = 1.5", "student.strength"),
            ("student.split = nan", "student.split"),
            ("student.precision = 'fp16'", "student.precision"),
            ("source.size = '1280'", "source.size"),
            ("source.stall_seconds = 0.0", "source.stall_seconds"),
            ("governor.fps = 1e9", "governor.fps"),
            ("output.sinks = []", "output.sinks"),
            ("slots.trial_frames = 0", "slots.trial_frames"),
            ("slots.trial_seconds = 4000", "slots.trial_seconds"),
            ("slots.folder = ''", "slots.folder"),
            ("page.folder = ''", "page.folder"),
            ("page.listen = '8080'", "page.listen"),
            ("page.tls = true\npage.certificate = 'a.pem'", "page.key"),
            ("gpio.button_pull = 'left'", "gpio.button_pull"),
            ("gpio.fan_on_celsius = 80.0", "gpio.fan_full_celsius"),
            ("gpio.trigger_micros = 5", "gpio.trigger_micros"),
            ("gpio.led = 4\ngpio.trigger = 4", "gpio.trigger"),
            ("telemetry.name = 'a/b'", "telemetry.name"),
            ("telemetry.fingerprint = 'ab:cd'", "telemetry.fingerprint"),
        ] {
            assert!(error(text).starts_with(key), "{}", error(text));
        }
    }
}

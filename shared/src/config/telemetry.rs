//! `[telemetry]`: who hears how the board does.

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::telemetry::{Carrier, Fingerprint, MAX_NAME};

/// `[telemetry]`; nobody by default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Serial lines and brokers.
    pub to: Vec<Carrier>,
    /// Name of the board, or empty.
    pub name: String,
    /// Path of a PEM file, or empty.
    pub authorities: String,
    /// SHA-256 of the broker's certificate, or empty.
    pub fingerprint: String,
}

impl TelemetryConfig {
    /// What is set and has no effect.
    pub fn unused(&self) -> Option<&'static str> {
        let broker = |to: &Carrier| matches!(to, Carrier::Broker(broker) if broker.tls);
        if self.to.iter().any(broker) {
            return None;
        }
        match (self.authorities.is_empty(), self.fingerprint.is_empty()) {
            (false, _) => Some(
                "telemetry.authorities has no effect without an mqtts broker: name it in telemetry.to",
            ),
            (true, false) => Some(
                "telemetry.fingerprint has no effect without an mqtts broker: name it in telemetry.to",
            ),
            (true, true) => None,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |key, given: &String, wanted| {
            let given = given.clone();
            Err(ConfigError::Value { key, given, wanted })
        };
        let odd = |c: char| c.is_control() || "/+#".contains(c);
        if self.name.contains(odd) || self.name.chars().count() > MAX_NAME {
            let wanted = "use 64 characters at most, without /, + and #";
            return wrong("telemetry.name", &self.name, wanted);
        }
        let fingerprint = &self.fingerprint;
        if !fingerprint.is_empty() && fingerprint.parse::<Fingerprint>().is_err() {
            let wanted = "give the 64 hexadecimal digits of a SHA-256";
            return wrong("telemetry.fingerprint", fingerprint, wanted);
        }
        Ok(())
    }
}

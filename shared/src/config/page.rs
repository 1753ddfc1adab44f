//! `[page]`: the page in the browser and its API.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Where a board keeps the page's tokens and its self-made certificate.
pub const PAGE_FOLDER: &str = "/var/lib/honed/page";

/// `[page]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PageConfig {
    /// Address and port, or empty for no page.
    pub listen: String,
    /// Folder of the tokens and of the self-made certificate.
    pub folder: String,
    /// Whether to speak TLS.
    pub tls: bool,
    /// Certificate chain as PEM, or empty for a self-made one.
    pub certificate: String,
    /// Its private key as PEM.
    pub key: String,
    /// Whether other machines may come without TLS.
    pub insecure_beyond_loopback: bool,
}

impl Default for PageConfig {
    fn default() -> Self {
        Self {
            listen: String::new(),
            folder: PAGE_FOLDER.into(),
            tls: false,
            certificate: String::new(),
            key: String::new(),
            insecure_beyond_loopback: false,
        }
    }
}

impl PageConfig {
    /// The address to listen on; none when there is to be no page.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listen.parse().ok()
    }

    /// What is set and has no effect. No error: a board must not go dark for it.
    pub fn unused(&self) -> Option<&'static str> {
        let unserved = self.tls && self.listen.is_empty();
        unserved
            .then_some("page.tls has no effect without page.listen: name an address with its port")
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |key, given: &str, wanted| {
            Err(ConfigError::Value {
                key,
                given: given.to_owned(),
                wanted,
            })
        };
        if !self.listen.is_empty() && self.address().is_none() {
            let wanted = "use an address with its port, as in 127.0.0.1:8080 or [::]:8443";
            return wrong("page.listen", &self.listen, wanted);
        }
        if self.certificate.is_empty() != self.key.is_empty() {
            let wanted = "give page.certificate and page.key together, or neither";
            return wrong("page.key", &self.key, wanted);
        }
        if !self.certificate.is_empty() && !self.tls {
            let wanted = "a certificate is of use with page.tls = true only";
            return wrong("page.certificate", &self.certificate, wanted);
        }
        Ok(())
    }
}

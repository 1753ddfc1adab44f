//! How the page is to be served.

use std::net::SocketAddr;
use std::path::PathBuf;

use hone_shared::config::{PAGE_FOLDER, PageConfig, SLOTS_FOLDER};

use super::PageError;

/// How the page is to be served.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where tokens and the self-made certificate lie.
    pub folder: PathBuf,
    /// Where the slots lie.
    pub slots: PathBuf,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Certificate chain and private key as PEM files; a self-made certificate without.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Whether other machines may come without TLS.
    pub insecure_beyond_loopback: bool,
}

impl Settings {
    /// What the configuration says; `None` when it wants no page.
    pub fn new(page: &PageConfig, slots: &str) -> Option<Self> {
        Some(Self {
            folder: page.folder.clone().into(),
            slots: slots.into(),
            tls: page.tls,
            certificate: (!page.certificate.is_empty())
                .then(|| (page.certificate.clone().into(), page.key.clone().into())),
            insecure_beyond_loopback: page.insecure_beyond_loopback,
            ..Self::plain(page.address()?)
        })
    }

    /// Without TLS on `listen`, everything else as a board has it.
    pub fn plain(listen: SocketAddr) -> Self {
        Self {
            listen,
            folder: PAGE_FOLDER.into(),
            slots: SLOTS_FOLDER.into(),
            tls: false,
            certificate: None,
            insecure_beyond_loopback: false,
        }
    }

    /// Refuses to serve other machines what is not protected; `tokens` says whether there is a token.
    ///
    /// # Errors
    /// [`PageError::Unprotected`].
    pub fn check(&self, tokens: bool) -> Result<(), PageError> {
        let lacks = match (self.tls, tokens) {
            _ if self.listen.ip().is_loopback() || self.insecure_beyond_loopback => return Ok(()),
            (true, true) => return Ok(()),
            (false, _) => "without TLS: say --page-tls, or --page-insecure-beyond-loopback if \
                everyone on the way may read the token"
                .to_owned(),
            (true, false) => format!(
                "without a token: make one first with `honed token create NAME --folder {}`",
                self.folder.display()
            ),
        };
        Err(PageError::Unprotected {
            address: self.listen,
            lacks,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_need_token_and_tls() {
        let listen = |address: &str| Settings::plain(address.parse().unwrap());
        for here in ["127.0.0.1:1", "[::1]:1", "127.9.9.9:1"] {
            assert!(listen(here).check(false).is_ok(), "{here}");
        }
        for beyond in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1"] {
            let mut settings = listen(beyond);
            let error = settings.check(true).unwrap_err().to_string();
            assert!(error.contains("--page-tls"), "{error}");
            settings.tls = true;
            let error = settings.check(false).unwrap_err().to_string();
            assert!(error.contains("honed token create"), "{error}");
            assert!(settings.check(true).is_ok());
            settings.tls = false;
            settings.insecure_beyond_loopback = true;
            assert!(settings.check(false).is_ok());
        }
    }
}

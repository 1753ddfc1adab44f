//! How the page is to be served.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hone_shared::config::{PAGE_FOLDER, PageConfig, SLOTS_FOLDER};

use super::tls::Tls;
use super::{PageError, Tokens};

/// How the page is to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
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

    /// What makes a token for this page.
    pub(super) fn token_command(&self) -> String {
        let create = "honed token create NAME";
        match self.folder == Path::new(PAGE_FOLDER) {
            true => create.into(),
            false => format!("{create} --folder {}", self.folder.display()),
        }
    }

    /// Refuses what [`start`](super::start) would, as far as that can be told without serving. What it would refuse for want
    /// of a token is returned as a note: tokens are made later, by `honed token`.
    ///
    /// # Errors
    /// [`PageError::Unprotected`] without TLS, [`PageError::File`] for a certificate or key that does not serve.
    pub fn judge(&self) -> Result<Option<String>, PageError> {
        self.check(true)?;
        // A self-made one is made by the service: made here it would belong to whoever looks.
        if self.tls && self.certificate.is_some() {
            Tls::new(self)?;
        }
        let told = match Tokens::read(&self.folder) {
            Ok(tokens) => self.check(!tokens.tokens.is_empty()),
            // The file may be for the service's eyes only.
            Err(error) => Err(error),
        };
        Ok(told.err().map(|error| error.to_string()))
    }

    /// Refuses to serve other machines what is not protected; `tokens` says whether there is a token.
    ///
    /// # Errors
    /// [`PageError::Unprotected`].
    pub fn check(&self, tokens: bool) -> Result<(), PageError> {
        let lacks = match (self.tls, tokens) {
            _ if self.listen.ip().is_loopback() || self.insecure_beyond_loopback => return Ok(()),
            (true, true) => return Ok(()),
            (false, _) => "without TLS: say --page-tls (in a configuration page.tls), or \
                --page-insecure-beyond-loopback (page.insecure_beyond_loopback) if everyone on the \
                way may read the token"
                .to_owned(),
            (true, false) => format!(
                "without a token: make one first with `{}`",
                self.token_command()
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
    fn what_would_not_start_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::plain("0.0.0.0:8199".parse().unwrap());
        settings.folder = folder.path().join("page");
        let error = settings.judge().unwrap_err().to_string();
        assert!(error.contains("page.tls"), "{error}");
        settings.tls = true;
        let note = settings.judge().unwrap().unwrap();
        let command = format!(
            "honed token create NAME --folder {}",
            settings.folder.display()
        );
        assert!(note.contains(&command), "{note}");
        let usual = Settings::plain(settings.listen).token_command();
        assert_eq!(usual, "honed token create NAME");
        assert!(!settings.folder.exists(), "a look makes nothing");
        let mut tokens = Tokens::default();
        tokens.create(&settings.folder, "phone").unwrap();
        tokens.write(&settings.folder).unwrap();
        assert_eq!(settings.judge().unwrap(), None);
        let missing = |name: &str| folder.path().join(name);
        settings.certificate = Some((missing("none.pem"), missing("none.key")));
        let error = settings.judge().unwrap_err().to_string();
        assert!(error.contains("none.pem"), "{error}");
        Tls::new(&Settings {
            certificate: None,
            ..settings.clone()
        })
        .unwrap();
        let own = |name: &str| settings.folder.join(name);
        settings.certificate = Some((own("certificate.pem"), missing("none.key")));
        let error = settings.judge().unwrap_err().to_string();
        assert!(error.contains("none.key"), "{error}");
        settings.certificate = Some((own("certificate.pem"), own("key.pem")));
        assert_eq!(settings.judge().unwrap(), None);
    }

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

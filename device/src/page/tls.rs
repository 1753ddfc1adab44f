//! TLS by a given certificate, or by one that the board makes for itself and keeps.

use std::io;
use std::path::Path;
use std::sync::Arc;

use hone_shared::bundle::hex;
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, version};

use super::tokens::{Stamp, make_folder, stamp, unnamed, write_secret};
use super::{PageError, Settings};
use crate::atomic;
use crate::journal::Journal;

/// Names of the self-made files in the page's folder.
const OWN: (&str, &str) = ("certificate.pem", "key.pem");

/// A server's side of TLS.
pub(super) struct Tls {
    settings: Settings,
    /// Of the given certificate and its key.
    stamps: [Stamp; 2],
    pub(super) acceptor: TlsAcceptor,
    /// SHA-256 of the certificate, by which others know it again.
    pub(super) fingerprint: String,
}

impl Tls {
    /// TLS as `settings` say; a certificate that is to be self-made is made once and kept.
    ///
    /// # Errors
    /// [`PageError::File`] with the file that does not serve.
    pub(super) fn new(settings: &Settings) -> Result<Self, PageError> {
        // Taken before reading: what is written meanwhile is read again.
        let stamps = stamps(settings);
        let own = (settings.folder.join(OWN.0), settings.folder.join(OWN.1));
        let (certificate, key) = match &settings.certificate {
            Some(given) => given,
            None => {
                if !own.0.exists() || !own.1.exists() {
                    make(&settings.folder)?;
                }
                &own
            }
        };
        let chain = chain(certificate)?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| match e {
            pem::Error::NoItemsFound => PageError::file(key)(&"it holds no private key"),
            e => PageError::file(key)(&e),
        })?;
        let fingerprint = chain.first().map(fingerprint).unwrap_or_default();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(chain, secret)
            })
            .map_err(|e| match e {
                rustls::Error::InconsistentKeys(_) => PageError::file(certificate)(&format_args!(
                    "it does not belong to the key in {}",
                    key.display()
                )),
                e => PageError::file(certificate)(&e),
            })?;
        Ok(Self {
            settings: settings.clone(),
            stamps,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            fingerprint,
        })
    }

    /// Reads a given certificate again when its files changed, as they do when it is renewed; while they do not serve, the
    /// one before goes on. `journal` hears of both.
    pub(super) fn renew(&mut self, journal: &Journal) {
        let stamps = stamps(&self.settings);
        if stamps == self.stamps {
            return;
        }
        match Self::new(&self.settings) {
            Ok(new) => {
                *self = new;
                let fingerprint = &self.fingerprint;
                journal.say(format_args!(
                    "page: from now on certificate SHA-256 {fingerprint}"
                ));
            }
            Err(error) => {
                self.stamps = stamps;
                journal.say(format_args!(
                    "warning: the page goes on with the certificate before: {error}"
                ));
            }
        }
    }
}

/// Those of the files that others renew; a self-made certificate stays.
fn stamps(settings: &Settings) -> [Stamp; 2] {
    let given = settings.certificate.as_ref();
    given.map_or([None; 2], |(certificate, key)| {
        [certificate, key].map(|path| stamp(path))
    })
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, PageError> {
    let read = CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>());
    let chain = read.map_err(|e| PageError::file(path)(&e))?;
    if chain.is_empty() {
        return Err(PageError::file(path)(&"it holds no certificate"));
    }
    Ok(chain)
}

/// Makes a certificate for this board's names and keeps it in `folder`.
fn make(folder: &Path) -> Result<(), PageError> {
    make_folder(folder)?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".into(), "::1".into()];
    let host = host.trim();
    if !host.is_empty() && host != "localhost" {
        names.extend([host.to_owned(), format!("{host}.local")]);
    }
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|e| PageError::System(io::Error::other(e.to_string())))?;
    // Key first: a certificate without is the sign that it has to be made anew.
    write_secret(
        &folder.join(OWN.1),
        made.signing_key.serialize_pem().as_bytes(),
    )?;
    let path = folder.join(OWN.0);
    atomic::write_bytes(&path, made.cert.pem().as_bytes())
        .map_err(|e| PageError::file(&path)(&unnamed(&path, &e)))
}

/// SHA-256 as browsers show it: pairs of capital digits with colons between.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digits = hex(&Sha256::digest(certificate)).to_uppercase();
    let pairs = digits.as_bytes().chunks(2);
    let pairs: Vec<_> = pairs.map(String::from_utf8_lossy).collect();
    pairs.join(":")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    #[test]
    fn a_self_made_certificate_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::plain("127.0.0.1:0".parse().unwrap());
        settings.folder = folder.path().join("page");
        let first = Tls::new(&settings).unwrap().fingerprint;
        assert_eq!(first.len(), 32 * 3 - 1, "{first}");
        assert_eq!(Tls::new(&settings).unwrap().fingerprint, first);
        let key = settings.folder.join(OWN.1);
        settings.certificate = Some((settings.folder.join(OWN.0), key.clone()));
        assert_eq!(Tls::new(&settings).unwrap().fingerprint, first);

        settings.certificate = Some((key.clone(), key.clone()));
        let error = Tls::new(&settings).err().unwrap().to_string();
        assert!(
            error.contains("key.pem: it holds no certificate"),
            "{error}"
        );
        std::fs::write(&key, "nothing").unwrap();
        settings.certificate = None;
        let error = Tls::new(&settings).err().unwrap().to_string();
        assert!(
            error.contains("key.pem: it holds no private key"),
            "{error}"
        );
    }

    #[test]
    fn a_renewed_certificate_is_served_once_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut settings = Settings::plain("127.0.0.1:0".parse().unwrap());
        let mut made = ["one", "other"].map(|name| {
            settings.folder = at(name);
            Tls::new(&settings).unwrap().fingerprint
        });
        let given = (at("one").join(OWN.0), at("one").join(OWN.1));
        settings.certificate = Some(given.clone());
        let mut tls = Tls::new(&settings).unwrap();
        let journal = Journal::default();
        let mut renewed = || {
            tls.renew(&journal);
            let said = journal.lines(0);
            (tls.fingerprint.clone(), said.len())
        };
        assert_eq!(renewed(), (made[0].clone(), 0));
        std::fs::rename(at("other").join(OWN.0), &given.0).unwrap();
        // Told once.
        assert_eq!(renewed(), (made[0].clone(), 1));
        assert_eq!(renewed(), (made[0].clone(), 1));
        // Another mode or owner may be all that it needs. The clock of a file system has coarse steps.
        let changed = || {
            let meta = std::fs::metadata(&given.1).unwrap();
            (meta.ctime(), meta.ctime_nsec())
        };
        let before = changed();
        while changed() == before {
            let mode = std::fs::Permissions::from_mode(0o400);
            std::fs::set_permissions(&given.1, mode).unwrap();
        }
        assert_eq!(renewed(), (made[0].clone(), 2));
        std::fs::rename(at("other").join(OWN.1), &given.1).unwrap();
        assert_eq!(renewed(), (std::mem::take(&mut made[1]), 3));
    }

    #[test]
    fn a_key_of_another_certificate_is_told_in_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::plain("127.0.0.1:0".parse().unwrap());
        for name in ["one", "other"] {
            settings.folder = folder.path().join(name);
            Tls::new(&settings).unwrap();
        }
        let one = folder.path().join("one").join(OWN.0);
        let key = settings.folder.join(OWN.1);
        settings.certificate = Some((one.clone(), key.clone()));
        let error = Tls::new(&settings).err().unwrap().to_string();
        let (one, key) = (one.display(), key.display());
        assert_eq!(
            error,
            format!("{one}: it does not belong to the key in {key}")
        );
    }
}

//! TLS towards brokers and boards: certificates that an authority signed, or that are known by their
//! fingerprint.

use std::path::Path;
use std::sync::Arc;

use hone_shared::telemetry::Fingerprint;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::TelemetryError;

/// Authorities that were read once, for clients that know servers by different fingerprints.
#[derive(Debug)]
pub struct Authorities {
    signed: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Authorities {
    /// Those of the PEM file `path`, or else the system's.
    ///
    /// # Errors
    /// The file cannot be used, or TLS cannot be set up.
    pub fn read(path: Option<&Path>) -> Result<Self, TelemetryError> {
        let provider = Arc::new(ring::default_provider());
        let roots = roots(path)?;
        // A machine without authorities knows servers by their fingerprints all the same.
        let roots = (!roots.is_empty()).then(|| Arc::new(roots));
        let signed = roots.map(|roots| {
            WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build()
        });
        let signed = signed.transpose().map_err(system)?;
        Ok(Self { signed, provider })
    }

    /// A client that takes certificates with one of `fingerprints`, and those that one of these signed.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn client(
        &self,
        fingerprints: &[Fingerprint],
    ) -> Result<Arc<ClientConfig>, TelemetryError> {
        let pinned = Pinned {
            fingerprints: fingerprints.to_vec(),
            signed: self.signed.clone(),
            provider: self.provider.clone(),
        };
        let client = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(system)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_no_client_auth();
        Ok(Arc::new(client))
    }
}

fn system(error: impl std::fmt::Display) -> TelemetryError {
    TelemetryError::System(error.to_string())
}

/// A client that takes certificates with one of `fingerprints`, and those that an authority of the PEM file `authorities`, or
/// else of the system, signed.
///
/// # Errors
/// The file cannot be used, or TLS cannot be set up.
pub fn client(
    authorities: Option<&Path>,
    fingerprints: &[Fingerprint],
) -> Result<Arc<ClientConfig>, TelemetryError> {
    Authorities::read(authorities)?.client(fingerprints)
}

fn roots(authorities: Option<&Path>) -> Result<RootCertStore, TelemetryError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = authorities else {
        // A system's store may hold certificates that nobody can read; the others count.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let wrong = |reason: String| TelemetryError::Authorities {
        path: path.to_owned(),
        reason,
    };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|e| wrong(e.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
        roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("it holds no certificate".into()));
    }
    Ok(roots)
}

/// Knows servers by the SHA-256 of their certificate, and others by who signed it; whether they have its key is checked as
/// ever.
#[derive(Debug)]
struct Pinned {
    fingerprints: Vec<Fingerprint>,
    signed: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.fingerprints.contains(&Fingerprint::of(certificate)) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.signed {
            Some(signed) => signed.verify_server_cert(certificate, chain, name, ocsp, now),
            None => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = &self.provider.signature_verification_algorithms;
        known.supported_schemes()
    }
}

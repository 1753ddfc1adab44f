//! What goes wrong between a client and its broker, in words for people.

use std::io::{Error, ErrorKind};

use rumqttc::mqttbytes::Error as PacketError;
use rumqttc::{ConnectionError, StateError, TlsError};
use tokio_rustls::rustls::{self, CertificateError};

/// Why there is no connection, for people; `trust` says how a certificate comes to be trusted.
pub fn reason(error: &ConnectionError, trust: &str) -> String {
    if let Some(error) = system(error) {
        return of_system(error, trust);
    }
    match error {
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            "it ended the connection".into()
        }
        ConnectionError::MqttState(StateError::AwaitPingResp | StateError::CollisionTimeout) => {
            "it does not answer any more".into()
        }
        ConnectionError::MqttState(StateError::Deserialization(error)) => {
            format!("what it says is no MQTT: {error}")
        }
        ConnectionError::MqttState(error) => error.to_string(),
        ConnectionError::Tls(error) => format!("no TLS: {error}"),
        ConnectionError::ConnectionRefused(code) => format!("it refuses us: {code:?}"),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => "no answer".into(),
        other => other.to_string(),
    }
}

/// Whether the broker closed a connection, as it does when another client of the same name comes.
pub(super) fn ended_by_broker(error: &ConnectionError) -> bool {
    let ended = |error: &Error| {
        matches!(
            error.kind(),
            ErrorKind::ConnectionAborted
                | ErrorKind::ConnectionReset
                | ErrorKind::UnexpectedEof
                | ErrorKind::BrokenPipe
        )
    };
    matches!(
        error,
        ConnectionError::MqttState(StateError::ConnectionAborted)
    ) || system(error).is_some_and(ended)
}

/// The system's or TLS's own error, wherever the client wrapped it.
fn system(error: &ConnectionError) -> Option<&Error> {
    match error {
        ConnectionError::Io(error)
        | ConnectionError::Tls(TlsError::Io(error))
        | ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(PacketError::Io(error)),
        ) => Some(error),
        _ => None,
    }
}

/// The same of the system's or TLS's own error.
pub fn of_system(error: &Error, trust: &str) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(wrong)) => of_certificate(wrong, trust),
        Some(wrong) => format!("no TLS: {wrong}"),
        // TLS has a sentence of its own for it, with a link.
        None if error.kind() == ErrorKind::UnexpectedEof => "it ended the connection".into(),
        None => error.to_string(),
    }
}

fn of_certificate(wrong: &CertificateError, trust: &str) -> String {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext,
    };
    match wrong {
        Expired | ExpiredContext { .. } => "its certificate has expired by the clock here".into(),
        NotValidYet | NotValidYetContext { .. } => {
            "its certificate is not valid yet by the clock here".into()
        }
        NotValidForName | NotValidForNameContext { .. } => {
            "its certificate is for another name".into()
        }
        _ => format!("its certificate is not trusted: {trust}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(error: impl Into<ConnectionError>) -> String {
        reason(&error.into(), "give it")
    }

    #[test]
    fn nobody_reads_a_librarys_words() {
        let reset = || Error::from(ErrorKind::ConnectionReset);
        let wrapped = |error| StateError::Deserialization(PacketError::Io(error));
        let certificate = |wrong| {
            let wrong = rustls::Error::InvalidCertificate(wrong);
            TlsError::Io(Error::new(ErrorKind::InvalidData, wrong))
        };
        assert_eq!(said(wrapped(reset())), reset().to_string());
        assert!(ended_by_broker(&wrapped(reset()).into()));
        assert_eq!(
            said(StateError::AwaitPingResp),
            "it does not answer any more"
        );
        let eof = Error::new(ErrorKind::UnexpectedEof, "see https://docs.rs/rustls");
        assert_eq!(said(wrapped(eof)), "it ended the connection");
        for (wrong, words) in [
            (
                CertificateError::ApplicationVerificationFailure,
                "its certificate is not trusted: give it",
            ),
            (
                CertificateError::UnknownIssuer,
                "its certificate is not trusted: give it",
            ),
            (
                CertificateError::NotValidYet,
                "its certificate is not valid yet by the clock here",
            ),
        ] {
            assert_eq!(said(certificate(wrong)), words);
        }
    }
}

//! Keys, signatures, and whom a board believes.

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::{Bundle, BundleError};

/// What stands before the digest in the signed message, so that a key's signature on anything else
/// is never one on a bundle.
const DOMAIN: &[u8] = b"hone bundle signature v1\0";
const SECRET_WORD: &str = "hone-secret-key";
const PUBLIC_WORD: &str = "hone-public-key";

/// A key that signs bundles. Its text form is one line, `hone-secret-key ed25519 HEX`.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

/// A key that bundles are checked against. Its text form is one line, `hone-public-key ed25519 HEX`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// An ed25519 signature with the key that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// Who signed.
    pub key: PublicKey,
    /// The signature proper.
    pub bytes: [u8; 64],
}

impl SecretKey {
    /// The key made of 32 bytes, which the caller draws from the system's random source.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`BundleError::Key`] when the text is no secret key.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        Ok(Self(SigningKey::from_bytes(&key_bytes(text, SECRET_WORD)?)))
    }

    /// The text form, with a line feed.
    pub fn to_text(&self) -> String {
        format!("{SECRET_WORD} ed25519 {}\n", hex(self.0.as_bytes()))
    }

    /// The key that others check with.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs the SHA-256 of a bundle's body.
    pub(super) fn sign(&self, digest: &[u8; 32]) -> Signature {
        Signature {
            key: self.public(),
            bytes: self.0.sign(&message(digest)).to_bytes(),
        }
    }
}

impl PublicKey {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`BundleError::Key`] when the text is no public key.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        Self::from_bytes(&key_bytes(text, PUBLIC_WORD)?)
    }

    /// The key of 32 bytes.
    ///
    /// # Errors
    /// [`BundleError::Key`] when they are no point of the curve or a weak one.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BundleError> {
        VerifyingKey::from_bytes(bytes)
            .ok()
            .filter(|key| !key.is_weak())
            .map(Self)
            .ok_or_else(|| BundleError::Key("its bytes are no ed25519 key".into()))
    }

    /// The 32 bytes.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The text form, with a line feed.
    pub fn to_text(self) -> String {
        format!("{PUBLIC_WORD} ed25519 {}\n", hex(self.0.as_bytes()))
    }

    /// A short name for people: the first 8 bytes of the key's SHA-256.
    pub fn fingerprint(self) -> String {
        hex(&Sha256::digest(self.0.as_bytes())[..8])
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey(of {})", self.public().fingerprint())
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

impl Signature {
    /// Checks the signature over the SHA-256 of a bundle's body.
    pub(super) fn check(&self, digest: &[u8; 32]) -> Result<(), BundleError> {
        let signature = ed25519_dalek::Signature::from_bytes(&self.bytes);
        let key = &self.key.0;
        key.verify_strict(&message(digest), &signature)
            .map_err(|_| BundleError::Signature)
    }
}

/// Whom a board believes.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Bundles signed by one of these are taken.
    pub trusted: Vec<PublicKey>,
    /// Take unsigned bundles and those of unknown keys as well.
    pub allow_unsigned: bool,
}

/// Decides whether a bundle may be used. Its digests and its signature were checked when it was read.
///
/// # Errors
/// [`BundleError::Unsigned`] or [`BundleError::UnknownKey`].
pub fn verify(bundle: &Bundle, policy: &Policy) -> Result<(), BundleError> {
    match bundle.signature() {
        _ if policy.allow_unsigned => Ok(()),
        None => Err(BundleError::Unsigned),
        Some(signature) if policy.trusted.contains(&signature.key) => Ok(()),
        Some(signature) => Err(BundleError::UnknownKey(signature.key.fingerprint())),
    }
}

fn message(digest: &[u8; 32]) -> Vec<u8> {
    [DOMAIN, digest.as_slice()].concat()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// 32 bytes from 64 hexadecimal digits.
pub fn unhex32(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

fn key_bytes(text: &str, word: &str) -> Result<[u8; 32], BundleError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        [first, "ed25519", digits] if *first == word => {
            unhex32(digits).ok_or_else(|| BundleError::Key("it needs 64 hexadecimal digits".into()))
        }
        [first, ..] if [SECRET_WORD, PUBLIC_WORD].contains(first) && *first != word => Err(
            BundleError::Key(format!("it holds a {first}, a {word} is needed")),
        ),
        _ => Err(BundleError::Key(format!(
            "it does not read '{word} ed25519 HEX'"
        ))),
    }
}

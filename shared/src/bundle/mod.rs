//! The bundle: students, their card and their measurements in one signed file, `x.hone`.
//!
//! ```text
//!  offset  bytes          content
//!  0       8              magic 89 'h' 'o' 'n' 'e' 0d 0a 1a
//!  8       4              format version, u32
//!  12      4              length of the manifest, u32, at most 1 MiB
//!  16      that many      manifest, postcard
//!          8 + length     for each part of the manifest: its length, u64, and its bytes
//!          32             SHA-256 of everything above
//!          1              0: unsigned, 1: ed25519
//!          32 + 64        public key and signature, when signed
//! ```
//!
//! Integers are little-endian. The signature covers the SHA-256 of everything above it. Nothing
//! may follow. Equal input gives equal bytes: there is no time stamp and ed25519 is deterministic.
//!
//! **Compatibility.** Postcard does not describe itself, so every change of the manifest, however
//! small, makes a new format version. A reader reads all versions from 1 to its own
//! [`FORMAT_VERSION`] and refuses newer ones, saying so; a writer writes its own. So an old bundle
//! always runs on a newer board, and a board is updated before it gets newer bundles.
//!
//! Reading trusts nothing: lengths are compared with limits first and memory grows only as bytes
//! really arrive.

mod codec;
mod manifest;
mod sign;
#[cfg(test)]
mod tests;

pub use codec::{read, write};
pub use manifest::{Manifest, Metric, ModelEntry, PartEntry, PartKind, Provenance, Release};
pub use sign::{Policy, PublicKey, SecretKey, Signature, hex, unhex32, verify};

use sha2::{Digest, Sha256};

use crate::student::Precision;

/// First bytes of every bundle; made, like PNG's, to break in text transfers.
pub const MAGIC: [u8; 8] = *b"\x89hone\r\n\x1a";
/// The format version written, and the newest read.
pub const FORMAT_VERSION: u32 = 1;
/// Longest manifest in bytes.
pub const MAX_MANIFEST: u32 = 1 << 20;
/// Most parts.
pub const MAX_PARTS: usize = 64;
/// Most models.
pub const MAX_MODELS: usize = 32;
/// Longest part in bytes.
pub const MAX_PART: u64 = 256 << 20;
/// Most bytes of all parts together.
pub const MAX_TOTAL: u64 = 512 << 20;

/// Why a bundle, or a key, is refused.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The bytes could not be read or written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The file is something else.
    #[error("this is no hone bundle")]
    Magic,
    /// The file was written by a newer program.
    #[error(
        "the bundle has format version {found}, this program reads up to {FORMAT_VERSION}: update it"
    )]
    Newer {
        /// The file's version.
        found: u32,
    },
    /// The file ends early.
    #[error("the bundle is cut off in {0}")]
    Truncated(&'static str),
    /// A length is beyond its limit.
    #[error("the bundle's {what} takes {found} bytes, {limit} are the most allowed")]
    TooLarge {
        /// Which part of the file.
        what: String,
        /// Its length.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// The manifest contradicts itself or the bytes that follow.
    #[error("the bundle's manifest is not valid: {0}")]
    Manifest(String),
    /// Bytes were changed after packing.
    #[error("the bundle is damaged: the SHA-256 of {0} does not match")]
    Digest(String),
    /// Bytes follow the end.
    #[error("the bundle is damaged: bytes follow its end")]
    Trailing,
    /// The signature does not belong to this content.
    #[error("the bundle's signature is not valid: it was changed after signing")]
    Signature,
    /// Policy: a signature is needed.
    #[error(
        "the bundle is not signed: sign it with `hone bundle sign --key KEY`, or allow unsigned bundles (--allow-unsigned, or allow_unsigned in the configuration)"
    )]
    Unsigned,
    /// Policy: the signer is not known here.
    #[error(
        "the bundle is signed by the key {0}, which is not trusted here: name its public key (--trusted-key KEY.pub, or trusted_keys in the configuration)"
    )]
    UnknownKey(String),
    /// A text is no key.
    #[error("this is no key for bundles: {0}")]
    Key(String),
}

/// A part to be packed.
#[derive(Debug, Clone)]
pub struct Part {
    /// See [`PartEntry::name`].
    pub name: String,
    /// What the bytes are.
    pub kind: PartKind,
    /// The content.
    pub bytes: Vec<u8>,
}

/// A bundle in memory, sound by construction: digests and signature hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    manifest: Manifest,
    parts: Vec<Vec<u8>>,
    digest: [u8; 32],
    signature: Option<Signature>,
}

impl Bundle {
    /// An unsigned bundle of `parts`; the list of parts in `manifest` is made anew from them.
    ///
    /// # Errors
    /// [`BundleError::Manifest`] or [`BundleError::TooLarge`].
    pub fn new(mut manifest: Manifest, parts: Vec<Part>) -> Result<Self, BundleError> {
        manifest.parts = parts
            .iter()
            .map(|part| PartEntry {
                name: part.name.clone(),
                kind: part.kind,
                length: part.bytes.len() as u64,
                sha256: Sha256::digest(&part.bytes).into(),
            })
            .collect();
        let parts = parts.into_iter().map(|p| p.bytes).collect();
        let mut bundle = Self {
            manifest,
            parts,
            digest: [0; 32],
            signature: None,
        };
        bundle.digest = codec::digest(&bundle)?;
        Ok(bundle)
    }

    /// The same content signed by `key`, in place of any earlier signature.
    #[must_use]
    pub fn signed(mut self, key: &SecretKey) -> Self {
        self.signature = Some(key.sign(&self.digest));
        self
    }

    /// What the bundle says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the content, the signature left out: the bundle's identity.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The signature, already checked against its own key; [`verify`] says whether that key counts.
    pub fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    /// The ONNX file of one of the manifest's models; empty for a model of another bundle.
    pub fn model_bytes(&self, model: &ModelEntry) -> &[u8] {
        self.parts
            .get(model.part as usize)
            .map_or(&[], Vec::as_slice)
    }

    /// [`Manifest::ladder`], which asks `in_integers` with a student's ONNX file.
    ///
    /// # Errors
    /// What the bundle has instead.
    pub fn ladder(
        &self,
        level: Option<&str>,
        precision: Option<Precision>,
        in_integers: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<&ModelEntry>, String> {
        let in_integers = |model: &ModelEntry| in_integers(self.model_bytes(model));
        self.manifest.ladder(level, precision, in_integers)
    }

    /// Every part with its bytes, in order.
    pub fn parts(&self) -> impl Iterator<Item = (&PartEntry, &[u8])> {
        self.manifest
            .parts
            .iter()
            .zip(self.parts.iter().map(Vec::as_slice))
    }
}

//! The bytes of a bundle.

use std::io::{Read, Write};

use sha2::{Digest, Sha256};

use super::{
    Bundle, BundleError, FORMAT_VERSION, MAGIC, MAX_MANIFEST, MAX_PART, MAX_TOTAL, Manifest,
    PartEntry, PublicKey, Signature,
};

const UNSIGNED: u8 = 0;
const ED25519: u8 = 1;

/// Writes a bundle.
///
/// # Errors
/// [`BundleError::Io`].
pub fn write(bundle: &Bundle, mut out: impl Write) -> Result<(), BundleError> {
    write_body(bundle, &mut out)?;
    out.write_all(&bundle.digest)?;
    match &bundle.signature {
        None => out.write_all(&[UNSIGNED])?,
        Some(signature) => {
            out.write_all(&[ED25519])?;
            out.write_all(&signature.key.to_bytes())?;
            out.write_all(&signature.bytes)?;
        }
    }
    Ok(())
}

/// Reads a bundle to its end and checks all of it: limits, digests, manifest, signature. Whether
/// the signer may be trusted is for [`super::verify`] to say.
///
/// # Errors
/// [`BundleError`], whatever the bytes are.
pub fn read(source: impl Read) -> Result<Bundle, BundleError> {
    let mut source = Hashing {
        source,
        hash: Sha256::new(),
    };
    let mut magic = Vec::new();
    source.up_to(MAGIC.len() as u64, &mut magic)?;
    if magic != MAGIC {
        return Err(BundleError::Magic);
    }
    let found = u32::from_le_bytes(source.array("its version")?);
    match found {
        0 => return Err(BundleError::Magic),
        1..=FORMAT_VERSION => {}
        _ => return Err(BundleError::Newer { found }),
    }
    let length = u32::from_le_bytes(source.array("the length of its manifest")?);
    within("manifest", length.into(), MAX_MANIFEST.into())?;
    let manifest = parse_manifest(&source.vec(length.into(), "its manifest")?)?;
    let mut parts = Vec::new();
    for part in &manifest.parts {
        if u64::from_le_bytes(source.array("the length of a part")?) != part.length {
            let message = format!("'{}' has another length than it says", part.name);
            return Err(BundleError::Manifest(message));
        }
        let bytes = source.vec(part.length, "a part")?;
        if part.sha256 != *Sha256::digest(&bytes) {
            return Err(BundleError::Digest(format!("'{}'", part.name)));
        }
        parts.push(bytes);
    }
    let digest: [u8; 32] = source.hash.clone().finalize().into();
    if source.array("its SHA-256")? != digest {
        return Err(BundleError::Digest("the whole".into()));
    }
    let signature = read_signature(&mut source)?;
    if let Some(signature) = &signature {
        signature.check(&digest)?;
    }
    if source.source.read(&mut [0])? != 0 {
        return Err(BundleError::Trailing);
    }
    Ok(Bundle {
        manifest,
        parts,
        digest,
        signature,
    })
}

/// SHA-256 of everything before the digest field; checks the limits on the way.
pub(super) fn digest(bundle: &Bundle) -> Result<[u8; 32], BundleError> {
    bundle.manifest.validate()?;
    check_lengths(&bundle.manifest.parts)?;
    let mut hash = Sha256::new();
    write_body(bundle, &mut hash)?;
    Ok(hash.finalize().into())
}

fn write_body(bundle: &Bundle, out: &mut impl Write) -> Result<(), BundleError> {
    let manifest = encode(&bundle.manifest)?;
    within("manifest", manifest.len() as u64, MAX_MANIFEST.into())?;
    out.write_all(&MAGIC)?;
    out.write_all(&FORMAT_VERSION.to_le_bytes())?;
    out.write_all(&(manifest.len() as u32).to_le_bytes())?;
    out.write_all(&manifest)?;
    for bytes in &bundle.parts {
        out.write_all(&(bytes.len() as u64).to_le_bytes())?;
        out.write_all(bytes)?;
    }
    Ok(())
}

fn encode(manifest: &Manifest) -> Result<Vec<u8>, BundleError> {
    postcard::to_allocvec(manifest).map_err(|e| BundleError::Manifest(e.to_string()))
}

fn parse_manifest(bytes: &[u8]) -> Result<Manifest, BundleError> {
    let (manifest, rest): (Manifest, _) = postcard::take_from_bytes(bytes)
        .map_err(|_| BundleError::Manifest("it cannot be decoded".into()))?;
    if !rest.is_empty() {
        return Err(BundleError::Manifest("bytes follow its end".into()));
    }
    // One content, one encoding: what was read can be written again, and its digest still holds.
    if encode(&manifest)? != bytes {
        return Err(BundleError::Manifest(
            "it is not encoded as hone does".into(),
        ));
    }
    manifest.validate()?;
    check_lengths(&manifest.parts)?;
    Ok(manifest)
}

fn check_lengths(parts: &[PartEntry]) -> Result<(), BundleError> {
    let mut total = 0u64;
    for part in parts {
        within(&format!("part '{}'", part.name), part.length, MAX_PART)?;
        total += part.length;
    }
    within("content", total, MAX_TOTAL)
}

fn within(what: &str, found: u64, limit: u64) -> Result<(), BundleError> {
    if found <= limit {
        return Ok(());
    }
    Err(BundleError::TooLarge {
        what: what.to_owned(),
        found,
        limit,
    })
}

fn read_signature(source: &mut Hashing<impl Read>) -> Result<Option<Signature>, BundleError> {
    match source.array::<1>("its signature")? {
        [UNSIGNED] => Ok(None),
        [ED25519] => {
            let key = source.array("its signature")?;
            let bytes = source.array("its signature")?;
            let key = PublicKey::from_bytes(&key).map_err(|_| BundleError::Signature)?;
            Ok(Some(Signature { key, bytes }))
        }
        _ => Err(BundleError::Signature),
    }
}

/// Reads and hashes on the way.
struct Hashing<R> {
    source: R,
    hash: Sha256,
}

impl<R: Read> Hashing<R> {
    /// Appends at most `length` bytes, fewer at the end; memory grows only with what arrives.
    fn up_to(&mut self, length: u64, bytes: &mut Vec<u8>) -> Result<(), BundleError> {
        self.source.by_ref().take(length).read_to_end(bytes)?;
        self.hash.update(bytes);
        Ok(())
    }

    fn vec(&mut self, length: u64, what: &'static str) -> Result<Vec<u8>, BundleError> {
        let mut bytes = Vec::new();
        self.up_to(length, &mut bytes)?;
        if (bytes.len() as u64) < length {
            return Err(BundleError::Truncated(what));
        }
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], BundleError> {
        self.vec(N as u64, what)?
            .try_into()
            .map_err(|_| BundleError::Truncated(what))
    }
}

//! Key files: the secret one readable by its owner only, the public one beside it as `KEY.pub`.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hone_shared::bundle::{PublicKey, SecretKey};
use rand::TryRngCore;

/// Makes a key pair: `path` and `path.pub`.
///
/// # Errors
/// Either file exists or cannot be written.
pub fn generate(path: &Path) -> Result<PublicKey> {
    let mut seed = [0; 32];
    rand::rngs::OsRng
        .try_fill_bytes(&mut seed)
        .context("the system gives no random numbers")?;
    let key = SecretKey::from_seed(seed);
    let public = public_path(path);
    create(&public, 0o644, &key.public().to_text())?;
    create(path, 0o600, &key.to_text()).inspect_err(|_| {
        // The pair is useless in halves; the error is the one worth telling.
        let _ = std::fs::remove_file(&public);
    })?;
    Ok(key.public())
}

/// Reads a secret key file.
///
/// # Errors
/// The file cannot be read or is no secret key.
pub fn secret(path: &Path) -> Result<SecretKey> {
    SecretKey::parse(&text(path)?).with_context(|| format!("cannot use {}", path.display()))
}

/// Reads a public key file.
///
/// # Errors
/// The file cannot be read or is no public key.
pub fn public(path: &Path) -> Result<PublicKey> {
    PublicKey::parse(&text(path)?).with_context(|| format!("cannot use {}", path.display()))
}

/// Where the public half of a secret key lies.
pub fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read the key {}", path.display()))
}

fn create(path: &Path, mode: u32, text: &str) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(mode).open(path);
    opened
        .and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .with_context(|| format!("cannot write the key {}", path.display()))
}

//! Key files: the secret one readable by its owner only, the public one beside it as `KEY.pub`.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
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
    let mut options = File::options();
    match options.write(true).create_new(true).mode(mode).open(path) {
        Ok(file) => fill(file, path, text),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
            "{} exists already: name another, or delete it yourself",
            path.display()
        ),
        Err(error) => {
            Err(error).with_context(|| format!("cannot create the key {}", path.display()))
        }
    }
}

/// Writes the new file at `path`, or takes it away: half a key would only be in the next try's way.
fn fill(mut file: File, path: &Path, text: &str) -> Result<()> {
    let written = file.write_all(text.as_bytes());
    written
        .and_then(|()| file.sync_all())
        .inspect_err(|_| {
            let _ = std::fs::remove_file(path);
        })
        .with_context(|| format!("cannot write the key {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_cannot_be_written_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.pub");
        std::fs::write(&path, "").unwrap();
        // Writing to a file that is open for reading only fails as on a full disk.
        let file = File::open(&path).unwrap();
        let error = fill(file, &path, "a key").unwrap_err().to_string();
        assert!(error.contains("cannot write the key"), "{error}");
        assert!(!path.exists());
    }
}

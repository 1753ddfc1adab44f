//! Tokens on disk: a name, when it was made, and the argon2 hash of its secret.
//!
//! A token is `hone_ID_SECRET`; the secret is 256 random bits, shown once. The hash therefore needs
//! no costly parameters: they are kept low, so that a board can afford a check.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use hone_shared::bundle::hex;
use serde::{Deserialize, Serialize};

use super::PageError;
use crate::atomic;
use crate::slots::{Disk as _, FolderDisk};

/// Name of the file in the page's folder.
const FILE: &str = "tokens.json";
/// Longest file read.
const MAX_FILE: u64 = 256 * 1024;
/// Tokens that a board keeps.
const MOST: usize = 64;
/// KiB of memory for one hash, and passes over it.
const COST: (u32, u32) = (4096, 3);
/// Longest token that is looked at.
pub(super) const LONGEST: usize = 128;

/// One token as the disk has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// What a person calls it.
    pub name: String,
    /// The public part, by which it is found.
    pub id: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The secret's argon2 hash in PHC format.
    pub hash: String,
}

/// The tokens of a board.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// All of them, the oldest first.
    pub tokens: Vec<Stored>,
}

impl Tokens {
    /// Where they lie in the page's `folder`.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Reads those in `folder`; none when there is no file.
    ///
    /// # Errors
    /// [`PageError::File`].
    pub fn read(folder: &Path) -> Result<Self, PageError> {
        Self::load(folder).map_err(|e| PageError::file(Self::path(folder))(&e))
    }

    /// As [`Self::read`], with the system's error: [`io::ErrorKind::InvalidData`] for a file that is no list of tokens.
    pub(super) fn load(folder: &Path) -> io::Result<Self> {
        let mut text = String::new();
        match fs::File::open(Self::path(folder)) {
            Ok(file) => file.take(MAX_FILE).read_to_string(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        serde_json::from_str(&text).map_err(|e| {
            let advice = "it is no list of tokens; delete it and make them anew with `honed token create NAME`";
            io::Error::new(io::ErrorKind::InvalidData, format!("{e}: {advice}"))
        })
    }

    /// Held from reading to writing, or two who change them at once lose what the other did. Who only
    /// reads finds whole files without. Makes the folder, where it is missing.
    ///
    /// # Errors
    /// [`PageError::File`].
    pub fn lock(folder: &Path) -> Result<fs::File, PageError> {
        make_folder(folder)?;
        let lock = FolderDisk::new(folder).lock();
        lock.map_err(|e| PageError::file(folder)(&format_args!("it cannot be locked: {e}")))
    }

    /// Writes them to `folder`, for nobody to read but its owner.
    ///
    /// # Errors
    /// [`PageError::File`].
    pub fn write(&self, folder: &Path) -> Result<(), PageError> {
        let path = Self::path(folder);
        make_folder(folder)?;
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|e| PageError::file(&path)(&e))?;
        bytes.push(b'\n');
        write_secret(&path, &bytes)
    }

    /// Makes a token called `name`; what is returned is shown once and cannot be found again.
    ///
    /// # Errors
    /// [`PageError::File`] when the name is taken or there are too many, [`PageError::System`] without
    /// random numbers.
    pub fn create(&mut self, folder: &Path, name: &str) -> Result<String, PageError> {
        let refuse = |reason: String| Err(PageError::file(Self::path(folder))(&reason));
        if self.tokens.iter().any(|token| token.name == name) {
            return refuse(format!(
                "there is a token '{name}' already: choose another name or revoke it first"
            ));
        }
        if self.tokens.len() >= MOST {
            return refuse(format!("there are {MOST} tokens already: revoke one first"));
        }
        let (id, secret) = (hex(&random::<6>()?), hex(&random::<32>()?));
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        self.tokens.push(Stored {
            name: name.to_owned(),
            id: id.clone(),
            created: since.unwrap_or_default().as_secs(),
            hash: hash(&secret)?,
        });
        Ok(format!("hone_{id}_{secret}"))
    }

    /// Takes back the token called `name`; false when there is none.
    pub fn revoke(&mut self, name: &str) -> bool {
        let before = self.tokens.len();
        self.tokens.retain(|token| token.name != name);
        self.tokens.len() < before
    }

    /// The one that `token` is. Takes tens of milliseconds and some MiB when its ID is known; argon2 compares in
    /// constant time.
    pub(super) fn find(&self, token: &str) -> Option<&Stored> {
        let (id, secret) = parts(token)?;
        self.tokens
            .iter()
            .filter(|stored| stored.id == id)
            .find(|stored| matches(secret, &stored.hash))
    }

    /// Whether the public part of `token` is known, so that its secret is worth checking.
    pub fn knows(&self, token: &str) -> bool {
        parts(token).is_some_and(|(id, _)| self.tokens.iter().any(|stored| stored.id == id))
    }
}

fn parts(token: &str) -> Option<(&str, &str)> {
    token
        .strip_prefix("hone_")
        .filter(|rest| rest.len() <= LONGEST)?
        .split_once('_')
}

fn hash(secret: &str) -> Result<String, PageError> {
    let failed =
        |e: argon2::password_hash::Error| PageError::System(io::Error::other(e.to_string()));
    let salt = SaltString::encode_b64(&random::<16>()?).map_err(failed)?;
    let (memory, passes) = COST;
    let params = Params::new(memory, passes, 1, None)
        .map_err(|e| PageError::System(io::Error::other(e.to_string())))?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon.hash_password(secret.as_bytes(), &salt);
    Ok(hash.map_err(failed)?.to_string())
}

fn matches(secret: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(secret.as_bytes(), &hash)
            .is_ok()
    })
}

/// `N` bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N], PageError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| PageError::System(io::Error::other(e.to_string())))?;
    Ok(bytes)
}

/// Makes the page's folder, where it is missing.
pub(super) fn make_folder(folder: &Path) -> Result<(), PageError> {
    fs::create_dir_all(folder).map_err(|e| PageError::file(folder)(&e))
}

/// Writes a file for its owner's eyes only. Written by root, as by `sudo honed run --page-tls`, it goes to the owner of its
/// folder's parent, and the folder too, from the moment that it is there: the service's user reads it as well.
pub(super) fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), PageError> {
    let write = || {
        let owner = match rustix::process::geteuid().is_root() {
            true => heir(path)?,
            false => None,
        };
        atomic::write_secret(path, owner, bytes)
    };
    write().map_err(|e: io::Error| PageError::file(path)(&unnamed(path, &e)))
}

/// Who gets what root writes to `path`, where that is another: its folder is given away already.
fn heir(path: &Path) -> io::Result<Option<(u32, u32)>> {
    // A folder named as `page` has a parent too.
    let path = std::path::absolute(path)?;
    let Some(folder) = path.parent() else {
        return Ok(None);
    };
    let owner = fs::metadata(folder.parent().unwrap_or(folder))?;
    if owner.uid() == 0 {
        return Ok(None);
    }
    let owner = (owner.uid(), owner.gid());
    // What a link leads to is nobody's to give away here.
    std::os::unix::fs::lchown(folder, Some(owner.0), Some(owner.1))?;
    Ok(Some(owner))
}

/// What tells that a file is another one, or may be read by others: its number, when it was written, its length, and when
/// any of that or its mode or owner changed.
pub(super) type Stamp = Option<(u64, SystemTime, u64, (i64, i64))>;

/// The stamp of the file at `path`; none of one that cannot be looked at.
pub(super) fn stamp(path: &Path) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    let changed = (meta.ctime(), meta.ctime_nsec());
    Some((meta.ino(), meta.modified().ok()?, meta.len(), changed))
}

/// An error's words without the file's name, which `atomic` puts into its own and [`PageError::File`]
/// says anyway.
pub(super) fn unnamed(written: &Path, error: &io::Error) -> String {
    let text = error.to_string();
    let named = format!("cannot write {}: ", written.display());
    match text.strip_prefix(&named) {
        Some(reason) => format!("it cannot be written: {reason}"),
        None => text,
    }
}

#[cfg(test)]
mod tests;

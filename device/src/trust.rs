//! Whom this board believes, and the only way to a bundle's content: opened and checked in one step.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use hone_shared::bundle::{self, Bundle, BundleError, Policy, PublicKey};
use hone_shared::config::KEYS_FOLDER;

use crate::journal::Journal;

/// Longest key file read; a key is one line of 90 bytes.
const MAX_KEY_FILE: u64 = 4096;

/// A key or a bundle that is refused.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: io::Error,
    },
    /// The file is no public key, no bundle, or a bundle of someone unknown.
    #[error("{}: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: BundleError,
    },
}

/// Reads the keys in `places`: files, and folders of `*.pub` files. Only [`KEYS_FOLDER`] may be
/// missing, since it is asked for everywhere. What is no key in a folder is left out, and `journal` hears of it.
///
/// # Errors
/// [`TrustError`], with the place named.
pub fn policy(
    places: &[PathBuf],
    allow_unsigned: bool,
    journal: &Journal,
) -> Result<Policy, TrustError> {
    let mut trusted = Vec::new();
    for place in places {
        if place == Path::new(KEYS_FOLDER) && !place.exists() {
            continue;
        }
        if !place.metadata().map_err(unread(place))?.is_dir() {
            trusted.push(key(place)?);
            continue;
        }
        for file in key_files(place).map_err(unread(place))? {
            match key(&file) {
                Ok(key) => trusted.push(key),
                // To trust fewer is the safe direction, and no reason for a service to go dark.
                Err(error) => journal.say(format_args!("warning: {error}; it is left out")),
            }
        }
    }
    Ok(Policy {
        trusted,
        allow_unsigned,
    })
}

/// Reads a bundle whole, checks it, and asks `policy` whether its signer counts here.
///
/// # Errors
/// [`TrustError`], with the file named and what to do.
pub fn open(path: &Path, policy: &Policy) -> Result<Bundle, TrustError> {
    let file = File::open(path).map_err(unread(path))?;
    let checked = bundle::read(BufReader::new(file))
        .and_then(|bundle| bundle::verify(&bundle, policy).map(|()| bundle));
    checked.map_err(|reason| match reason {
        BundleError::Io(reason) => unread(path)(reason),
        reason => TrustError::Refused {
            path: path.to_owned(),
            reason,
        },
    })
}

fn key_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: io::Result<Vec<PathBuf>> = folder.read_dir()?.map(|e| Ok(e?.path())).collect();
    let mut files = entries?;
    files.retain(|file| file.extension().is_some_and(|e| e == "pub"));
    files.sort();
    Ok(files)
}

fn key(path: &Path) -> Result<PublicKey, TrustError> {
    // A pipe that no one writes to would be opened for ever.
    if !path.metadata().map_err(unread(path))?.is_file() {
        return Err(unread(path)(io::Error::other("it is no file")));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_KEY_FILE).read_to_end(&mut bytes))
        .map_err(unread(path))?;
    // What is no text is no key either, and told as such.
    PublicKey::parse(&String::from_utf8_lossy(&bytes)).map_err(|reason| TrustError::Refused {
        path: path.to_owned(),
        reason,
    })
}

fn unread(path: &Path) -> impl Fn(io::Error) -> TrustError {
    move |reason| TrustError::Read {
        path: path.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use hone_shared::bundle::SecretKey;

    use super::*;

    fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn keys_come_from_files_and_folders() {
        let folder = tempfile::tempdir().unwrap();
        let text = |n| SecretKey::from_seed([n; 32]).public().to_text();
        write(folder.path(), "a.pub", &text(1));
        write(folder.path(), "readme.txt", "no key");
        let other = tempfile::tempdir().unwrap();
        let single = write(other.path(), "b", &text(2));
        let places = [folder.path().to_owned(), single];
        let keys = policy(&places, false, &Journal::default()).unwrap().trusted;
        let want = [1, 2].map(|n| SecretKey::from_seed([n; 32]).public());
        assert_eq!(keys, want);
    }

    #[test]
    fn what_is_no_key_in_a_folder_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let key = SecretKey::from_seed([1; 32]).public();
        write(folder.path(), "b.pub", &key.to_text());
        write(folder.path(), "a.pub", "");
        write(folder.path(), "c.pub", "ssh-ed25519 AAAA");
        std::fs::create_dir(folder.path().join("d.pub")).unwrap();
        std::os::unix::fs::symlink("gone", folder.path().join("e.pub")).unwrap();
        let pipe = folder.path().join("f.pub");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let places = [folder.path().to_owned()];
        let journal = Journal::default();
        let found = policy(&places, false, &journal).unwrap();
        assert_eq!(found.trusted, [key]);
        let said = journal.lines(0);
        assert_eq!(said.len(), 5, "{said:?}");
        let last = format!(
            "warning: cannot read {}: it is no file; it is left out",
            pipe.display()
        );
        assert_eq!(said[4].text, last);
        let named = [folder.path().join("a.pub")];
        assert!(policy(&named, false, &journal).is_err());
    }

    #[test]
    fn a_place_that_is_no_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: PathBuf, words: &str| {
            let error =
                policy(std::slice::from_ref(&path), false, &Journal::default()).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
            assert!(error.contains(words), "{error}");
        };
        refused(folder.path().join("gone.pub"), "No such file");
        let secret = SecretKey::from_seed([1; 32]).to_text();
        refused(
            write(folder.path(), "secret", &secret),
            "hone-public-key is needed",
        );
        let bytes = folder.path().join("bytes");
        std::fs::write(&bytes, [0xff; 90]).unwrap();
        refused(bytes, "hone-public-key");
        refused(
            write(folder.path(), "long", &"x".repeat(100_000)),
            "hone-public-key",
        );
    }
}

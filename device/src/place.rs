//! Whether two paths are one place.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// A place in the file system, which need not hold anything yet.
pub struct Place {
    /// Without links and detours.
    path: PathBuf,
    /// Device and inode, if something is there.
    there: Option<(u64, u64)>,
    /// Device and inode of its folder, which may be mounted twice, and its name.
    inside: Option<((u64, u64), OsString)>,
}

impl Place {
    /// The place that `path` names.
    pub fn of(path: &Path) -> Self {
        let path = real(path);
        let folder = path.parent().and_then(identity);
        Self {
            there: identity(&path),
            inside: folder.zip(path.file_name().map(OsString::from)),
            path,
        }
    }

    /// Whether both are the same.
    pub fn is(&self, other: &Self) -> bool {
        let same = |one: &Option<_>, two| one.is_some() && one == two;
        self.path == other.path
            || same(&self.there, &other.there)
            || self.inside.is_some() && self.inside == other.inside
    }

    /// Whether this is `folder` or lies below it.
    pub fn lies_in(&self, folder: &Self) -> bool {
        self.path.starts_with(&folder.path)
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// The path without links and detours. What is not there yet has no links, so its detours go by their spelling.
fn real(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut real = PathBuf::new();
    for component in whole.components() {
        match component {
            Component::ParentDir => {
                real.pop();
            }
            Component::CurDir => {}
            component => {
                real.push(component);
                if let Ok(there) = std::fs::canonicalize(&real) {
                    real = there;
                }
            }
        }
    }
    real
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_many_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("real")).unwrap();
        std::fs::write(at("real/film.mkv"), b"").unwrap();
        std::os::unix::fs::symlink(at("real"), at("link")).unwrap();
        std::fs::hard_link(at("real/film.mkv"), at("hard.mkv")).unwrap();
        let same = |one: &str, two: &str| Place::of(&at(one)).is(&Place::of(&at(two)));
        assert!(same("real/new.mkv", "link/new.mkv"));
        assert!(same("real/film.mkv", "hard.mkv"));
        assert!(same("new.mkv", "none/../new.mkv"));
        assert!(same("none/www", "none/./x/../www/"));
        assert!(!same("real/new.mkv", "new.mkv"));
        let lies = |one: &str, two: &str| Place::of(&at(one)).lies_in(&Place::of(&at(two)));
        assert!(lies("none/../link/a/b", "real") && lies("real", "link"));
        assert!(!lies("reality", "real") && !lies("real", "real/a"));
        assert!(!same("real/new.mkv", "real/other.mkv"));
    }
}

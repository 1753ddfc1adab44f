//! Files that appear whole or not at all: write beside the target, fsync, rename.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

/// Writes `path` through `fill`; on any error the old file, if there was one, is left as it was. A new one in its place
/// has its mode and, as far as this user may give it, its owner. A link stays one: the file that it leads to is written.
/// Devices and pipes are written to as they are, for a rename would put a file in their place.
///
/// # Errors
/// Whatever `fill` returns, or the I/O error of creating, syncing or renaming, with the path named.
pub fn write(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let streamed = fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir());
    if streamed {
        let stream = File::options().write(true).open(path);
        return stream
            .and_then(|stream| through(stream, fill).map(|_| ()))
            .map_err(named(path));
    }
    let target = destination(path).map_err(named(path))?;
    replace(path, &target, like_before, fill)
}

/// Writes `bytes` to `path`; see [`write()`].
///
/// # Errors
/// As [`write()`].
pub fn write_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(path, |w| w.write_all(bytes))
}

/// Writes `bytes` to `path` for nobody but its owner, whoever could read the file before; `owner` is the user and the
/// group that it goes to, `None` keeps it with who writes. A link that leads nowhere is replaced: whoever may write into the
/// folder could have root make files elsewhere. Otherwise as [`write()`], of files only.
///
/// # Errors
/// As [`write()`], also when the file cannot be given to `owner`.
pub fn write_secret(path: &Path, owner: Option<(u32, u32)>, bytes: &[u8]) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|m| !m.is_file()) {
        let reason = "it is no file, so nothing secret is written to it: remove it";
        return Err(named(path)(io::Error::other(reason)));
    }
    let make = |beside: &Path, _: &Path| {
        let file = create(beside, 0o600)?;
        if let Some((user, group)) = owner {
            fchown(&file, Some(user), Some(group))?;
        }
        Ok(file)
    };
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    replace(path, &target, make, |w| w.write_all(bytes))
}

fn named(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |e| io::Error::new(e.kind(), format!("cannot write {}: {e}", path.display()))
}

/// Fills the file that `make` makes beside `target`, where `path` leads, and then gives it the target's name.
fn replace(
    path: &Path,
    target: &Path,
    make: impl FnOnce(&Path, &Path) -> io::Result<File>,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let beside = part_path(target);
    let result = (|| {
        through(make(&beside, target)?, fill)?.sync_all()?;
        fs::rename(&beside, target)?;
        sync_folder(target)
    })();
    if result.is_err() {
        // The part file may not exist; the first error is the one worth telling.
        let _ = fs::remove_file(&beside);
    }
    result.map_err(named(path))
}

/// Where `path` leads, be there a file or not.
fn destination(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut target = path.to_owned();
            while let Ok(next) = fs::read_link(&target) {
                target.pop();
                target.push(next);
            }
            Ok(target)
        }
        found => found,
    }
}

/// A new file; one that an interrupted run left is in other hands perhaps.
fn create(path: &Path, mode: u32) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.write(true).create_new(true).mode(mode).open(path)
}

/// An empty file `beside` the target, with the mode and owner of the one that it will replace.
fn like_before(beside: &Path, target: &Path) -> io::Result<File> {
    let Some(old) = fs::metadata(target).ok().filter(fs::Metadata::is_file) else {
        return create(beside, 0o666);
    };
    let file = create(beside, 0o600)?;
    let mut mode = old.mode() & 0o777;
    let given = fchown(&file, Some(old.uid()), Some(old.gid()));
    // Only root gives files away; others may still give it to a group of theirs.
    let given = given.or_else(|_| fchown(&file, None, Some(old.gid())));
    if given.is_err() {
        // What the group could do is nothing that another group can.
        mode = (mode & 0o707) | ((mode & 0o007) << 3);
    }
    if file.metadata()?.mode() & 0o777 != mode {
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    Ok(file)
}

fn through(
    file: File,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<File> {
    let mut writer = BufWriter::new(file);
    fill(&mut writer)?;
    writer.into_inner().map_err(io::IntoInnerError::into_error)
}

/// The name under which a file is written before it is complete.
pub fn part_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    path.with_file_name(name)
}

/// Brings the name of `path`, new or changed, to the disk.
///
/// # Errors
/// The system's; some network file systems refuse it.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_bytes(&path, b"old").unwrap();
        let error = write(&path, |w| {
            w.write_all(b"half")?;
            Err(io::Error::other("disk full"))
        })
        .unwrap_err();
        assert!(error.to_string().contains("a.txt") && error.to_string().contains("disk full"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.txt"), folder.path().join("link"));
        fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_bytes(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");

        // So does a link to a link, and one to a file that is not there yet.
        fs::remove_file(&file).unwrap();
        let second = folder.path().join("second");
        std::os::unix::fs::symlink("link", &second).unwrap();
        write_bytes(&second, b"first").unwrap();
        assert!(link.is_symlink() && second.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"first");
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink("second", &link).unwrap();
        assert!(write_bytes(&link, b"round").is_err() && link.is_symlink());
    }

    #[test]
    fn mode_and_owner_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        // Only root gives files away.
        let given = std::os::unix::fs::chown(&path, Some(1234), Some(2345)).is_ok();
        // What an interrupted run left is no model.
        fs::write(part_path(&path), "half").unwrap();
        write_bytes(&path, b"new").unwrap();
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(meta.mode() & 0o777, 0o640);
        assert!(!given || (meta.uid(), meta.gid()) == (1234, 2345));

        write_secret(&path, given.then_some((3456, 4567)), b"secret").unwrap();
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(meta.mode() & 0o777, 0o600);
        assert!(!given || (meta.uid(), meta.gid()) == (3456, 4567));
        assert_eq!(fs::read(&path).unwrap(), b"secret");
    }

    #[test]
    fn a_pipe_is_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        write_bytes(&pipe, b"words").unwrap();
        assert_eq!(reader.join().unwrap(), b"words");
    }
}

//! Root at work in a folder of another user.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread;

/// Goes on as the user that owns `folder`, if this is root and that is another: who may write into a folder could lead
/// root elsewhere by a link. The folders `inner` in it, which root may have made, go to that user first. Counts for this
/// thread, and those that it starts.
///
/// # Errors
/// The system's; a folder that is not there is none.
pub(super) fn become_owner(folder: &Path, inner: &[&str]) -> io::Result<()> {
    let meta = match fs::metadata(folder) {
        Ok(meta) if geteuid().is_root() && meta.uid() != 0 => meta,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => return Ok(()),
    };
    for name in inner {
        give(&folder.join(name), &meta)?;
    }
    let (user, group) = (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid()));
    thread::set_thread_groups(&[])?;
    thread::set_thread_res_gid(group, group, group)?;
    thread::set_thread_res_uid(user, user, user)?;
    Ok(())
}

/// Gives a folder of root, no link to one, to the owner of `outer`.
fn give(path: &Path, outer: &fs::Metadata) -> io::Result<()> {
    let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed();
    let opened = File::options().read(true).custom_flags(flags).open(path);
    // What is no folder is told by who wants to write there.
    let Ok(folder) = opened else {
        return Ok(());
    };
    if folder.metadata()?.uid() == 0 {
        std::os::unix::fs::fchown(&folder, Some(outer.uid()), Some(outer.gid()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn root_writes_as_the_owner_of_a_folder() {
        if !geteuid().is_root() {
            eprintln!("skipped: only root becomes another");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (slots, secret) = (folder.path().join("slots"), folder.path().join("secret"));
        fs::create_dir_all(slots.join("a")).unwrap();
        fs::write(&secret, "root's").unwrap();
        for (path, mode) in [(folder.path(), 0o755), (&slots, 0o755), (&secret, 0o644)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        std::os::unix::fs::chown(&slots, Some(1234), Some(2345)).unwrap();
        std::os::unix::fs::symlink(&secret, slots.join("link")).unwrap();
        let (inner, link) = (slots.join("a/x"), slots.join("link"));
        let work = move || {
            become_owner(&slots, &["a", "b"]).unwrap();
            fs::write(&inner, "new").unwrap();
            let meta = fs::metadata(&inner).unwrap();
            assert_eq!((meta.uid(), meta.gid()), (1234, 2345));
            assert!(fs::write(&link, "another's").is_err());
        };
        // The other tests stay root.
        std::thread::spawn(work).join().unwrap();
        assert_eq!(fs::read_to_string(secret).unwrap(), "root's");
    }
}

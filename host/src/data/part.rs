//! Folders that appear when they are complete.

mod watch;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

pub use watch::Unfinished;

/// Has `work` fill a hidden folder beside `folder`, which is new or empty, and renames it when it is done. A
/// killed run's leftovers are replaced; a run that is stopped by Ctrl-C leaves none.
///
/// # Errors
/// Those of `work`, after which nothing is left, and when a folder cannot be made, is not empty, or is being filled by
/// another process.
pub fn fill<T>(folder: &Path, work: impl FnOnce(&Path) -> anyhow::Result<T>) -> anyhow::Result<T> {
    // What no folder can take the place of (`.`, a mount point, a link) is filled where it is.
    let given = folder.exists() && std::fs::remove_dir(folder).is_err();
    let Some(part) = part_of(folder).filter(|_| !given) else {
        let mut there = std::fs::read_dir(folder)
            .with_context(|| format!("cannot read {}", folder.display()))?;
        // Another process may have filled it since the caller looked.
        ensure!(
            there.next().is_none(),
            "{} is not empty: name a new folder",
            folder.display()
        );
        return work(folder);
    };
    let unfinished = Unfinished::folder(&part, folder)?;
    let result = work(&part)?;
    let named = unfinished.finish();
    named.with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(result)
}

/// `.NAME.hone-part`: a name that nobody gives to something that must stay.
fn part_of(folder: &Path) -> Option<PathBuf> {
    let name = folder.file_name()?.to_string_lossy();
    Some(folder.with_file_name(format!(".{name}.hone-part")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_whole_or_not_there() {
        let base = tempfile::tempdir().unwrap();
        let (out, part) = (
            base.path().join("a/out"),
            base.path().join("a/.out.hone-part"),
        );
        let failed: anyhow::Result<()> = fill(&out, |place| {
            std::fs::write(place.join("one"), b"1")?;
            anyhow::bail!("no more");
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert!(!out.exists() && !part.exists());

        // What a killed run left, and an empty folder in place.
        std::fs::create_dir_all(&out).unwrap();
        std::fs::create_dir(&part).unwrap();
        std::fs::write(part.join("old"), b"0").unwrap();
        fill(&out, |place| {
            assert!(place == part && !out.exists());
            std::fs::write(place.join("one"), b"1")?;
            let second = fill(&out, |_| Ok(())).unwrap_err().to_string();
            assert!(second.contains("is being written by another"), "{second}");
            Ok(())
        })
        .unwrap();
        assert!(out.join("one").exists() && !out.join("old").exists() && !part.exists());

        let error = fill(&out, |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("is not empty"), "{error}");

        // A link cannot be replaced by a folder.
        let link = base.path().join("link");
        std::fs::create_dir(base.path().join("target")).unwrap();
        std::os::unix::fs::symlink("target", &link).unwrap();
        fill(&link, |place| Ok(std::fs::write(place.join("one"), b"1")?)).unwrap();
        assert!(base.path().join("target/one").exists());
    }
}

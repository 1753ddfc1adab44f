//! The files under a folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::links::{CLOSED, Folders};
use super::{Problem, slashed};
use crate::data::{clips, read};

/// The reason for a video.
const VIDEO: &str = "a video: take its frames with `hone data index FOLDER --frames OUT`";

/// Files under a root, sorted, relative to it.
#[derive(Default)]
pub(super) struct Found {
    pub(super) pictures: Vec<PathBuf>,
    pub(super) lists: Vec<PathBuf>,
    pub(super) problems: Vec<Problem>,
}

/// Collects all files.
pub(super) fn walk(root: &Path) -> anyhow::Result<Found> {
    if root.is_file() && clips::is_clip(root) {
        bail!(
            "{} is a video: take its frames with `hone data index {0} --frames OUT`, and use OUT",
            root.display()
        );
    }
    if !root.is_dir() {
        bail!("{} is no folder", root.display());
    }
    let mut found = Found::default();
    let mut folders = Folders::under(root);
    while let Some(folder) = folders.next(&mut found.problems)? {
        match list(root, &folder, &mut folders, &mut found) {
            // The system's own `lost+found`, say.
            Err(_) if folder != Path::new("") => found.problems.push(Problem {
                path: slashed(&folder),
                reason: CLOSED.to_owned(),
            }),
            read => read.with_context(|| format!("cannot read {}", root.display()))?,
        }
    }
    let videos = found.problems.iter().filter(|p| p.reason == VIDEO).count();
    if found.pictures.is_empty() && videos > 0 {
        bail!(
            "{} holds {} videos and no pictures: take their frames with `hone data index {0} --frames OUT`, \
             and use OUT",
            root.display(),
            videos
        );
    }
    found.pictures.sort();
    found.lists.sort();
    Ok(found)
}

/// Sorts what lies in one folder.
fn list(
    root: &Path,
    folder: &Path,
    folders: &mut Folders,
    found: &mut Found,
) -> std::io::Result<()> {
    let full = root.join(folder);
    for entry in std::fs::read_dir(&full)? {
        let entry = entry?;
        let name = entry.file_name();
        let path = folder.join(&name);
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        let mut leave = |reason: &str| {
            found.problems.push(Problem {
                path: slashed(&path),
                reason: reason.to_owned(),
            });
        };
        let kind = entry.file_type()?;
        if path.to_str().is_none() {
            // An index is text.
            leave("its name is not UTF-8");
            continue;
        }
        if kind.is_dir() {
            folders.add(path);
            continue;
        }
        if kind.is_symlink() && full.join(&name).is_dir() {
            folders.add_link(path);
            continue;
        }
        if read::is_picture(&path) {
            found.pictures.push(path);
        } else if clips::is_clip(&path) {
            leave(VIDEO);
        } else if path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("txt"))
        {
            found.lists.push(path);
        }
    }
    Ok(())
}

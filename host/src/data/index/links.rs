//! Folders to be walked, each of them once, however many links lead to it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Problem, slashed};

/// The reason for a folder that may not be read.
pub(super) const CLOSED: &str = "cannot be opened";
const AGAIN: &str = "a folder whose pictures are counted already, under another name";
/// Following a link to `/` would walk the whole machine.
const ABOVE: &str = "a link to a folder that holds this whole one";

/// What is still to be walked, and what has been.
pub(super) struct Folders<'a> {
    root: &'a Path,
    real: Vec<PathBuf>,
    /// They wait until no real folder is left, in order: what is walked under which name must not depend on
    /// the file system.
    links: BTreeSet<PathBuf>,
    /// Without links.
    walked: BTreeSet<PathBuf>,
}

impl<'a> Folders<'a> {
    pub(super) fn under(root: &'a Path) -> Self {
        Self {
            root,
            real: vec![PathBuf::new()],
            links: BTreeSet::new(),
            walked: BTreeSet::new(),
        }
    }

    /// A folder, relative to the root.
    pub(super) fn add(&mut self, folder: PathBuf) {
        self.real.push(folder);
    }

    /// A link to a folder.
    pub(super) fn add_link(&mut self, link: PathBuf) {
        self.links.insert(link);
    }

    /// The next folder to walk; the ones not to be walked are problems.
    pub(super) fn next(&mut self, problems: &mut Vec<Problem>) -> anyhow::Result<Option<PathBuf>> {
        let root = std::fs::canonicalize(self.root)
            .with_context(|| format!("cannot read {}", self.root.display()))?;
        while let Some(folder) = self.real.pop().or_else(|| self.links.pop_first()) {
            let reason = match std::fs::canonicalize(self.root.join(&folder)) {
                Err(_) => CLOSED,
                Ok(real) if real != root && root.starts_with(&real) => ABOVE,
                Ok(real) => match self.walked.insert(real) {
                    true => return Ok(Some(folder)),
                    false => AGAIN,
                },
            };
            problems.push(Problem {
                path: slashed(&folder),
                reason: reason.to_owned(),
            });
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::walk::walk;
    use super::*;

    /// Empty files and links, and what is found of them.
    fn found(files: &[&str], links: &[(&str, &str)]) -> (Vec<String>, Vec<(String, String)>) {
        let place = tempfile::tempdir().unwrap();
        let at = |path: &str| place.path().join(path);
        for file in files {
            std::fs::create_dir_all(at(file).parent().unwrap()).unwrap();
            std::fs::write(at(file), b"").unwrap();
        }
        for (link, target) in links {
            symlink(at(target), at(link)).unwrap();
        }
        let found = walk(&at("ds")).unwrap();
        let problems = found.problems.into_iter().map(|p| (p.path, p.reason));
        (
            found.pictures.iter().map(|p| slashed(p)).collect(),
            problems.collect(),
        )
    }

    #[test]
    fn a_link_into_a_hidden_folder_is_followed() {
        let files = ["ds/own.png", "ds/.store/z/1.png", "ds/.store/2.png"];
        let (pictures, problems) = found(&files, &[("ds/hidden", "ds/.store/z")]);
        assert_eq!(pictures, ["hidden/1.png", "own.png"]);
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn of_a_folder_that_is_partly_walked_the_rest_is_walked() {
        let files = ["ds/own.png", "x/1.png", "x/y/2.png", "x/y/z/3.png"];
        let links = [("ds/adeep", "x/y"), ("ds/zwhole", "x")];
        let (pictures, problems) = found(&files, &links);
        let right = ["adeep/2.png", "adeep/z/3.png", "own.png", "zwhole/1.png"];
        assert_eq!(pictures, right);
        assert_eq!(problems, [("zwhole/y".to_owned(), AGAIN.to_owned())]);
    }

    #[test]
    fn a_folder_that_cannot_be_opened_is_told_and_the_rest_is_walked() {
        let place = tempfile::tempdir().unwrap();
        let mut folders = Folders::under(place.path());
        folders.add("gone".into());
        let mut problems = Vec::new();
        let next = folders.next(&mut problems).unwrap();
        assert_eq!(next.as_deref(), Some(Path::new("")));
        assert_eq!(
            (problems[0].path.as_str(), CLOSED),
            ("gone", problems[0].reason.as_str())
        );
        assert!(
            Folders::under(&place.path().join("gone"))
                .next(&mut problems)
                .is_err()
        );

        let closed = place.path().join("lost+found");
        std::fs::create_dir(&closed).unwrap();
        std::fs::write(place.path().join("1.png"), b"").unwrap();
        let allow = |mode| std::fs::set_permissions(&closed, PermissionsExt::from_mode(mode));
        allow(0).unwrap();
        let found = walk(place.path()).unwrap();
        // Root may read everything.
        let told = usize::from(std::fs::read_dir(&closed).is_err());
        allow(0o700).unwrap();
        assert_eq!((found.pictures.len(), found.problems.len()), (1, told));
    }

    #[test]
    fn real_folders_come_before_links_and_what_holds_all_is_not_walked() {
        let files = ["ds/real/1.png", "x/2.png"];
        let links = [("ds/all", "ds/real"), ("ds/up", ""), ("x/back", "ds/real")];
        let (pictures, problems) = found(&files, &links);
        assert_eq!(pictures, ["real/1.png"]);
        let right = [("all", AGAIN), ("up", ABOVE)].map(|(p, r)| (p.to_owned(), r.to_owned()));
        assert_eq!(problems, right);
    }
}

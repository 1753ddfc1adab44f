//! Whether a board's configuration lets what a deploy brings run at all.

use std::path::Path;

use anyhow::{Result, ensure};
use hone_shared::config::{Config, SLOTS_FOLDER};

/// Checks the configuration in `file`, or that which a board has, for one to install below `root`.
///
/// # Errors
/// The key that has honed run something else than the slots that a deploy fills.
pub fn check(config: &Config, root: &str, file: Option<&Path>) -> Result<()> {
    let (whose, or) = match file {
        Some(file) => (file.display().to_string(), ""),
        None => (
            "the board's configuration".into(),
            " or deploy with --config",
        ),
    };
    let bundle = &config.student.bundle;
    ensure!(
        bundle.is_empty(),
        "{whose} names a bundle of its own, {bundle}: empty student.bundle{or}"
    );
    let (theirs, ours) = (&config.slots.folder, format!("{root}{SLOTS_FOLDER}"));
    ensure!(
        theirs.trim_end_matches('/') == ours,
        "{whose} has its slots in {theirs}, a deploy fills those in {ours}: change slots.folder{or}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_runs_something_else_is_refused() {
        let checked = |text: &str, root: &str| {
            let checked = check(
                &Config::parse(text).unwrap(),
                root,
                Some(Path::new("x.toml")),
            );
            checked.map_err(|error| error.to_string())
        };
        checked("", "").unwrap();
        checked("slots.folder = '/var/lib/honed/'", "").unwrap();
        checked("slots.folder = '/srv/var/lib/honed'", "/srv").unwrap();
        let error = checked("student.bundle = '/b.hone'", "").unwrap_err();
        assert!(error.starts_with("x.toml names a bundle of its own, /b.hone"));
        for (text, root) in [("slots.folder = '/data'", ""), ("", "/srv")] {
            let error = checked(text, root).unwrap_err();
            assert!(error.contains("change slots.folder"), "{error}");
        }
    }
}

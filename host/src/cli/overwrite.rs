//! Outputs that would take the place of an input or of another output.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use hone_device::place::Place;

use crate::train::run::RunFolder;

/// Refuses to write `output` where one of `others` lies.
///
/// # Errors
/// When they are one file, under whatever names.
pub fn refuse<'a>(output: &Path, others: impl IntoIterator<Item = &'a Path>) -> anyhow::Result<()> {
    let place = Place::of(output);
    for other in others {
        ensure!(
            !place.is(&Place::of(other)),
            "the output {} would overwrite {}: name another file",
            output.display(),
            other.display()
        );
    }
    Ok(())
}

/// Refuses an `output` that could not be written, before the work that makes it.
///
/// # Errors
/// When it is a folder, or its folder is not there.
pub fn refuse_nowhere(output: &Path) -> anyhow::Result<()> {
    ensure!(
        !output.is_dir(),
        "{} is a folder: name a file",
        output.display()
    );
    let folder = output.parent().filter(|f| !f.as_os_str().is_empty());
    ensure!(
        folder.is_none_or(Path::is_dir),
        "{}: its folder does not exist; create it first",
        output.display()
    );
    Ok(())
}

/// Refuses to write `output` in place of what a training left in `run`.
///
/// # Errors
/// When it is one of the run's files, under whatever name.
pub fn refuse_run(output: &Path, run: &Path) -> anyhow::Result<()> {
    let files = RunFolder::files(run);
    refuse(output, files.iter().map(PathBuf::as_path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_whatever_they_are_called() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("key"), b"secret").unwrap();
        std::fs::create_dir(at("below")).unwrap();
        std::os::unix::fs::symlink(at("key"), at("link")).unwrap();
        for (output, other) in [
            ("key", "key"),
            ("link", "key"),
            ("below/../key", "key"),
            ("below/../new", "new"),
        ] {
            let error = refuse(&at(output), [at(other).as_path()]).unwrap_err();
            assert!(error.to_string().contains("overwrite"), "{error}");
        }
        for output in ["new", "below/key", "nowhere/key"] {
            refuse(&at(output), [at("key").as_path(), &at("other")]).unwrap();
        }
    }

    #[test]
    fn no_output_takes_the_place_of_a_runs_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        // Not yet there, or kept after an epoch.
        std::fs::write(at("epoch-0010.safetensors"), b"").unwrap();
        for name in [
            "run.json",
            "recipe.toml",
            "best.safetensors",
            "last.safetensors",
            "log.jsonl",
            "log.csv",
            "epoch-0010.safetensors",
        ] {
            let error = refuse_run(&at(name), folder.path()).unwrap_err();
            assert!(error.to_string().contains("overwrite"), "{error}");
        }
        refuse_run(&at("student.onnx"), folder.path()).unwrap();
    }
}

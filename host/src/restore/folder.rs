//! The image files of folders, and which of two folders belong together.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use hone_shared::order;

use crate::data::read::is_picture;

/// The image files of a folder, sorted by name, numbers as numbers.
///
/// # Errors
/// When the folder cannot be read or holds no image.
pub fn images_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    Ok(sorted_out(folder)?.0)
}

/// The image files of a folder, and its other files; each sorted by name, numbers as numbers.
///
/// # Errors
/// When the folder cannot be read or holds no image.
pub fn sorted_out(folder: &Path) -> anyhow::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort_by(|a, b| order::paths(a, b));
    let (images, others): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| is_picture(path));
    if images.is_empty() {
        bail!(
            "{} holds no image (.png, .jpg, .bmp, .tif, .webp)",
            folder.display()
        );
    }
    Ok((images, others))
}

/// Pairs the images of two folders, sorted by name: each with the file of its full name, else with the
/// one of its stem.
///
/// # Errors
/// When a folder cannot be read, an image has no partner, or several could be meant.
pub fn paired_images(
    reference: &Path,
    distorted: &Path,
) -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    let (left, right) = (images_in(reference)?, images_in(distorted)?);
    if left.len() != right.len() {
        bail!(
            "{} holds {} images, {} holds {}: each needs a partner of the same name",
            reference.display(),
            left.len(),
            distorted.display(),
            right.len()
        );
    }
    let partner = |path: &PathBuf| -> anyhow::Result<PathBuf> {
        let same_name = |other: &&PathBuf| other.file_name() == path.file_name();
        if let Some(other) = right.iter().find(same_name) {
            return Ok(other.clone());
        }
        let stem = path.file_stem().unwrap_or_default();
        for (folder, paths) in [(reference, &left), (distorted, &right)] {
            if paths.iter().filter(|p| p.file_stem() == Some(stem)).count() > 1 {
                bail!(
                    "two pictures of {} are called '{}', and {} has no partner of its full name: rename them",
                    folder.display(),
                    stem.to_string_lossy(),
                    path.display()
                );
            }
        }
        let other = right.iter().find(|other| other.file_stem() == Some(stem));
        other.cloned().with_context(|| {
            format!(
                "{} has no partner of the same name in {}",
                path.display(),
                distorted.display()
            )
        })
    };
    left.iter()
        .map(|path| Ok((path.clone(), partner(path)?)))
        .collect()
}

//! Restoring pictures, folders and videos on the workstation, through the board's own engine.

mod codec;
mod photo;
mod student;
mod teacher;
mod tiff_file;
pub mod tiles;
pub mod video;
mod y4m;

pub use photo::Photo;
pub use student::Student;
pub use teacher::TeacherRestorer;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::picture::Picture;

/// Anything that turns a degraded picture into a better one of the same shape.
pub trait Restore {
    /// What tables call it.
    fn name(&self) -> String;

    /// Restores a picture (1 or 3 channels, 0..1). The result lies on the byte grid when the method
    /// works on bytes, and is clamped to 0..1 in any case.
    ///
    /// # Errors
    /// When the picture has planes that the method cannot take, or inference fails.
    fn restore(&mut self, input: &Picture) -> anyhow::Result<Picture>;

    /// Says whether the pictures that come are consecutive frames, the next one being the first; without,
    /// each stands for itself. Nothing to methods that see single pictures.
    fn follow(&mut self, _sequence: bool) {}

    /// Restores interleaved bytes of 1 or 3 channels.
    ///
    /// # Errors
    /// As [`Self::restore`].
    fn restore_bytes(
        &mut self,
        channels: usize,
        width: usize,
        height: usize,
        bytes: &[u8],
    ) -> anyhow::Result<Vec<u8>> {
        let picture = Picture::from_bytes(channels, height, width, bytes);
        Ok(self.restore(&picture)?.to_bytes())
    }

    /// Whether a picture of luma alone may be given.
    fn takes_luma(&self) -> bool {
        false
    }

    /// Time the last [`Self::restore`] spent on inference alone, where it is measured.
    fn elapsed(&self) -> Option<std::time::Duration> {
        None
    }

    /// Multiply-accumulates per pixel, where known.
    fn macs_per_pixel(&self) -> Option<f64> {
        None
    }

    /// Weights and biases, where known.
    fn parameters(&self) -> Option<usize> {
        None
    }

    /// Bytes of the model file, where there is one.
    fn file_bytes(&self) -> Option<u64> {
        None
    }
}

/// Endings of the image files that folders are searched for.
const IMAGE_ENDINGS: [&str; 7] = ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp"];

/// Whether the ending is one of an image file.
pub fn is_image(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| IMAGE_ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

/// The image files of a folder, sorted by name.
///
/// # Errors
/// When the folder cannot be read or holds no image.
pub fn images_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_file() && is_image(&path) {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        bail!(
            "{} holds no image (.png, .jpg, .bmp, .tif, .webp)",
            folder.display()
        );
    }
    paths.sort();
    Ok(paths)
}

/// Pairs the images of two folders by file stem, sorted by name.
///
/// # Errors
/// When a folder cannot be read or an image has no partner.
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
    let mut pairs = Vec::with_capacity(left.len());
    for path in left {
        let partner = right
            .iter()
            .find(|other| other.file_stem() == path.file_stem())
            .with_context(|| {
                format!(
                    "{} has no partner of the same name in {}",
                    path.display(),
                    distorted.display()
                )
            })?;
        pairs.push((path, partner.clone()));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests;

//! Restoring pictures, folders and videos on the workstation, through the board's own engine.

mod codec;
mod folder;
mod photo;
mod student;
mod teacher;
mod tiff_file;
pub mod tiles;
pub mod video;
mod y4m;

pub use folder::{images_in, paired_images, sorted_out};
pub use photo::Photo;
pub use student::Student;
pub use teacher::TeacherRestorer;
pub(crate) use tiff_file::pictures as pictures_of_tiff;

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

    /// Whether [`Self::follow`] makes a difference.
    fn is_temporal(&self) -> bool {
        false
    }

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

    /// What it computes on, if not on the processor.
    fn device(&self) -> Option<String> {
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

#[cfg(test)]
mod tests;

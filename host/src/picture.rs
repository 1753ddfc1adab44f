//! A picture in memory: planar f32 samples in 0..1.

use std::path::Path;

use anyhow::Context;
use image::DynamicImage;

use crate::data::read;

/// Planar samples `[C,H,W]`, 0..1 (not clamped), C = 1 (luma) or 3 (R, G, B; sRGB-coded).
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// 1 or 3.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// `channels * height * width` samples, plane after plane.
    pub data: Vec<f32>,
}

/// A sample as a whole number of bytes, clamped to 0..255, half to even.
pub(crate) fn nearest_byte(sample: f32) -> f32 {
    // Adding and taking away 2^23 rounds like `round_ties_even`, which is a slow call where the processor's
    // rounding instruction may not be taken for granted.
    const SHIFT: f32 = 8_388_608.0;
    (sample.clamp(0.0, 1.0) * 255.0 + SHIFT) - SHIFT
}

impl Picture {
    /// A black picture.
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        Self {
            channels,
            height,
            width,
            data: vec![0.0; channels * height * width],
        }
    }

    /// Takes interleaved bytes (row by row, `channels` bytes a pixel).
    pub fn from_bytes(channels: usize, height: usize, width: usize, bytes: &[u8]) -> Self {
        let plane = height * width;
        let mut data = vec![0.0; channels * plane];
        for (i, pixel) in bytes.chunks_exact(channels).take(plane).enumerate() {
            for (c, &byte) in pixel.iter().enumerate() {
                data[c * plane + i] = f32::from(byte) / 255.0;
            }
        }
        Self {
            channels,
            height,
            width,
            data,
        }
    }

    /// Gives interleaved bytes: clamped to 0..1, times 255, rounded half to even.
    pub fn to_bytes(&self) -> Vec<u8> {
        let plane = self.height * self.width;
        let mut bytes = vec![0; self.data.len()];
        for (i, pixel) in bytes.chunks_exact_mut(self.channels).enumerate() {
            for (c, byte) in pixel.iter_mut().enumerate() {
                *byte = nearest_byte(self.data[c * plane + i]) as u8;
            }
        }
        bytes
    }

    /// Rounds every sample to the nearest of the 256 that a byte can tell.
    pub fn round_to_bytes(&mut self) {
        for v in &mut self.data {
            *v = nearest_byte(*v) / 255.0;
        }
    }

    /// Reads an image file as RGB, turned as EXIF says, by the one road that all pictures take
    /// ([`read::decode`]).
    ///
    /// # Errors
    /// When the file is missing, no image, cut off, damaged, transparent anywhere, or too large.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        Ok(read::photo(path)?.picture())
    }

    /// Writes a PNG or JPEG by the file's ending, whole or not at all.
    ///
    /// # Errors
    /// When the ending is unknown or the file cannot be written.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let format = image::ImageFormat::from_path(path).with_context(|| {
            format!("{}: unknown image ending; use .png or .jpg", path.display())
        })?;
        let bytes = self.encode(format)?;
        Ok(hone_device::atomic::write_bytes(path, &bytes)?)
    }

    /// The bytes of an image file.
    ///
    /// # Errors
    /// When the format cannot hold the picture.
    pub fn encode(&self, format: image::ImageFormat) -> anyhow::Result<Vec<u8>> {
        let (width, height) = (u32::try_from(self.width)?, u32::try_from(self.height)?);
        let bytes = self.to_bytes();
        let image = match self.channels {
            1 => image::GrayImage::from_raw(width, height, bytes).map(DynamicImage::from),
            _ => image::RgbImage::from_raw(width, height, bytes).map(DynamicImage::from),
        }
        .context("the picture's samples do not fit its size")?;
        let mut encoded = std::io::Cursor::new(Vec::new());
        image.write_to(&mut encoded, format)?;
        Ok(encoded.into_inner())
    }

    /// BT.601 full-range luma `0.299 R + 0.587 G + 0.114 B`, as JPEG and most cameras deliver it.
    pub fn luma(&self) -> Self {
        if self.channels == 1 {
            return self.clone();
        }
        let plane = self.height * self.width;
        let (r, rest) = self.data.split_at(plane);
        let (g, b) = rest.split_at(plane);
        let data = r
            .iter()
            .zip(g)
            .zip(b)
            .map(|((r, g), b)| 0.299 * r + 0.587 * g + 0.114 * b);
        Self {
            channels: 1,
            height: self.height,
            width: self.width,
            data: data.collect(),
        }
    }

    /// The rectangle of `height` x `width` pixels at (`top`, `left`), which must lie inside.
    pub fn crop(&self, top: usize, left: usize, height: usize, width: usize) -> Self {
        let mut data = Vec::with_capacity(self.channels * height * width);
        for c in 0..self.channels {
            for y in top..top + height {
                let start = (c * self.height + y) * self.width + left;
                data.extend_from_slice(&self.data[start..start + width]);
            }
        }
        Self {
            channels: self.channels,
            height,
            width,
            data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_round_trip() {
        let bytes: Vec<u8> = (0..3 * 7 * 5).map(|i| (i * 37 % 256) as u8).collect();
        let picture = Picture::from_bytes(3, 7, 5, &bytes);
        assert_eq!(picture.to_bytes(), bytes);
        assert_eq!(picture.crop(2, 1, 3, 4).data[0], picture.data[2 * 5 + 1]);
    }

    #[test]
    fn pictures_are_turned_and_half_ones_refused() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
        let load = |name: &str| Picture::load(&fixtures.join(name));
        let plain = load("plain.png").unwrap();
        for number in [3, 6] {
            let turned = load(&format!("orientation{number}.jpg")).unwrap();
            assert_eq!((turned.width, turned.height), (plain.width, plain.height));
            assert!(crate::metric::l1(&plain, &turned).unwrap() < 0.03);
        }
        let error = format!("{:#}", load("transparent.png").unwrap_err());
        assert!(
            error.contains("transparent.png: has transparent"),
            "{error}"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        let bytes = std::fs::read(fixtures.join("orientation1.jpg")).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let error = format!("{:#}", Picture::load(&path).unwrap_err());
        assert!(error.contains("cut off"), "{error}");
    }

    #[test]
    fn a_truncated_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        Picture::new(3, 8, 8).save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let error = format!("{:#}", Picture::load(&path).unwrap_err());
        assert!(
            error.contains("a.png") && error.contains("damaged"),
            "{error}"
        );
        let error = format!(
            "{:#}",
            Picture::load(&folder.path().join("b.png")).unwrap_err()
        );
        assert!(error.contains("cannot be opened"), "{error}");
    }
}

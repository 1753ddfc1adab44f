//! Image files with everything that has to survive a restoration: bit depth, alpha, ICC, EXIF.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use image::codecs::webp::WebPEncoder;
use image::codecs::{bmp::BmpEncoder, jpeg::JpegEncoder, png::PngEncoder};
use image::{DynamicImage, ImageDecoder, ImageEncoder, ImageFormat, ImageReader};

use super::tiff_file::{self, Fields};

/// Longest side accepted, in pixels.
const MAX_SIDE: u32 = 32_768;
/// JPEG quality of restored photos: about what cameras write.
const JPEG_QUALITY: u8 = 95;

/// An image file in memory.
#[derive(Debug, Clone)]
pub struct Photo {
    image: DynamicImage,
    icc: Option<Vec<u8>>,
    exif: Option<Vec<u8>>,
    /// What a TIFF file says beside its samples, EXIF among it.
    fields: Arc<Fields>,
}

impl Photo {
    /// Reads an image file.
    ///
    /// # Errors
    /// When the file is missing, no image, damaged, larger than 32,768 pixels on a side, or of
    /// floating-point samples.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let named = || {
            format!(
                "cannot decode {}: no image, or a damaged one",
                path.display()
            )
        };
        let mut reader = ImageReader::open(path)
            .with_context(|| format!("cannot open {}", path.display()))?
            .with_guessed_format()
            .with_context(|| format!("cannot read {}", path.display()))?;
        let mut limits = image::Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        reader.limits(limits);
        let tiff = reader.format() == Some(ImageFormat::Tiff);
        let mut decoder = reader.into_decoder().with_context(named)?;
        // Metadata that cannot be read is lost with a photo that still can.
        let icc = decoder.icc_profile().unwrap_or_default();
        let exif = decoder.exif_metadata().unwrap_or_default();
        let image = DynamicImage::from_decoder(decoder).with_context(named)?;
        if matches!(
            image,
            DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_)
        ) {
            bail!(
                "{} has floating-point samples; convert it to 8 or 16 bits first",
                path.display()
            );
        }
        let fields = match tiff {
            true => Fields::read(path).unwrap_or_default(),
            false => Fields::default(),
        };
        Ok(Self {
            image,
            icc: icc.or_else(|| fields.icc.clone()),
            exif,
            fields: Arc::new(fields),
        })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.image.width() as usize
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.image.height() as usize
    }

    /// Interleaved 8-bit RGB, without alpha.
    pub fn rgb(&self) -> Vec<u8> {
        self.image.to_rgb8().into_raw()
    }

    /// Puts restored RGB in place of `before`, what [`Self::rgb`] gave. 16-bit samples are moved by
    /// the 8-bit difference, so that they keep what a byte cannot hold; grey takes the mean of the
    /// three differences; alpha stays.
    pub fn apply(&mut self, before: &[u8], after: &[u8]) {
        let difference =
            |i: usize, c: usize| i32::from(after[3 * i + c]) - i32::from(before[3 * i + c]);
        let grey = |i: usize| (difference(i, 0) + difference(i, 1) + difference(i, 2)) / 3;
        let byte =
            |sample: &mut u8, add: i32| *sample = (i32::from(*sample) + add).clamp(0, 255) as u8;
        let word = |sample: &mut u16, add: i32| {
            *sample = (i32::from(*sample) + 257 * add).clamp(0, 65_535) as u16;
        };
        macro_rules! each {
            ($image:expr, $set:expr, colour) => {
                for (i, pixel) in $image.pixels_mut().enumerate() {
                    (0..3).for_each(|c| $set(&mut pixel.0[c], difference(i, c)));
                }
            };
            ($image:expr, $set:expr, grey) => {
                for (i, pixel) in $image.pixels_mut().enumerate() {
                    $set(&mut pixel.0[0], grey(i));
                }
            };
        }
        match &mut self.image {
            DynamicImage::ImageLuma8(image) => each!(image, byte, grey),
            DynamicImage::ImageLumaA8(image) => each!(image, byte, grey),
            DynamicImage::ImageRgb8(image) => each!(image, byte, colour),
            DynamicImage::ImageRgba8(image) => each!(image, byte, colour),
            DynamicImage::ImageLuma16(image) => each!(image, word, grey),
            DynamicImage::ImageLumaA16(image) => each!(image, word, grey),
            DynamicImage::ImageRgb16(image) => each!(image, word, colour),
            DynamicImage::ImageRgba16(image) => each!(image, word, colour),
            // `load` refuses every other layout.
            _ => {}
        }
    }

    /// Writes the photo by the file's ending, whole or not at all, with ICC and EXIF where the
    /// format has them (PNG, JPEG, WebP; TIFF's fields go into TIFF files only) and 16 bits where it
    /// can (PNG, TIFF).
    ///
    /// # Errors
    /// When the ending is unknown or the file cannot be written.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let format = ImageFormat::from_path(path)
            .with_context(|| format!("{}: unknown image ending", path.display()))?;
        let mut encoded = std::io::Cursor::new(Vec::new());
        let image = match format {
            ImageFormat::Png | ImageFormat::Tiff => self.image.clone(),
            ImageFormat::Jpeg if self.image.color().has_color() => self.image.to_rgb8().into(),
            ImageFormat::Jpeg => self.image.to_luma8().into(),
            _ if self.image.color().has_alpha() => self.image.to_rgba8().into(),
            _ => self.image.to_rgb8().into(),
        };
        let writer = &mut encoded;
        match format {
            ImageFormat::Png => self.encode(PngEncoder::new(writer), &image)?,
            ImageFormat::Jpeg => {
                self.encode(JpegEncoder::new_with_quality(writer, JPEG_QUALITY), &image)?;
            }
            ImageFormat::WebP => self.encode(WebPEncoder::new_lossless(writer), &image)?,
            ImageFormat::Bmp => self.encode(BmpEncoder::new(writer), &image)?,
            ImageFormat::Tiff => {
                let file = tiff_file::encode(&image, self.icc.as_deref(), &self.fields)?;
                return Ok(hone_device::atomic::write_bytes(path, &file)?);
            }
            _ => bail!("{}: use .png, .jpg, .tif, .webp or .bmp", path.display()),
        }
        Ok(hone_device::atomic::write_bytes(path, encoded.get_ref())?)
    }

    fn encode(&self, mut encoder: impl ImageEncoder, image: &DynamicImage) -> anyhow::Result<()> {
        // An encoder refuses what its format has no place for.
        if let Some(icc) = &self.icc {
            let _ = encoder.set_icc_profile(icc.clone());
        }
        if let Some(exif) = &self.exif {
            let _ = encoder.set_exif_metadata(exif.clone());
        }
        Ok(image.write_with_encoder(encoder)?)
    }
}

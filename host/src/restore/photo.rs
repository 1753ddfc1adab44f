//! Image files with everything that has to survive a restoration: bit depth, alpha, ICC, EXIF.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use image::codecs::webp::WebPEncoder;
use image::codecs::{bmp::BmpEncoder, jpeg::JpegEncoder, png::PngEncoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageEncoder, ImageError, ImageFormat, ImageReader};

use super::tiff_file::{self, Fields};
use crate::data::read::{self, Unusable};

/// JPEG quality of restored photos: about what cameras write.
const JPEG_QUALITY: u8 = 95;
/// A segment of JPEG is 65,535 bytes at most; its length and the word `Exif` take eight.
const MOST_EXIF_OF_JPEG: usize = 65_527;

/// An image file in memory.
#[derive(Debug, Clone)]
pub struct Photo {
    image: DynamicImage,
    icc: Option<Vec<u8>>,
    exif: Option<Vec<u8>>,
    /// How the samples are to be turned.
    orientation: Orientation,
    /// What a TIFF file says beside its samples, EXIF among it.
    fields: Arc<Fields>,
}

impl Photo {
    /// Reads an image file.
    ///
    /// # Errors
    /// When the file is missing, no image, damaged, cut off, larger than 32,768 pixels on a side or 1 GiB, of
    /// floating-point samples, or holds several pictures, of which the first alone would be restored.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let named = |error| match error {
            ImageError::Limits(_) => anyhow!("{} {}", path.display(), Unusable::TooLarge),
            error => anyhow::Error::new(error).context(format!(
                "cannot decode {}: no image, or a damaged one",
                path.display()
            )),
        };
        let mut reader = ImageReader::open(path)
            .with_context(|| format!("cannot open {}", path.display()))?
            .with_guessed_format()
            .with_context(|| format!("cannot read {}", path.display()))?;
        reader.limits(read::limits());
        let format = reader.format();
        if format == Some(ImageFormat::Gif) {
            bail!(
                "{} is a GIF: make a PNG of a still picture, a video of an animation",
                path.display()
            );
        }
        if let Some(several) = format.and_then(|format| read::several(path, format)) {
            bail!("{} {several}", path.display());
        }
        let tiff = format == Some(ImageFormat::Tiff);
        let mut decoder = reader.into_decoder().map_err(named)?;
        // Metadata that cannot be read is lost with a photo that still can.
        let icc = decoder.icc_profile().unwrap_or_default();
        let exif = decoder.exif_metadata().unwrap_or_default();
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        read::bounded(&decoder).map_err(|e| anyhow!("{} {e}", path.display()))?;
        let image = match format {
            // This decoder fills what a cut-off file lacks with grey.
            Some(ImageFormat::Jpeg) => read::jpeg_as_stored(path)
                .with_context(|| format!("cannot use {}", path.display()))?,
            _ => DynamicImage::from_decoder(decoder).map_err(named)?,
        };
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
            orientation,
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
    /// can (PNG, TIFF). Where the file cannot say how the picture is to be turned, its samples are. A profile of other
    /// colours than are written, such as that of a CMYK file, would show them wrongly: it is left out, as is more EXIF than
    /// a JPEG file has place for, and what comes back says so.
    ///
    /// # Errors
    /// When the ending is unknown or the file cannot be written.
    pub fn save(&self, path: &Path) -> anyhow::Result<Option<String>> {
        let format = match path.extension() {
            Some(ending) if ending.eq_ignore_ascii_case("jpe") => ImageFormat::Jpeg,
            _ => ImageFormat::from_path(path)
                .with_context(|| format!("{}: unknown image ending", path.display()))?,
        };
        let mut encoded = std::io::Cursor::new(Vec::new());
        let mut image = match format {
            ImageFormat::Png => self.image.clone(),
            ImageFormat::Tiff => tiff_file::fitting(&self.image),
            ImageFormat::Jpeg if self.image.color().has_color() => self.image.to_rgb8().into(),
            ImageFormat::Jpeg => self.image.to_luma8().into(),
            _ if self.image.color().has_alpha() => self.image.to_rgba8().into(),
            _ => self.image.to_rgb8().into(),
        };
        let exif = self.exif_for(format);
        if !self.orientation_stays(format, exif) {
            image.apply_orientation(self.orientation);
        }
        let (icc, mut lost) = self.profile_for(&image, path);
        if format == ImageFormat::Jpeg && exif.is_none() && self.exif.is_some() {
            let less = lost.map_or_else(
                || format!("{} is written", path.display()),
                |lost| lost + ", and",
            );
            lost = Some(format!(
                "{less} without the EXIF of its original, which is more than a JPEG file has place for"
            ));
        }
        let writer = &mut encoded;
        match format {
            ImageFormat::Png => encode(PngEncoder::new(writer), &image, icc, exif)?,
            ImageFormat::Jpeg => {
                let encoder = JpegEncoder::new_with_quality(writer, JPEG_QUALITY);
                encode(encoder, &image, icc, exif)?;
            }
            ImageFormat::WebP => encode(WebPEncoder::new_lossless(writer), &image, icc, exif)?,
            ImageFormat::Bmp => encode(BmpEncoder::new(writer), &image, icc, exif)?,
            ImageFormat::Tiff => {
                let file = tiff_file::encode(&image, icc, &self.fields)?;
                hone_device::atomic::write_bytes(path, &file)?;
                return Ok(lost);
            }
            _ => bail!("{}: use .png, .jpg, .tif, .webp or .bmp", path.display()),
        }
        hone_device::atomic::write_bytes(path, encoded.get_ref())?;
        Ok(lost)
    }

    /// The EXIF that goes into a file of this format; TIFF's is among its fields.
    fn exif_for(&self, format: ImageFormat) -> Option<&[u8]> {
        let most = match format {
            ImageFormat::Png | ImageFormat::WebP => usize::MAX,
            ImageFormat::Jpeg => MOST_EXIF_OF_JPEG,
            _ => return None,
        };
        self.exif.as_deref().filter(|exif| exif.len() <= most)
    }

    /// Whether what says how the samples are to be turned goes into a file of this format.
    fn orientation_stays(&self, format: ImageFormat, exif: Option<&[u8]>) -> bool {
        match format {
            ImageFormat::Tiff => self.fields.tell_orientation(),
            _ => exif.is_some(),
        }
    }

    /// The profile that describes `image`, or why it is left out of `path`.
    fn profile_for(&self, image: &DynamicImage, path: &Path) -> (Option<&[u8]>, Option<String>) {
        let Some(icc) = self.icc.as_deref() else {
            return (None, None);
        };
        let (wanted, written) = match image.color().has_color() {
            true => (b"RGB ", "RGB"),
            false => (b"GRAY", "grey"),
        };
        // ICC.1:2022, section 7.2: the colour space of the data stands at byte 16.
        let space = icc.get(16..20).unwrap_or_default();
        if space == wanted {
            return (Some(icc), None);
        }
        let lost = format!(
            "{} is written without the colour profile of its original, which describes '{}' where this is {written}",
            path.display(),
            String::from_utf8_lossy(space).trim_end().escape_debug()
        );
        (None, Some(lost))
    }
}

fn encode(
    mut encoder: impl ImageEncoder,
    image: &DynamicImage,
    icc: Option<&[u8]>,
    exif: Option<&[u8]>,
) -> anyhow::Result<()> {
    // An encoder refuses what its format has no place for.
    if let Some(icc) = icc {
        let _ = encoder.set_icc_profile(icc.to_vec());
    }
    if let Some(exif) = exif {
        let _ = encoder.set_exif_metadata(exif.to_vec());
    }
    Ok(image.write_with_encoder(encoder)?)
}

#[cfg(test)]
mod tests;

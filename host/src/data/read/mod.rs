//! Image files as they come from the world: 16-bit, grey, palette and CMYK become 8-bit RGB, EXIF
//! orientation is applied; transparent pictures are refused, for what is behind them is not known, and so
//! are cut-off and damaged ones, for half a picture is no truth, and animations and pages.

mod jpeg;
mod several;

use std::path::Path;

use anyhow::Context;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::photo::Photo;
use crate::picture::Picture;
pub(crate) use several::several;

/// Longest side of a picture, in pixels.
const MAX_SIDE: u32 = 32_768;
/// Most bytes of a decoded picture.
const MAX_BYTES: u64 = 1 << 30;

/// Endings of files that are taken for pictures.
const ENDINGS: [&str; 8] = ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp", "jpe"];

/// Why a file is no usable picture. The text names no file, so that equal reasons can be counted.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Missing, a folder, or forbidden.
    #[error("cannot be opened")]
    Closed(#[source] std::io::Error),
    /// No byte in it.
    #[error("is empty")]
    Empty,
    /// Not one of the formats known, whatever its ending says.
    #[error("is no picture of a known format")]
    Unknown,
    /// The decoder stumbled.
    #[error("is damaged or cut off")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Larger than the bounds above.
    #[error("is larger than 32768 pixels a side or 1 GiB")]
    TooLarge,
    /// Its first picture would stand for all.
    #[error("is animated: make a still picture of it, or a video")]
    Animated,
    /// As said, of pages.
    #[error("holds {0} pictures: extract them first")]
    Several(usize),
    /// Part of it shows something else.
    #[error("has transparent pixels: put it on a background first")]
    Transparent,
}

/// Whether the ending is one of a picture.
pub fn is_picture(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| ENDINGS.contains(&e.to_string_lossy().to_lowercase().as_str()))
}

impl Unusable {
    fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Damaged(error.into())
    }
}

type Source = ImageReader<std::io::BufReader<std::fs::File>>;

fn open(path: &Path) -> Result<(Source, ImageFormat), Unusable> {
    let length = std::fs::metadata(path).map_err(Unusable::Closed)?.len();
    if length == 0 {
        return Err(Unusable::Empty);
    }
    let file = std::fs::File::open(path).map_err(Unusable::Closed)?;
    // What the bytes say, not the ending.
    let mut reader = ImageReader::new(std::io::BufReader::new(file))
        .with_guessed_format()
        .map_err(Unusable::Closed)?;
    let format = reader.format().ok_or(Unusable::Unknown)?;
    if let Some(several) = several(path, format) {
        return Err(several);
    }
    reader.limits(limits());
    Ok((reader, format))
}

/// What decoders keep to themselves.
pub(crate) fn limits() -> image::Limits {
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    limits
}

fn decoding(error: image::ImageError) -> Unusable {
    match error {
        image::ImageError::Limits(_) => Unusable::TooLarge,
        image::ImageError::Unsupported(_) => Unusable::Unknown,
        error => Unusable::damaged(error),
    }
}

/// The decoders keep to their limits themselves; the buffer of the whole picture is not theirs.
pub(crate) fn bounded(decoder: &impl ImageDecoder) -> Result<(), Unusable> {
    match decoder.total_bytes() > MAX_BYTES {
        true => Err(Unusable::TooLarge),
        false => Ok(()),
    }
}

fn turned(orientation: Orientation) -> bool {
    use Orientation as O;
    matches!(
        orientation,
        O::Rotate90 | O::Rotate270 | O::Rotate90FlipH | O::Rotate270FlipH
    )
}

/// Width and height after EXIF orientation, from the header alone.
///
/// # Errors
/// When the file is missing, no image, or has no pixels.
pub fn size(path: &Path) -> Result<(usize, usize), Unusable> {
    let (reader, _) = open(path)?;
    let mut decoder = reader.into_decoder().map_err(decoding)?;
    let (width, height) = decoder.dimensions();
    let turned = decoder.orientation().is_ok_and(turned);
    if width == 0 || height == 0 {
        return Err(Unusable::damaged("it has no pixels"));
    }
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(Unusable::TooLarge);
    }
    bounded(&decoder)?;
    let (width, height) = (width as usize, height as usize);
    Ok(if turned {
        (height, width)
    } else {
        (width, height)
    })
}

/// Width and height of a picture that [`decode`] takes, all of it read.
///
/// # Errors
/// Those of [`decode`].
pub fn check(path: &Path) -> Result<(usize, usize), Unusable> {
    let (_, format) = open(path)?;
    if format != ImageFormat::Jpeg {
        return decode(path).map(|photo| (photo.width, photo.height));
    }
    let bytes = std::fs::read(path).map_err(Unusable::Closed)?;
    let (width, height, orientation) = jpeg::check(&bytes)?;
    if width == 0 || height == 0 {
        return Err(Unusable::damaged("it has no pixels"));
    }
    Ok(if turned(orientation) {
        (height, width)
    } else {
        (width, height)
    })
}

/// Decodes a picture.
///
/// # Errors
/// Says why the file cannot be used.
pub fn decode(path: &Path) -> Result<Photo, Unusable> {
    let image = upright(path)?.into_rgb8();
    Ok(Photo {
        height: image.height() as usize,
        width: image.width() as usize,
        rgb: image.into_raw(),
    })
}

/// The picture as it is to be seen, in the depth of the file.
fn upright(path: &Path) -> Result<DynamicImage, Unusable> {
    let (reader, format) = open(path)?;
    let (mut image, orientation) = if format == ImageFormat::Jpeg {
        jpeg::decode(&std::fs::read(path).map_err(Unusable::Closed)?)?
    } else {
        let mut decoder = reader.into_decoder().map_err(decoding)?;
        bounded(&decoder)?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        (
            DynamicImage::from_decoder(decoder).map_err(decoding)?,
            orientation,
        )
    };
    if is_transparent(&image) {
        return Err(Unusable::Transparent);
    }
    image.apply_orientation(orientation);
    if image.width() == 0 || image.height() == 0 {
        return Err(Unusable::damaged("it has no pixels"));
    }
    Ok(image)
}

/// A picture as RGB, turned as EXIF says, with all that its 16-bit samples hold.
///
/// # Errors
/// Those of [`decode`], with the file named.
pub fn deep(path: &Path) -> anyhow::Result<Picture> {
    let image = upright(path).with_context(|| format!("cannot use {}", path.display()))?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let color = image.color();
    let samples = if color.bytes_per_pixel() == 2 * color.channel_count() {
        let deep = image.into_rgb16().into_raw();
        deep.into_iter().map(|v| f32::from(v) / 65_535.0).collect()
    } else {
        let rgb = image.into_rgb8().into_raw();
        return Ok(Photo { height, width, rgb }.picture());
    };
    let samples: Vec<f32> = samples;
    let data = (0..3).flat_map(|c| samples.iter().skip(c).step_by(3).copied());
    Ok(Picture {
        channels: 3,
        height,
        width,
        data: data.collect(),
    })
}

/// A JPEG file as it is stored: grey or RGB, and not turned.
///
/// # Errors
/// When the file cannot be read, is damaged or cut off.
pub fn jpeg_as_stored(path: &Path) -> Result<DynamicImage, Unusable> {
    let bytes = std::fs::read(path).map_err(Unusable::Closed)?;
    Ok(jpeg::decode(&bytes)?.0)
}

/// Whether anything shows through a picture.
fn is_transparent(image: &DynamicImage) -> bool {
    match image {
        DynamicImage::ImageLumaA8(i) => i.pixels().any(|p| p.0[1] != u8::MAX),
        DynamicImage::ImageRgba8(i) => i.pixels().any(|p| p.0[3] != u8::MAX),
        DynamicImage::ImageLumaA16(i) => i.pixels().any(|p| p.0[1] != u16::MAX),
        DynamicImage::ImageRgba16(i) => i.pixels().any(|p| p.0[3] != u16::MAX),
        image => {
            image.color().has_alpha() && image.to_rgba16().pixels().any(|p| p.0[3] != u16::MAX)
        }
    }
}

/// [`decode`], with an error that names the file.
///
/// # Errors
/// As said.
pub fn photo(path: &Path) -> anyhow::Result<Photo> {
    decode(path).with_context(|| format!("cannot use {}", path.display()))
}

#[cfg(test)]
mod tests;

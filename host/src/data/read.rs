//! Image files as they come from the world: 16-bit, grey, palette and CMYK become 8-bit RGB, EXIF
//! orientation is applied; transparent pictures are refused, for what is behind them is not known.

use std::path::Path;

use anyhow::{Context, bail};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader};

use super::photo::Photo;

const MAX_SIDE: u32 = 32_768;

/// Endings of files that are taken for pictures.
pub const ENDINGS: [&str; 8] = ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp", "jpe"];

fn reader(path: &Path) -> anyhow::Result<ImageReader<std::io::BufReader<std::fs::File>>> {
    let mut reader = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .with_context(|| format!("cannot open {}", path.display()))?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    reader.limits(limits);
    Ok(reader)
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
pub fn size(path: &Path) -> anyhow::Result<(usize, usize)> {
    let damaged = || format!("{}: no image, or a damaged one", path.display());
    let mut decoder = reader(path)?.into_decoder().with_context(damaged)?;
    let (width, height) = decoder.dimensions();
    let turned = decoder.orientation().is_ok_and(turned);
    if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
        bail!("{}: {width}x{height} pixels", path.display());
    }
    let (width, height) = (width as usize, height as usize);
    Ok(if turned {
        (height, width)
    } else {
        (width, height)
    })
}

/// Decodes a picture.
///
/// # Errors
/// When the file is missing, no image, damaged, too large, or has transparent pixels.
pub fn photo(path: &Path) -> anyhow::Result<Photo> {
    let damaged = || format!("{}: no image, or a damaged one", path.display());
    let mut decoder = reader(path)?.into_decoder().with_context(damaged)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).with_context(damaged)?;
    if image.color().has_alpha() && image.to_rgba16().pixels().any(|p| p.0[3] != u16::MAX) {
        bail!("{}: has transparent pixels", path.display());
    }
    image.apply_orientation(orientation);
    let image = image.into_rgb8();
    if image.width() == 0 || image.height() == 0 {
        bail!("{}: has no pixels", path.display());
    }
    Ok(Photo {
        height: image.height() as usize,
        width: image.width() as usize,
        rgb: image.into_raw(),
    })
}

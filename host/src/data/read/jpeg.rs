//! JPEG, read strictly. The usual reader fills what a cut-off or damaged file lacks with grey, and a
//! training would take that for a sharp picture. Damage that happens to be valid code passes here too; an index's
//! hashes find it (`hone data verify`).

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::{MAX_BYTES, MAX_SIDE, Unusable};

/// A file whose headers are read.
struct Opened<'a> {
    decoder: JpegDecoder<ZCursor<&'a [u8]>>,
    bytes: &'a [u8],
    width: usize,
    height: usize,
    orientation: Orientation,
}

impl<'a> Opened<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, Unusable> {
        let side = MAX_SIDE as usize;
        let options = DecoderOptions::default()
            .set_max_width(side)
            .set_max_height(side);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().map_err(damaged)?;
        let (width, height) = decoder
            .dimensions()
            .ok_or_else(|| Unusable::damaged("it has no size"))?;
        if width > side || height > side || 3 * (width as u64) * (height as u64) > MAX_BYTES {
            return Err(Unusable::TooLarge);
        }
        let orientation = decoder
            .exif()
            .and_then(|exif| Orientation::from_exif_chunk(exif))
            .unwrap_or(Orientation::NoTransforms);
        Ok(Self {
            decoder,
            bytes,
            width,
            height,
            orientation,
        })
    }

    /// Interleaved samples in `colours`.
    fn pixels(&mut self, colours: ColorSpace) -> Result<Vec<u8>, Unusable> {
        // Headers are often a little odd and harmless; the picture itself must be whole.
        let strict = self.decoder.options().set_strict_mode(true);
        self.decoder
            .set_options(strict.jpeg_set_out_colorspace(colours));
        let pixels = self.decoder.decode().map_err(damaged)?;
        if !has_end(self.bytes) {
            return Err(Unusable::damaged("it has no end"));
        }
        Ok(pixels)
    }
}

/// Grey or RGB, and how the camera was held.
pub(super) fn decode(bytes: &[u8]) -> Result<(DynamicImage, Orientation), Unusable> {
    let mut file = Opened::new(bytes)?;
    let (w, h) = (file.width as u32, file.height as u32);
    let image = if file.decoder.input_colorspace() == Some(ColorSpace::Luma) {
        GrayImage::from_raw(w, h, file.pixels(ColorSpace::Luma)?).map(DynamicImage::ImageLuma8)
    } else {
        RgbImage::from_raw(w, h, file.pixels(ColorSpace::RGB)?).map(DynamicImage::ImageRgb8)
    };
    let image = image.ok_or_else(|| Unusable::damaged("pixels are missing"))?;
    Ok((image, file.orientation))
}

/// Width, height and how the camera was held, of a file that [`decode`] takes. All of the file is gone through, but
/// colours are not worked out, which saves a quarter of the time.
pub(super) fn check(bytes: &[u8]) -> Result<(usize, usize, Orientation), Unusable> {
    let mut file = Opened::new(bytes)?;
    let colours = match file.decoder.input_colorspace() {
        Some(ColorSpace::YCbCr | ColorSpace::Luma) => ColorSpace::Luma,
        _ => ColorSpace::RGB,
    };
    file.pixels(colours)?;
    Ok((file.width, file.height, file.orientation))
}

fn damaged(error: zune_jpeg::errors::DecodeErrors) -> Unusable {
    Unusable::damaged(format!("{error:?}"))
}

/// Whether an end-of-image marker follows the first scan. Coded data never contain one: the decoder
/// itself notices a missing end only when whole rows are missing with it.
fn has_end(bytes: &[u8]) -> bool {
    const SCAN: u8 = 0xda;
    const END: [u8; 2] = [0xff, 0xd9];
    let mut at = 2;
    while let Some(&[0xff, kind, high, low]) = bytes.get(at..at + 4).and_then(|b| b.first_chunk()) {
        if kind == SCAN {
            return bytes[at..].windows(2).any(|pair| pair == END);
        }
        // A fill byte before a marker.
        at += match kind {
            0xff => 1,
            _ => 2 + usize::from(u16::from_be_bytes([high, low])),
        };
    }
    // Unusual headers: somewhere near the end will do.
    bytes[bytes.len().saturating_sub(1024)..]
        .windows(2)
        .any(|pair| pair == END)
}

//! Files that hold more than one picture, of which the first would stand for all.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use image::ImageFormat;

use super::Unusable;
use crate::restore::pictures_of_tiff;

/// Says so when a file holds more than one picture. Where that cannot be told, the decoder tells what is
/// wrong with the file.
pub(crate) fn several(path: &Path, format: ImageFormat) -> Option<Unusable> {
    match format {
        ImageFormat::Tiff => {
            let count = pictures_of_tiff(path).ok()?;
            (count > 1).then_some(Unusable::Several(count))
        }
        ImageFormat::Png => (frames_of_png(path).ok()? > 1).then_some(Unusable::Animated),
        ImageFormat::WebP => is_animated_webp(path).ok()?.then_some(Unusable::Animated),
        _ => None,
    }
}

/// How many frames a PNG file says it has; the chunk that says so stands before the picture.
fn frames_of_png(path: &Path) -> io::Result<u32> {
    let mut file = BufReader::new(File::open(path)?);
    file.seek(SeekFrom::Start(8))?;
    loop {
        let (mut length, mut kind) = ([0; 4], [0; 4]);
        file.read_exact(&mut length)?;
        file.read_exact(&mut kind)?;
        match &kind {
            b"acTL" => {
                let mut frames = [0; 4];
                file.read_exact(&mut frames)?;
                return Ok(u32::from_be_bytes(frames));
            }
            b"IDAT" | b"IEND" => return Ok(1),
            // A checksum follows.
            _ => file.seek_relative(i64::from(u32::from_be_bytes(length)) + 4)?,
        }
    }
}

/// Whether the extended header of a WebP file has the animation flag.
fn is_animated_webp(path: &Path) -> io::Result<bool> {
    let mut head = [0; 21];
    File::open(path)?.read_exact(&mut head)?;
    Ok(&head[12..16] == b"VP8X" && head[20] & 2 != 0)
}

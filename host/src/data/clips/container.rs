//! What a video's container says of itself. Demuxers play what is left of a cut-off file without a word, so
//! that is compared with what the file holds and what comes out of the decoder.

mod matroska;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, bail};

/// Boxes at the outermost level of MP4 and MOV files; what else follows them is no part of the video.
const BOXES: [&[u8; 4]; 12] = [
    b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"uuid", b"sidx", b"styp",
    b"mfra", b"meta",
];
/// Largest list of frames that is looked into.
const MAX_MOOV: u64 = 256 << 20;
/// Bytes of a Matroska file that are looked into: what describes its tracks is in front.
const MATROSKA_START: u64 = 64 << 10;

/// About how many frames the video says it has, where it does (MP4 and MOV).
///
/// # Errors
/// When the file cannot be read, is empty, or its headers (MP4, MOV, Matroska, WebM, AVI) announce more bytes
/// than it has.
pub fn announced(path: &Path) -> anyhow::Result<Option<u64>> {
    let looked = File::open(path).and_then(|mut file| look(&mut file));
    let found = looked.with_context(|| format!("cannot read {}", path.display()))?;
    if found.length == 0 {
        bail!("{} is empty: copy it again", path.display());
    }
    if found.need > found.length {
        bail!(
            "{} is cut off: it holds {} bytes, its headers announce {}: copy it again",
            path.display(),
            found.length,
            found.need
        );
    }
    Ok(found.frames)
}

/// What a container says of its picture's bytes, whatever GStreamer makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Said {
    /// They use the full range; of MP4 and MOV only, where GStreamer's demuxer reads all but that.
    pub full_range: bool,
    /// Number of the matrix in ISO/IEC 23091 (MP4, MOV, Matroska, WebM).
    pub matrix: Option<u16>,
}

/// Nothing where the file cannot be read.
pub(super) fn said(path: &Path) -> Said {
    let found = File::open(path).and_then(|mut file| look(&mut file));
    found.map(|found| found.said).unwrap_or_default()
}

/// One sentence when clearly fewer frames were decoded than [`announced`]; frames before the first whole
/// picture, and uneven frame rates, make a small difference.
pub fn shortage(path: &Path, decoded: u64, announced: Option<u64>) -> Option<String> {
    let announced = announced?;
    (decoded + 2 + announced / 50 < announced).then(|| {
        format!(
            "{} ends after {decoded} of about {announced} frames: it is damaged or cut off",
            path.display()
        )
    })
}

struct Found {
    length: u64,
    need: u64,
    frames: Option<u64>,
    said: Said,
}

fn look(file: &mut File) -> std::io::Result<Found> {
    let length = file.seek(SeekFrom::End(0))?;
    let start = bytes(file, 0, 12)?;
    let mut found = Found {
        length,
        need: 0,
        frames: None,
        said: Said::default(),
    };
    if start.starts_with(&matroska::EBML) {
        let start = bytes(file, 0, MATROSKA_START)?;
        found.need = matroska::segment_end(&start).unwrap_or(0);
        found.said.matrix = matroska::matrix(&start);
    } else if start.len() == 12 && start.starts_with(b"RIFF") && start.ends_with(b"AVI ") {
        let size = [start[4], start[5], start[6], start[7]];
        found.need = 8 + u64::from(u32::from_le_bytes(size));
    } else if start.get(4..8).is_some_and(is_box) {
        mp4(file, &mut found)?;
    }
    Ok(found)
}

/// At most `count` bytes from `at` on.
fn bytes(file: &mut File, at: u64, count: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_box(kind: &[u8]) -> bool {
    BOXES.iter().any(|known| known[..] == *kind)
}

fn mp4(file: &mut File, found: &mut Found) -> std::io::Result<()> {
    let mut at = 0;
    while at < found.length {
        let head = bytes(file, at, 16)?;
        let Some((size, header)) = box_size(&head).filter(|_| is_box(&head[4..8])) else {
            break;
        };
        // Zero: up to the file's end.
        let size = if size == 0 { found.length - at } else { size };
        if head[4..8] == *b"moov" && size <= MAX_MOOV && size <= found.length - at {
            let moov = bytes(file, at + header, size - header)?;
            found.frames = frames(&moov);
            found.said = colours(&moov).unwrap_or_default();
        }
        at = at.saturating_add(size);
        found.need = at;
    }
    Ok(())
}

/// Length of a box with its header (0: up to the end), and of that header.
fn box_size(head: &[u8]) -> Option<(u64, u64)> {
    let (size, header) = match u64::from(u32_at(head, 0)?) {
        1 => (u64_at(head, 8)?, 16),
        size => (size, 8),
    };
    (head.len() >= 8 && (size == 0 || size >= header)).then_some((size, header))
}

/// The content of the first box of this kind.
fn inner<'a>(boxes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    all(boxes, kind).next()
}

fn all<'a>(mut boxes: &'a [u8], kind: &[u8; 4]) -> impl Iterator<Item = &'a [u8]> {
    std::iter::from_fn(move || {
        loop {
            let (size, header) = box_size(boxes)?;
            let size = if size == 0 { boxes.len() as u64 } else { size };
            let (this, rest) = boxes.split_at_checked(usize::try_from(size).ok()?)?;
            boxes = rest;
            if this[4..8] == *kind {
                return this.get(header as usize..);
            }
        }
    })
}

/// The first picture track.
fn video(moov: &[u8]) -> Option<&[u8]> {
    all(moov, b"trak").find(|trak| {
        let handler = inner(trak, b"mdia").and_then(|mdia| inner(mdia, b"hdlr"));
        handler.and_then(|h| h.get(8..12)) == Some(b"vide")
    })
}

/// What the first picture track is made of.
fn samples(moov: &[u8]) -> Option<&[u8]> {
    let mdia = inner(video(moov)?, b"mdia")?;
    inner(inner(mdia, b"minf")?, b"stbl")
}

/// What the first picture track's description says of colours; only one of the two kinds knows of ranges.
fn colours(moov: &[u8]) -> Option<Said> {
    let descriptions = inner(samples(moov)?, b"stsd")?;
    // Version and count, then the first description: a box with 78 bytes before its boxes.
    let first = descriptions.get(8..)?;
    let (_, header) = box_size(first)?;
    let boxes = first.get(header as usize + 78..)?;
    let known = |said: &&[u8]| said.starts_with(b"nclx") || said.starts_with(b"nclc");
    let said = all(boxes, b"colr").find(known)?;
    // The kind, then primaries, transfer and matrix.
    let matrix = said.get(8..10)?.try_into().ok()?;
    let range = said.get(10).filter(|_| said.starts_with(b"nclx"));
    Some(Said {
        full_range: range.is_some_and(|end| end & 0x80 != 0),
        matrix: Some(u16::from_be_bytes(matrix)),
    })
}

/// Frames of the first picture track, as far as its edit list shows them; `None` for a file in fragments.
fn frames(moov: &[u8]) -> Option<u64> {
    if inner(moov, b"mvex").is_some() {
        return None;
    }
    let trak = video(moov)?;
    let mdia = inner(trak, b"mdia")?;
    let table = samples(moov)?;
    let sizes = inner(table, b"stsz").or_else(|| inner(table, b"stz2"))?;
    let count = u64::from(u32_at(sizes, 8)?);
    let part = shown(trak)
        .zip(inner(moov, b"mvhd").and_then(scale))
        .zip(inner(mdia, b"mdhd").and_then(duration))
        .map_or(1.0, |((shown, scale), whole)| shown / scale / whole);
    let part = if part > 0.0 { part.min(1.0) } else { 1.0 };
    Some((count as f64 * part).round() as u64).filter(|&n| n > 0)
}

/// Duration of what a track's edit list shows of it, in the movie's units.
fn shown(trak: &[u8]) -> Option<f64> {
    let list = inner(inner(trak, b"edts")?, b"elst")?;
    let long = *list.first()? == 1;
    let mut sum = 0_u64;
    for entry in list.get(8..)?.chunks_exact(if long { 20 } else { 12 }) {
        let (duration, nothing) = match long {
            true => (u64_at(entry, 0)?, u64_at(entry, 8)? == u64::MAX),
            false => (u64::from(u32_at(entry, 0)?), u32_at(entry, 4)? == u32::MAX),
        };
        sum = sum.saturating_add(if nothing { 0 } else { duration });
    }
    Some(sum as f64)
}

/// Units a second of an `mvhd` or `mdhd`.
fn scale(header: &[u8]) -> Option<f64> {
    let at = if *header.first()? == 1 { 20 } else { 12 };
    u32_at(header, at).filter(|&n| n > 0).map(f64::from)
}

/// Seconds of an `mdhd`.
fn duration(header: &[u8]) -> Option<f64> {
    let units = match *header.first()? {
        1 => u64_at(header, 24)?,
        _ => u64::from(u32_at(header, 16)?),
    };
    Some(units as f64 / scale(header)?).filter(|&s| s > 0.0)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(four))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at..at + 8)?.try_into().ok()?;
    Some(u64::from_be_bytes(eight))
}

#[cfg(test)]
mod tests;

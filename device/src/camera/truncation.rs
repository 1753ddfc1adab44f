//! Files cut short. GStreamer's demuxers play what is left of some of them without a word, so
//! `honed` compares what the container announces with what the file holds.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::error::CameraError;

/// EBML identifier of a Matroska segment.
const SEGMENT: u64 = 0x1853_8067;
/// The last chunk of every PNG.
const IEND: [u8; 12] = *b"\0\0\0\0IEND\xae\x42\x60\x82";
/// EBML identifier at the start of every Matroska file.
pub(super) const EBML: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];

/// Checks a file of a known container: Matroska/WebM, MP4/MOV, PNG, JPEG, Y4M excluded (no length).
///
/// # Errors
/// [`CameraError::Truncated`] when the file ends before its headers say so.
pub fn check(path: &Path, mut file: File) -> Result<(), CameraError> {
    let truncated = |reason: String| CameraError::Truncated {
        path: path.to_owned(),
        reason,
    };
    let io = |e: std::io::Error| truncated(e.to_string());
    let length = file.seek(SeekFrom::End(0)).map_err(io)?;
    if length == 0 {
        return Err(truncated("the file is empty".into()));
    }
    let mut start = [0_u8; 8];
    file.rewind().map_err(io)?;
    let got = read_up_to(&mut file, &mut start).map_err(io)?;
    let need = if start.starts_with(&EBML) {
        matroska(&mut file).map_err(io)?
    } else if got == 8 && [*b"ftyp", *b"moov", *b"mdat"].contains(&tail(start)) {
        mp4(&mut file, length).map_err(io)?
    } else if start == *b"\x89PNG\r\n\x1a\n" {
        return match png_ends(&mut file, length).map_err(io)? {
            true => Ok(()),
            false => Err(truncated(
                "the PNG image does not reach its end; copy it again".into(),
            )),
        };
    } else if start.starts_with(&[0xff, 0xd8]) {
        file.rewind().map_err(io)?;
        return match jpeg_ends(&mut BufReader::new(file)).map_err(io)? {
            true => Ok(()),
            false => Err(truncated(
                "the picture ends before its last line; copy it again".into(),
            )),
        };
    } else {
        None
    };
    match need {
        Some(need) if need > length => Err(truncated(format!(
            "it holds {length} bytes, its headers announce {need}; copy it again"
        ))),
        _ => Ok(()),
    }
}

/// Whether a JPEG comes to its end marker: segments by their lengths, then what is coded, where 0xff comes before zeros,
/// restarts and markers alone.
pub(super) fn jpeg_ends(file: &mut impl BufRead) -> std::io::Result<bool> {
    loop {
        // Up to the next 0xff, which begins a marker or stands for itself.
        file.skip_until(0xff)?;
        let mut kind = [0xff];
        while kind == [0xff] {
            if read_up_to(file, &mut kind)? == 0 {
                return Ok(false);
            }
        }
        match kind[0] {
            0xd9 => return Ok(true),
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => {
                let mut length = [0; 2];
                if read_up_to(file, &mut length)? < 2 {
                    return Ok(false);
                }
                let rest = u64::from(u16::from_be_bytes(length)).saturating_sub(2);
                let skipped = std::io::copy(&mut file.take(rest), &mut std::io::sink())?;
                if skipped < rest {
                    return Ok(false);
                }
            }
        }
    }
}

fn tail(start: [u8; 8]) -> [u8; 4] {
    [start[4], start[5], start[6], start[7]]
}

fn read_up_to(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read(&mut buffer[got..])? {
            0 => break,
            n => got += n,
        }
    }
    Ok(got)
}

/// Where the segment of a Matroska file ends; `None` when it was recorded without a length.
fn matroska(file: &mut File) -> std::io::Result<Option<u64>> {
    file.rewind()?;
    for _ in 0..8 {
        let Some((id, _)) = varint(file, false)? else {
            return Ok(None);
        };
        let Some((size, width)) = varint(file, true)? else {
            return Ok(None);
        };
        let unknown = (1 << (7 * width)) - 1;
        if id == SEGMENT {
            let here = file.stream_position()?;
            return Ok((size != unknown).then(|| here.saturating_add(size)));
        }
        let skip = i64::try_from(size).map_err(|_| std::io::ErrorKind::InvalidData)?;
        file.seek(SeekFrom::Current(skip))?;
    }
    Ok(None)
}

/// An EBML number and its width in bytes, with or without the width marker removed.
fn varint(file: &mut File, value: bool) -> std::io::Result<Option<(u64, u32)>> {
    let mut first = [0_u8; 1];
    if read_up_to(file, &mut first)? == 0 || first[0] == 0 {
        return Ok(None);
    }
    let width = first[0].leading_zeros() + 1;
    let mut rest = [0_u8; 7];
    let rest = &mut rest[..width as usize - 1];
    if read_up_to(file, rest)? < rest.len() {
        return Ok(None);
    }
    let mask = if value {
        0xff_u8.checked_shr(width).unwrap_or(0)
    } else {
        0xff
    };
    let number = rest
        .iter()
        .fold(u64::from(first[0] & mask), |n, b| n << 8 | u64::from(*b));
    Ok(Some((number, width)))
}

/// Where the last box of an MP4 file ends; without a `moov` box, past the end. What is too short for a box may follow what a
/// film needs.
fn mp4(file: &mut File, length: u64) -> std::io::Result<Option<u64>> {
    let mut at = 0_u64;
    let (mut indexed, mut pictures) = (false, false);
    while at < length {
        if indexed && pictures && length - at < 8 {
            break;
        }
        let Some((kind, _, size)) = mp4_box(file, at, length)? else {
            return Ok(Some(length + 8));
        };
        indexed |= kind == *b"moov";
        pictures |= kind == *b"mdat";
        at = at.saturating_add(size);
    }
    Ok(Some(if indexed {
        at
    } else {
        at.max(length).saturating_add(8)
    }))
}

/// Kind, bytes of the head and of the whole of the MP4 box at `at`; `None` when none begins there before `end`.
pub(super) fn mp4_box(
    file: &mut File,
    at: u64,
    end: u64,
) -> std::io::Result<Option<([u8; 4], u64, u64)>> {
    file.seek(SeekFrom::Start(at))?;
    let mut head = [0_u8; 16];
    let got = read_up_to(file, &mut head)?;
    if got < 8 || end.saturating_sub(at) < 8 {
        return Ok(None);
    }
    let kind = [head[4], head[5], head[6], head[7]];
    let small = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
    let (bytes, size) = match small {
        0 => (8, end - at),
        1 => (
            16,
            u64::from_be_bytes(head[8..16].try_into().unwrap_or_default()),
        ),
        size => (8, size),
    };
    Ok((size >= bytes).then_some((kind, bytes, size)))
}

/// Whether a PNG comes to its IEND chunk, by the lengths of those before; anything may follow it. Nearly always it is the
/// end of the file, and looking there spares reading all of a folder of pictures.
fn png_ends(file: &mut File, length: u64) -> std::io::Result<bool> {
    let mut end = [0_u8; IEND.len()];
    let last = length.saturating_sub(end.len() as u64);
    file.seek(SeekFrom::Start(last))?;
    if read_up_to(file, &mut end)? == end.len() && end == IEND {
        return Ok(true);
    }
    let mut at = 8_u64;
    loop {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0_u8; 8];
        if read_up_to(file, &mut head)? < head.len() {
            return Ok(false);
        }
        let [size @ .., _, _, _, _] = head;
        // Head and checksum stand around the chunk's bytes.
        at += u64::from(u32::from_be_bytes(size)) + 12;
        if at > length || tail(head) == *b"IEND" {
            return Ok(at <= length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(bytes: &[u8]) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film");
        std::fs::write(&path, bytes).unwrap();
        check(&path, File::open(&path).unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn whole_and_cut_files_are_told_apart() {
        let mut mkv = vec![0x1a, 0x45, 0xdf, 0xa3, 0x81, 0x00];
        mkv.extend([0x18, 0x53, 0x80, 0x67, 0x42, 0x00]);
        mkv.extend([0; 0x200]);
        assert_eq!(checked(&mkv), Ok(()));
        let error = checked(&mkv[..mkv.len() - 1]).unwrap_err();
        assert!(
            error.contains("is truncated: it holds 523 bytes"),
            "{error}"
        );

        let mut mp4 = b"\0\0\0\x08ftyp\0\0\0\x08moov".to_vec();
        mp4.extend(b"\0\0\0\x20mdat");
        mp4.extend([0; 24]);
        assert_eq!(checked(&mp4), Ok(()));
        assert!(checked(&mp4[..30]).is_err());
        assert!(checked(b"\0\0\0\x08ftyp\0\0\0\x08mdat").is_err());

        assert_eq!(checked(&[&mp4[..], b"trailer"].concat()), Ok(()));
        assert!(checked(&[&mp4[..], b"trailer of more"].concat()).is_err());

        assert!(checked(b"").unwrap_err().contains("empty"));
        assert!(checked(b"\x89PNG\r\n\x1a\nrest").is_err());
        assert_eq!(checked(b"raw bytes of no known kind"), Ok(()));
    }

    #[test]
    fn a_stream_recorded_without_a_length_is_taken() {
        let mut mkv = vec![0x1a, 0x45, 0xdf, 0xa3, 0x81, 0x00];
        mkv.extend([0x18, 0x53, 0x80, 0x67]);
        mkv.extend([0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(checked(&mkv), Ok(()));
    }

    #[test]
    fn a_png_reaches_its_last_chunk() {
        let head = b"\x89PNG\r\n\x1a\n\0\0\0\x04IDATIENDcrc.";
        let whole = [&head[..], b"\0\0\0\0IENDcrc."].concat();
        assert_eq!(checked(&whole), Ok(()));
        assert_eq!(checked(&[&whole[..], b"\n"].concat()), Ok(()));
        for length in 8..whole.len() {
            let error = checked(&whole[..length]).unwrap_err();
            assert!(
                error.contains("does not reach its end"),
                "{length}: {error}"
            );
        }
    }

    #[test]
    fn of_most_pngs_the_end_alone_is_read() {
        let head = b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIDAT";
        assert_eq!(checked(&[&head[..], &IEND].concat()), Ok(()));
        assert!(checked(&[&head[..], &IEND, b"\n"].concat()).is_err());
    }

    #[test]
    fn a_jpeg_reaches_its_end_marker() {
        // A segment that holds an end marker of its own, as a preview does; then coded bytes with a stuffed 0xff.
        let preview = [0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9];
        let scan = [0xff, 0xda, 0, 4, 1, 0, 7, 0xff, 0, 0xff, 0xd0, 9];
        let whole = [&[0xff, 0xd8][..], &preview, &scan, &[0xff, 0xd9]].concat();
        assert_eq!(checked(&whole), Ok(()));
        assert_eq!(checked(&[&whole[..], b"trailing"].concat()), Ok(()));
        for length in 8..whole.len() {
            let error = checked(&whole[..length]).unwrap_err();
            assert!(error.contains("before its last line"), "{length}: {error}");
        }
    }
}

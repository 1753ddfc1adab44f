//! The range of an MP4 file's samples. GStreamer's demuxer up to 1.22 reads the flag that tells it from the byte before
//! it, and takes all for limited. What comes over a network stays so: its boxes are in no file of ours.

use std::fs::File;
use std::io::{Read, Result, Seek, SeekFrom};
use std::path::Path;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video::VideoColorRange;

use crate::camera::levels::in_range;
use crate::camera::truncation::mp4_box;

/// The boxes around those that describe samples.
const AROUND: [&[u8; 4]; 6] = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"];
/// Bytes of a picture's description before the boxes in it.
const DESCRIPTION: u64 = 78;

/// Corrects what `decoded` says of the file at `path`, if need be.
pub(super) fn correct(path: &Path, decoded: &gst::Element) {
    // A file that cannot be read says so elsewhere.
    let full = File::open(path).and_then(|mut file| is_full(&mut file));
    let Some(pad) = decoded.static_pad("src").filter(|_| full.unwrap_or(false)) else {
        return;
    };
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
        let caps = match info.event().map(|event| event.view()) {
            Some(gst::EventView::Caps(event)) => in_range(
                event.caps_owned(),
                VideoColorRange::Range16_235,
                VideoColorRange::Range0_255,
            ),
            _ => None,
        };
        if let Some(caps) = caps {
            info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&caps)));
        }
        gst::PadProbeReturn::Ok
    });
}

/// Whether the first description of pictures that tells their range says that it is the full one.
fn is_full(file: &mut File) -> Result<bool> {
    let length = file.seek(SeekFrom::End(0))?;
    Ok(flag(file, 0, length, &AROUND)?.unwrap_or(false))
}

/// The flag in the boxes from `at` to `end`, which lie in those `around`.
fn flag(file: &mut File, mut at: u64, end: u64, around: &[&[u8; 4]]) -> Result<Option<bool>> {
    while let Some((kind, head, size)) = mp4_box(file, at, end)? {
        let (from, to) = (at + head, at.saturating_add(size).min(end));
        let inside = match around {
            // How many there are stands before them.
            [b"stsd"] if kind == *b"stsd" => pictures(file, from + 8, to)?,
            [this, rest @ ..] if kind == **this => flag(file, from, to, rest)?,
            _ => None,
        };
        if inside.is_some() {
            return Ok(inside);
        }
        at = at.saturating_add(size);
    }
    Ok(None)
}

/// The flag in the descriptions of pictures from `at` to `end`.
fn pictures(file: &mut File, mut at: u64, end: u64) -> Result<Option<bool>> {
    while let Some((_, head, size)) = mp4_box(file, at, end)? {
        let (mut inside, to) = (at + head + DESCRIPTION, at.saturating_add(size).min(end));
        while let Some((kind, head, size)) = mp4_box(file, inside, to)? {
            if kind == *b"colr" && size >= head + 11 {
                let mut colour = [0; 11];
                file.seek(SeekFrom::Start(inside + head))?;
                file.read_exact(&mut colour)?;
                if colour.starts_with(b"nclx") {
                    return Ok(Some(colour[10] & 0x80 != 0));
                }
            }
            inside = inside.saturating_add(size);
        }
        at = at.saturating_add(size);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn boxed(kind: &[u8; 4], inside: &[u8]) -> Vec<u8> {
        let size = u32::try_from(inside.len() + 8).unwrap().to_be_bytes();
        [&size[..], kind, inside].concat()
    }

    fn track(colour: &[u8]) -> Vec<u8> {
        let picture = [&[0; 78][..], &boxed(b"avcC", &[1; 7]), colour].concat();
        let stsd = [&[0, 0, 0, 0, 0, 0, 0, 1][..], &boxed(b"avc1", &picture)].concat();
        let stbl = boxed(b"stbl", &boxed(b"stsd", &stsd));
        let minf = [boxed(b"vmhd", &[0; 12]), stbl].concat();
        boxed(b"trak", &boxed(b"mdia", &boxed(b"minf", &minf)))
    }

    fn full(tracks: &[Vec<u8>]) -> bool {
        let mut file = tempfile::tempfile().unwrap();
        let moov = boxed(b"moov", &tracks.concat());
        let film = [boxed(b"ftyp", b"isom"), boxed(b"mdat", &[9; 50]), moov].concat();
        file.write_all(&film).unwrap();
        is_full(&mut file).unwrap()
    }

    #[test]
    fn the_flag_is_read_where_it_stands() {
        let colour = |flag: u8| boxed(b"colr", &[b"nclx\0\x01\0\x0d\0\x06", &[flag][..]].concat());
        assert!(full(&[track(&colour(0x80))]));
        assert!(!full(&[track(&colour(0))]));
        assert!(!full(&[track(&boxed(b"colr", b"nclc\0\x01\0\x01\0\x01"))]));
        // Sound comes before the pictures.
        assert!(full(&[track(&[]), track(&colour(0x80))]));
        assert!(!full(&[]));
    }
}

//! How much of a file that was never completed can be played.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use crate::camera::truncation::{EBML, mp4_box};

/// EBML identifier of a cluster, which holds pictures.
const CLUSTER: [u8; 4] = [0x1f, 0x43, 0xb6, 0x75];
/// A cluster's own head and a picture are longer.
const CLUSTER_HEAD: u64 = 32;
/// The first cluster of a Matroska file begins before.
const HEADERS: u64 = 1 << 20;
/// How a fragment of an MP4 begins, behind its length; coded pictures never look so.
const FRAGMENT: [u8; 12] = *b"moof\0\0\0\x10mfhd";
/// Where the last fragment is looked for, from the end: pieces of so many bytes, and so many of them.
const PIECE: u64 = 1 << 20;
const PIECES: u64 = 64;

/// The bytes from the start that can be played; 0 when there is no picture in them. Files without a container count whole.
pub(super) fn playable(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let start = read(file, 0, 8)?;
    if start.starts_with(&EBML) {
        matroska(file, length)
    } else if start.get(4..) == Some(b"ftyp") {
        mp4(file, length)
    } else {
        Ok(length)
    }
}

/// Clusters stand for themselves: what there is of them plays.
fn matroska(file: &mut File, length: u64) -> io::Result<u64> {
    let headers = read(file, 0, HEADERS)?;
    let cluster = headers.windows(4).position(|bytes| bytes == CLUSTER);
    Ok(match cluster {
        Some(at) if length > at as u64 + CLUSTER_HEAD => length,
        _ => 0,
    })
}

/// Up to the last box of pictures that the file tells of: fragments follow their `moov`, a complete file ends in it. A day has
/// 86,400 fragments, which a card takes a minute to find, so behind the first it goes on with the last.
fn mp4(file: &mut File, length: u64) -> io::Result<u64> {
    let (mut at, mut end) = (0_u64, 0);
    let (mut index, mut pictures) = (false, false);
    while at < length {
        let Some((kind, _, size)) = mp4_box(file, at, length)? else {
            break;
        };
        // A power cut may leave zeros at the end.
        if kind == [0; 4] {
            break;
        }
        let Some(next) = at.checked_add(size).filter(|next| *next <= length) else {
            break;
        };
        at = next;
        index |= kind == *b"moov";
        pictures |= kind == *b"mdat";
        // What tells of a fragment is of no use without its pictures.
        if index && pictures && [*b"moov", *b"mdat"].contains(&kind) {
            if end == 0 {
                at = last_fragment(file, at, length)?.unwrap_or(at);
            }
            end = at;
        }
    }
    Ok(end)
}

/// Where the last fragment between `start` and `end` begins, whole or not.
fn last_fragment(file: &mut File, start: u64, end: u64) -> io::Result<Option<u64>> {
    let overlap = FRAGMENT.len() as u64;
    for piece in 1..=PIECES {
        let at = end.saturating_sub(piece * PIECE).max(start);
        let bytes = read(file, at, PIECE + overlap)?;
        let found = bytes.windows(FRAGMENT.len()).rposition(|b| b == FRAGMENT);
        // Its length comes first.
        if let Some(begin) = found.and_then(|found| (at + found as u64).checked_sub(4)) {
            return Ok(Some(begin).filter(|begin| *begin >= start));
        }
        if at == start {
            break;
        }
    }
    Ok(None)
}

fn read(file: &mut File, at: u64, count: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> u64 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film");
        std::fs::write(&path, bytes).unwrap();
        playable(&mut File::open(&path).unwrap()).unwrap()
    }

    fn boxed(kind: &[u8; 4], body: usize) -> Vec<u8> {
        let size = u32::try_from(body + 8).unwrap().to_be_bytes();
        [&size[..], kind, &vec![7; body]].concat()
    }

    #[test]
    fn of_fragments_the_whole_ones_are_kept() {
        let begun = [boxed(b"ftyp", 24), boxed(b"moov", 100)].concat();
        let fragment = [boxed(b"moof", 50), boxed(b"mdat", 900)].concat();
        assert_eq!(of(&begun), 0);
        let one = [begun.clone(), fragment.clone()].concat();
        assert_eq!(of(&one), one.len() as u64);
        for cut in [30, 300] {
            let more = [&one, &fragment[..cut]].concat();
            assert_eq!(of(&more), one.len() as u64);
        }
        let zeros = [&one[..], &[0; 40]].concat();
        assert_eq!(of(&zeros), one.len() as u64);
        let head_only = [&one[..], &boxed(b"moof", 50)].concat();
        assert_eq!(of(&head_only), one.len() as u64);
    }

    #[test]
    fn between_the_first_fragment_and_the_last_nothing_is_read() {
        let fragment = |pictures| {
            let head = boxed(b"mfhd", 8);
            let size = u32::try_from(head.len() + 8).unwrap().to_be_bytes();
            let moof = [&size[..], b"moof", &head].concat();
            [moof, boxed(b"free", 0), boxed(b"mdat", pictures)].concat()
        };
        let begun = [boxed(b"ftyp", 24), boxed(b"moov", 100), fragment(900)].concat();
        let head = fragment(0).len() - 8;
        // The last one begins in the piece that is looked through first, on its border, and before it.
        let piece = usize::try_from(PIECE).unwrap();
        for pictures in [9, piece - 30, 3 * piece] {
            let before = [&begun[..], &vec![7; 2 * piece], &fragment(40)].concat();
            let last = fragment(pictures);
            let film = [&before[..], &last].concat();
            assert_eq!(of(&film), film.len() as u64, "{pictures}");
            // Cut in its pictures, in its head and in its length.
            for cut in [last.len() - 1, head + 3, head - 1] {
                let film = [&before[..], &last[..cut]].concat();
                assert_eq!(of(&film), before.len() as u64, "{pictures}, {cut}");
            }
        }
    }

    #[test]
    fn without_fragments_the_end_is_needed() {
        let open = [boxed(b"ftyp", 24), vec![0, 0, 0, 0], b"mdat1234".to_vec()].concat();
        assert_eq!(of(&open), 0);
        let whole = [boxed(b"ftyp", 24), boxed(b"mdat", 9), boxed(b"moov", 9)].concat();
        assert_eq!(of(&whole), whole.len() as u64);
        assert_eq!(of(&whole[..whole.len() - 1]), 0);
    }

    #[test]
    fn a_matroska_file_needs_a_picture() {
        let head = [&EBML[..], &[1; 200]].concat();
        assert_eq!(of(&head), 0);
        let film = [&head[..], &CLUSTER, &[1; 100]].concat();
        assert_eq!(of(&film), film.len() as u64);
        assert_eq!(of(&film[..head.len() + 20]), 0);
        assert_eq!(of(b""), 0);
        assert_eq!(of(&[0; 77]), 77);
    }
}

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

/// Up to the last box of pictures that the file tells of: fragments follow their `moov`, a complete file ends in it.
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
        if index && pictures && kind != *b"moof" {
            end = at;
        }
    }
    Ok(end)
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

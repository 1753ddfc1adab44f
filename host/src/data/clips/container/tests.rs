//! Containers made by hand.

use super::matroska::{EBML, SEGMENT};
use super::*;

fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let size = u32::try_from(8 + content.len()).unwrap();
    [&size.to_be_bytes()[..], kind, &content].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).collect()
}

fn track(handler: &[u8; 4], count: u32, edits: &[u8]) -> Vec<u8> {
    let table = boxed(b"stbl", &[&boxed(b"stsz", &[&words(&[0, 0, count])])]);
    let mdia = boxed(
        b"mdia",
        &[
            // 100 seconds of 30 units.
            &boxed(b"mdhd", &[&words(&[0, 0, 0, 30, 3000])]),
            &boxed(b"hdlr", &[&words(&[0, 0]), handler]),
            &boxed(b"minf", &[&table]),
        ],
    );
    boxed(b"trak", &[edits, &mdia])
}

fn movie(video: &[u8], more: &[u8]) -> Vec<u8> {
    let header = boxed(b"mvhd", &[&words(&[0, 0, 0, 1000, 100_000])]);
    let sound = track(b"soun", 9999, b"");
    let moov = boxed(b"moov", &[&header, &sound, video, more]);
    [
        boxed(b"ftyp", &[b"isom"]),
        moov,
        boxed(b"mdat", &[&[7; 40]]),
    ]
    .concat()
}

/// A picture track whose description ends in this box.
fn described(colours: &[u8]) -> Vec<u8> {
    let entry = boxed(b"avc1", &[&[0; 78], &boxed(b"avcC", &[&[1; 9]]), colours]);
    let descriptions = boxed(b"stsd", &[&words(&[0, 1]), &entry]);
    let table = boxed(
        b"stbl",
        &[&descriptions, &boxed(b"stsz", &[&words(&[0, 0, 3000])])],
    );
    let mdia = boxed(
        b"mdia",
        &[
            &boxed(b"hdlr", &[&words(&[0, 0]), b"vide"]),
            &boxed(b"minf", &[&table]),
        ],
    );
    boxed(b"trak", &[&mdia])
}

#[test]
fn the_full_range_is_told_from_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film");
    let full = |track: &[u8]| {
        std::fs::write(&path, movie(track, b"")).unwrap();
        said(&path).full_range
    };
    let nclx = |end: u8| boxed(b"colr", &[b"nclx", &[0, 1, 0, 1, 0, 1, end]]);
    assert!(full(&described(&nclx(0x80))));
    assert!(!full(&described(&nclx(0))));
    assert!(!full(&described(&boxed(
        b"colr",
        &[b"nclc", &[0, 1, 0, 1, 0, 1]]
    ))));
    assert!(!full(&described(b"")));
    assert!(!full(&track(b"vide", 3000, b"")));
    // Cut off anywhere.
    let film = movie(&described(&nclx(0x80)), b"");
    for length in 0..film.len() {
        std::fs::write(&path, &film[..length]).unwrap();
        let _ = said(&path);
    }
}

#[test]
fn the_matrix_is_found_where_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film");
    let matrix = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        said(&path).matrix
    };
    for kind in [b"nclx", b"nclc"] {
        let colours = boxed(b"colr", &[kind, &[0, 1, 0, 1, 0, 6, 0]]);
        assert_eq!(matrix(&movie(&described(&colours), b"")), Some(6));
    }
    assert_eq!(matrix(&movie(&described(b""), b"")), None);

    let element = |id: &[u8], content: &[u8]| {
        let size = u16::try_from(content.len()).unwrap() | 0x4000;
        [id, &size.to_be_bytes(), content].concat()
    };
    let film = |colour: &[u8]| {
        let video = [&element(&[0xb0], &[5, 0]), colour].concat();
        let sound = element(&[0xae], &element(&[0xe1], &[0; 9]));
        let picture = element(&[0xae], &element(&[0xe0], &video));
        let tracks = element(&[0x16, 0x54, 0xae, 0x6b], &[sound, picture].concat());
        // A gap, then the tracks, in a segment that was recorded without a length.
        let rest = [element(&[0xec], &[0; 5000]), tracks].concat();
        let unknown = [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        [&EBML[..], &[0x81, 0], &SEGMENT, &unknown, &rest].concat()
    };
    let named = film(&element(&[0x55, 0xb0], &element(&[0x55, 0xb1], &[9])));
    assert_eq!(matrix(&named), Some(9));
    assert_eq!(matrix(&film(&[])), None);
    for length in 0..named.len() {
        let mut damaged = named[..length].to_vec();
        let _ = matroska::matrix(&damaged);
        damaged.extend([0xff; 20]);
        let _ = matroska::matrix(&damaged);
    }
}

fn told(bytes: &[u8]) -> Result<Option<u64>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film");
    std::fs::write(&path, bytes).unwrap();
    announced(&path).map_err(|e| e.to_string())
}

#[test]
fn the_frames_of_the_picture_track_are_counted() {
    let film = movie(&track(b"vide", 3000, b""), b"");
    assert_eq!(told(&film), Ok(Some(3000)));
    // A quarter of a second of nothing, then 25 of the 100 seconds.
    let list = words(&[0, 2, 250, u32::MAX, 1 << 16, 25_000, 60, 1 << 16]);
    let edits = boxed(b"edts", &[&boxed(b"elst", &[&list])]);
    let trimmed = movie(&track(b"vide", 3000, &edits), b"");
    assert_eq!(told(&trimmed), Ok(Some(750)));
    // A list whose durations add up to more than there are numbers for.
    let entry = [u32::MAX, u32::MAX, 0, 0, 1 << 16];
    let list = words(&[&[1 << 24, 2][..], &entry, &entry].concat());
    let edits = boxed(b"edts", &[&boxed(b"elst", &[&list])]);
    let endless = movie(&track(b"vide", 3000, &edits), b"");
    assert_eq!(told(&endless), Ok(Some(3000)));
    let fragments = movie(&track(b"vide", 3000, b""), &boxed(b"mvex", &[]));
    assert_eq!(told(&fragments), Ok(None));
    assert_eq!(told(b"no container at all"), Ok(None));
    assert!(
        told(b"")
            .unwrap_err()
            .ends_with("film is empty: copy it again")
    );
}

#[test]
fn cut_off_files_are_refused_and_what_follows_a_whole_one_is_not() {
    let film = movie(&track(b"vide", 3000, b""), b"");
    let error = told(&film[..film.len() - 1]).unwrap_err();
    assert!(error.contains("film is cut off: it holds"), "{error}");
    assert_eq!(told(&[&film[..], &[0x55; 100]].concat()), Ok(Some(3000)));

    let mut mkv = [&EBML[..], &[0x81, 0], &SEGMENT, &[0x42, 0]].concat();
    mkv.extend([0; 0x200]);
    assert_eq!(told(&mkv), Ok(None));
    assert!(told(&mkv[..mkv.len() - 1]).is_err());
    let unknown = [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(
        told(&[&EBML[..], &[0x81, 0], &SEGMENT, &unknown].concat()),
        Ok(None)
    );

    let avi = [&b"RIFF"[..], &20_u32.to_le_bytes(), b"AVI ", &[0; 16]].concat();
    assert_eq!(told(&avi), Ok(None));
    assert!(told(&avi[..20]).is_err());
}

#[test]
fn headers_cut_or_damaged_anywhere_are_survived() {
    let film = movie(&track(b"vide", 3000, b""), b"");
    for length in 0..film.len() {
        let _ = told(&film[..length]);
        let mut damaged = film.clone();
        damaged[length] ^= 0xff;
        let _ = told(&damaged);
    }
}

#[test]
fn a_few_frames_fewer_are_no_damage() {
    let path = Path::new("a.mp4");
    for (decoded, announced) in [(40, None), (6, Some(8)), (1367, Some(1394)), (9, Some(5))] {
        assert_eq!(shortage(path, decoded, announced), None);
    }
    let words = shortage(path, 40, Some(1394)).unwrap();
    assert!(words.contains("a.mp4 ends after 40 of about 1394 frames"));
    assert!(shortage(path, 5, Some(8)).is_some());
}

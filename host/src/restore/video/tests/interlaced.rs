//! Films whose pictures were taken as two fields.

use super::super::Reader;
use super::film;
use crate::data::clips::extract;
use crate::picture::Picture;

/// How much rows differ from those around them.
fn combs(y: &[u8], width: usize) -> u64 {
    let rows: Vec<&[u8]> = y.chunks(width).collect();
    let of = |rows: &[&[u8]]| -> u64 {
        let each = (0..width).map(|x| {
            let [a, b, c] = [0, 1, 2].map(|row| i64::from(rows[row][x]));
            (2 * b - a - c).unsigned_abs()
        });
        each.sum()
    };
    rows.windows(3).map(of).sum()
}

#[test]
fn one_frame_is_made_of_two_fields() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mkv");
    for upper_first in [true, false] {
        film(
            &path,
            &format!(
                "videotestsrc pattern=bar horizontal-speed=4 num-buffers=24 \
                 ! video/x-raw,format=I420,width=64,height=48,framerate=50/1 \
                 ! interlace field-pattern=1:1 top-field-first={upper_first} \
                 ! x264enc interlaced=true pass=quant quantizer=1 ! h264parse ! matroskamux"
            ),
        );
        let woven = folder.path().join("woven.raw");
        let decoded = format!("filesrc location={} ! decodebin", path.display());
        film(&woven, &decoded);
        let woven = std::fs::read(&woven).unwrap();
        let woven = woven.chunks(64 * 48 * 3 / 2);
        let before: u64 = woven.map(|frame| combs(&frame[..64 * 48], 64)).sum();
        for open in [Reader::open, Reader::open_stored] {
            let mut reader = open(&path).unwrap();
            let (mut after, mut count) = (0, 0);
            while let Some(frame) = reader.next_frame().unwrap() {
                after += combs(&frame.y, 64);
                count += 1;
            }
            assert_eq!(count, 12);
            assert!(before > 0 && after < before / 2, "{after} of {before}");
        }
        // Frames for training.
        let place = folder.path().join(format!("frames-{upper_first}"));
        let taken = extract(&path, &place, 1, &|_| {}).unwrap();
        assert_eq!(taken.frames, 12);
        let after: u64 = (0..12)
            .map(|i| Picture::load(&place.join(format!("{i:06}.png"))).unwrap())
            .map(|picture| combs(&picture.luma().to_bytes(), 64))
            .sum();
        // Their luma has the full range.
        assert!(after < before * 2 / 3, "{after} of {before}");
    }
}

//! Videos through the installed decoder and encoder.

use super::*;

#[test]
fn videos_survive_the_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a clip.mp4");
    let format = Format {
        width: 64,
        height: 48,
        rate: (25, 1),
    };
    let frame = |i: usize| Frame {
        y: (0..64 * 48).map(|p| (60 + p % 64 + 8 * i) as u8).collect(),
        u: vec![120; 64 * 48],
        v: vec![140; 64 * 48],
    };
    let mut writer = Writer::create(&path, format).unwrap();
    (0..5).for_each(|i| writer.push(&frame(i)).unwrap());
    writer.finish().unwrap();
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!((reader.format().width, reader.format().height), (64, 48));
    assert!((reader.format().fps() - 25.0).abs() < 1e-6);
    let mut count = 0;
    while let Some(got) = reader.next_frame().unwrap() {
        let far = |(a, b): (&u8, &u8)| a.abs_diff(*b) > 12;
        assert!(!got.y.iter().zip(&frame(count).y).any(far), "frame {count}");
        count += 1;
    }
    assert_eq!(count, 5);

    // As an encoder writes files for the network: what says how long it is comes first, and survives the cut.
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(container::announced(&path).unwrap(), Some(5));
    std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    let error = Reader::open(&path).err().unwrap().to_string();
    assert!(error.contains("a clip.mp4 is cut off"), "{error}");

    std::fs::write(&path, b"no video").unwrap();
    let error = Reader::open(&path).err().unwrap().to_string();
    assert!(error.contains("a clip.mp4"), "{error}");
    let error = Writer::create(Path::new("/nonexistent/a.mp4"), format)
        .err()
        .unwrap();
    assert!(format!("{error:#}").contains("cannot write"), "{error:#}");
}

/// A slope in both directions: shifted rows show.
fn ramp(width: usize, height: usize) -> Frame {
    let count = width * height;
    let y = (0..count).map(|p| (40 + 100 * (p % width) / width + 60 * (p / width) / height) as u8);
    Frame {
        y: y.collect(),
        u: vec![120; count],
        v: vec![140; count],
    }
}

#[test]
fn videos_of_any_width_survive_the_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    for (width, height) in [(62, 46), (63, 45), (854, 48)] {
        let path = folder.path().join("clip.mp4");
        let format = Format {
            width,
            height,
            rate: (10, 1),
        };
        let sent = ramp(width, height);
        let mut writer = Writer::create(&path, format).unwrap();
        (0..2).for_each(|_| writer.push(&sent).unwrap());
        writer.finish().unwrap();
        let mut reader = Reader::open(&path).unwrap();
        let (w, h) = (reader.format().width, reader.format().height);
        // Odd sides lose their last row or column.
        assert_eq!((w, h), (width & !1, height & !1));
        for _ in 0..2 {
            let got = reader.next_frame().unwrap().unwrap();
            for (row, truth) in got.y.chunks(w).zip(sent.y.chunks(width)) {
                let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= 12;
                assert!(row.iter().zip(truth).all(near), "{width}x{height}");
            }
        }
        assert!(reader.next_frame().unwrap().is_none());
    }
}

#[test]
fn a_program_that_goes_on_writing_is_not_waited_for() {
    let endless = ["-q", "fakesrc", "sizetype=2", "!", "fdsink", "fd=1"];
    let arguments = endless.map(Into::into).to_vec();
    let mut tool = Tool::start(Codec::GStreamer, arguments, Path::new("a.mp4")).unwrap();
    let damage = std::io::Error::from(std::io::ErrorKind::InvalidData);
    let error = tool.failure(damage, "cannot decode a.mp4".into());
    assert_eq!(error.to_string(), "cannot decode a.mp4");
}

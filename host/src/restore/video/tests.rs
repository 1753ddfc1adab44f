//! Videos through the installed decoder and encoder.

use super::super::y4m;
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
    let damage = std::io::Error::from(ErrorKind::InvalidData);
    let error = tool.failure(damage, "cannot decode a.mp4".into());
    assert_eq!(error.to_string(), "cannot decode a.mp4");
}

/// Makes a film of two frames with GStreamer, has it changed, and reads it.
fn filmed(
    pattern: &str,
    coder: &str,
    name: &str,
    change: impl FnOnce(&mut [u8]),
) -> (Vec<Frame>, Format) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let mut arguments = words(&format!(
        "-q videotestsrc num-buffers=2 pattern={pattern} ! video/x-raw,width=64,height=48 ! {coder} ! filesink"
    ));
    arguments.push(colours::location(&path));
    let mut tool = Tool::start(Codec::GStreamer, arguments, &path).unwrap();
    tool.finish().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        frames.push(frame);
    }
    (frames, reader.format())
}

#[test]
fn full_range_becomes_studio_range() {
    // The encoder writes the 235 and 16 of the pattern as they are, and JPEG says that its range is full.
    for (pattern, level) in [("white", 218), ("black", 30)] {
        let (frames, _) = filmed(pattern, "jpegenc ! matroskamux", "film.mkv", |_| {});
        assert_eq!(frames.len(), 2);
        let near = |y: &u8| y.abs_diff(level) <= 1;
        assert!(
            frames[0].y.iter().all(near),
            "{pattern}: {}",
            frames[0].y[0]
        );
    }
}

#[test]
fn videos_that_lie_on_their_side_are_read_upright() {
    let turn = |bytes: &mut [u8]| {
        let header = bytes.windows(4).position(|kind| kind == b"tkhd").unwrap();
        // The matrix of a quarter turn, after the kind and 40 bytes.
        for (i, value) in [0, 1, 0, -1, 0].into_iter().enumerate() {
            let at = header + 44 + 4 * i;
            bytes[at..at + 4].copy_from_slice(&(value * 65_536_i32).to_be_bytes());
        }
    };
    let (frames, format) = filmed("white", "x264enc ! h264parse ! mp4mux", "film.mp4", turn);
    assert_eq!((format.width, format.height, frames.len()), (48, 64, 2));
}

/// Y4M has no word for its matrix, and GStreamer takes large ones for BT.709.
#[test]
fn the_colours_of_y4m_do_not_go_by_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("red.y4m");
    let format = Format {
        width: 1280,
        height: 720,
        rate: (25, 1),
    };
    let count = format.width * format.height;
    let red = Frame {
        y: vec![81; count],
        u: vec![90; count],
        v: vec![240; count],
    };
    let mut file = std::fs::File::create(&path).unwrap();
    y4m::write_header(&mut file, &format).unwrap();
    y4m::write_frame(&mut file, &red).unwrap();
    let mut reader = Reader::open_stored(&path).unwrap();
    assert!(reader.next_frame().unwrap() == Some(red));
    assert!(reader.next_frame().unwrap().is_none());
}

#[test]
fn an_empty_file_is_refused_before_a_decoder_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    std::fs::write(&path, b"").unwrap();
    let error = Reader::open(&path).err().unwrap().to_string();
    assert!(error.contains("film.mp4 is empty"), "{error}");
}

#[test]
fn a_video_that_changes_its_size_is_named_with_the_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.h264");
    let shot = |count: usize, width: usize, height: usize| {
        let mut arguments = words(&format!(
            "-q videotestsrc num-buffers={count} ! video/x-raw,format=I420,width={width},height={height} ! x264enc \
             ! video/x-h264,stream-format=byte-stream ! filesink"
        ));
        arguments.push(colours::location(&path));
        let mut tool = Tool::start(Codec::GStreamer, arguments, &path).unwrap();
        tool.finish().unwrap();
        std::fs::read(&path).unwrap()
    };
    let (small, large) = (shot(3, 64, 48), shot(3, 94, 62));
    let parts = [
        [&small[..], &large],
        [&large, &small],
        [&large, &shot(1, 64, 48)],
    ];
    for parts in parts {
        std::fs::write(&path, parts.concat()).unwrap();
        let mut reader = Reader::open(&path).unwrap();
        let error = loop {
            match reader.next_frame() {
                Ok(frame) => assert!(frame.is_some(), "read to its end"),
                Err(error) => break format!("{error:#}"),
            }
        };
        let words =
            "film.h264 changes the size of its pictures at frame 4: restore its parts one by one";
        assert!(error.ends_with(words), "{error}");
    }
}

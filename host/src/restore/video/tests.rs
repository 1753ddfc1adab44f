//! Videos through the installed decoder and encoder.

mod interlaced;

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
        aspect: (16, 11),
    };
    let frame = |i: usize| Frame {
        y: (0..64 * 48).map(|p| (60 + p % 64 + 8 * i) as u8).collect(),
        u: vec![120; 64 * 48],
        v: vec![140; 64 * 48],
    };
    let mut writer = Writer::create(&path, format).unwrap();
    let second = Writer::create(&path, format).err().unwrap().to_string();
    assert!(second.contains("being written by another"), "{second}");
    (0..5).for_each(|i| writer.push(&frame(i)).unwrap());
    writer.finish().unwrap();
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!((reader.format().width, reader.format().height), (64, 48));
    assert!((reader.format().fps() - 25.0).abs() < 1e-6);
    assert_eq!(reader.format().aspect, (16, 11));
    let mut count = 0;
    while let Some(got) = reader.next_frame().unwrap() {
        assert!(near(&got.y, &frame(count).y, 12), "frame {count}");
        assert!(near(&got.u, &frame(count).u, 4), "frame {count}");
        assert!(near(&got.v, &frame(count).v, 4), "frame {count}");
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
    let error = Writer::create(&folder.path().join("nowhere/a.mp4"), format)
        .err()
        .unwrap();
    assert!(format!("{error:#}").contains("cannot write"), "{error:#}");
}

/// Whether no byte is further than `most` from the true one.
fn near(found: &[u8], truth: &[u8], most: u8) -> bool {
    let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= most;
    found.len() == truth.len() && found.iter().zip(truth).all(near)
}

/// A slope in both directions, another in each plane: shifted rows show.
fn ramp(width: usize, height: usize) -> Frame {
    let plane = |base: usize, across: usize, down: usize| {
        let slope = |p| across * (p % width) / width + down * (p / width) / height;
        (0..width * height)
            .map(|p| (base + slope(p)) as u8)
            .collect()
    };
    Frame {
        y: plane(40, 100, 60),
        u: plane(70, 20, 50),
        v: plane(140, 50, 30),
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
            aspect: (1, 1),
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
            for (got, sent, most) in [
                (&got.y, &sent.y, 12),
                (&got.u, &sent.u, 6),
                (&got.v, &sent.v, 6),
            ] {
                assert_eq!(got.len(), w * h);
                for (row, truth) in got.chunks(w).zip(sent.chunks(width)) {
                    assert!(near(row, &truth[..w], most), "{width}x{height}");
                }
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

#[test]
fn a_time_in_a_name_is_no_protocol_to_ffmpeg() {
    let url = file_url(Path::new("2026-11-27T10:00.mp4"));
    assert_eq!(url, "file:2026-11-27T10:00.mp4");
}

/// Has GStreamer make a film.
fn film(path: &Path, pipeline: &str) {
    let mut arguments = words(&format!("-q {pipeline} ! filesink"));
    arguments.push(colours::location(path));
    let mut tool = Tool::start(Codec::GStreamer, arguments, path).unwrap();
    tool.finish().unwrap();
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
    let size = "video/x-raw,width=64,height=48";
    film(
        &path,
        &format!("videotestsrc num-buffers=2 pattern={pattern} ! {size} ! {coder}"),
    );
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

/// The board's student sees the film's own luma.
#[test]
fn what_a_film_delivers_keeps_its_range() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("white.mkv");
    let source = "videotestsrc num-buffers=1 pattern=white ! video/x-raw,width=64,height=48";
    film(&path, &format!("{source} ! jpegenc ! matroskamux"));
    let mut reader = Reader::open(&path).unwrap();
    let frame = reader.next_delivered().unwrap().unwrap();
    // 235 of 255 is 218 between 16 and 235.
    assert!(near(&frame.y, &vec![235; 64 * 48], 1), "{}", frame.y[0]);
    let frame = reader.studio(frame);
    assert!(near(&frame.y, &vec![218; 64 * 48], 1), "{}", frame.y[0]);
}

#[test]
fn red_stays_red() {
    for (coder, name, red) in [
        ("x264enc ! h264parse ! mp4mux", "film.mp4", [81, 90, 240]),
        // Taken for full range, as above.
        ("jpegenc ! matroskamux", "film.mkv", [86, 95, 226]),
    ] {
        let (frames, _) = filmed("red", coder, name, |_| {});
        for frame in &frames {
            let planes = [&frame.y, &frame.u, &frame.v];
            for (plane, level) in planes.into_iter().zip(red) {
                let truth = vec![level; plane.len()];
                assert!(near(plane, &truth, 3), "{name}: {} for {level}", plane[0]);
            }
        }
        assert_eq!(frames.len(), 2);
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
        aspect: (1, 1),
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
    let words = "film.h264 changes the size of its pictures at frame 4: take its parts one by one";
    // On their side they are as many bytes.
    std::fs::write(&path, [&small[..], &shot(2, 48, 64)].concat()).unwrap();
    for open in [Reader::open, Reader::open_stored] {
        let error = open(&path).err().unwrap().to_string();
        assert!(error.ends_with(words), "{error}");
    }
    for parts in parts {
        std::fs::write(&path, parts.concat()).unwrap();
        let mut reader = Reader::open(&path).unwrap();
        let error = loop {
            match reader.next_frame() {
                Ok(frame) => assert!(frame.is_some(), "read to its end"),
                Err(error) => break format!("{error:#}"),
            }
        };
        assert!(error.ends_with(words), "{error}");
    }
}

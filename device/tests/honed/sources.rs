//! Files and test scenes that are not what a camera gives.

use std::path::Path;
use std::process::{Command, Output};

use super::{launch, report, run, said};

/// `honed run` from `source` to nowhere.
pub fn watch(source: &str, more: &[&str]) -> Output {
    let arguments = ["--sink", "null", "--source", source];
    run(Path::new("."), &[&arguments, more].concat())
}

/// The report of one that succeeds.
pub fn watched(source: &str, more: &[&str]) -> serde_json::Value {
    report(&watch(source, &[more, &["--json"]].concat()))
}

/// The one sentence, without secrets, of one that does not.
pub fn unseen(source: &str, more: &[&str]) -> String {
    let output = watch(source, more);
    let error = said(&output);
    assert!(!output.status.success(), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(!error.contains("secret"), "{error}");
    error
}

/// Writes what a launch line gives to `path`.
pub fn film(path: &Path, line: &str) {
    launch(&format!("{line} ! filesink location={}", path.display()));
}

/// A PNG of the given format as `folder/name`.
fn png(folder: &Path, name: &str, format: &str) {
    let line = format!(
        "videotestsrc num-buffers=1 ! video/x-raw,format={format},width=64,height=48 ! pngenc"
    );
    film(&folder.join(name), &line);
}

#[test]
fn a_source_goes_on_when_it_turns_grey() {
    let folder = tempfile::tempdir().unwrap();
    for (name, format) in [("a.png", "RGB"), ("b.png", "GRAY8"), ("c.png", "RGB")] {
        png(folder.path(), name, format);
    }
    let report = watched(&format!("images:{}", folder.path().display()), &[]);
    assert_eq!(report["frames"], 3, "{report}");
}

#[test]
fn every_photograph_is_turned_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let photo = |name: &str, width: u32, height: u32, exif: &[u8]| {
        let path = folder.path().join(name);
        let shape = format!("video/x-raw,format=I420,width={width},height={height}");
        film(
            &path,
            &format!("videotestsrc num-buffers=1 ! {shape} ! jpegenc"),
        );
        let mut file = std::fs::read(&path).unwrap();
        file.splice(2..2, exif.iter().copied());
        std::fs::write(path, file).unwrap();
    };
    // To be turned to the right.
    let right =
        b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    photo("a.jpg", 64, 48, right);
    photo("b.jpg", 48, 64, b"");
    photo("c.jpg", 64, 48, right);
    let raw = folder.path().join("o.raw");
    let source = format!("images:{}", folder.path().display());
    let sink = format!("raw:{}", raw.display());
    let output = watch(&source, &["--bypass", "--sink", &sink]);
    assert!(output.status.success(), "{}", said(&output));
    // All have one shape now.
    assert!(!said(&output).contains("scaled"), "{}", said(&output));
    let bytes = std::fs::read(raw).unwrap();
    let pictures: Vec<_> = bytes.chunks(48 * 64 * 3 / 2).collect();
    assert_eq!(pictures.len(), 3);
    // Of the bars in the upper part of the scene, the first is bright and the last is dark.
    for (picture, bright, dark) in [
        (0, (40, 1), (40, 62)),
        (1, (1, 8), (46, 8)),
        (2, (40, 1), (40, 62)),
    ] {
        let luma = |(x, y): (usize, usize)| pictures[picture][y * 48 + x];
        assert!(luma(bright) > 150 && luma(dark) < 80, "{picture}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_in_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    let sound = folder.path().join("sound.wav");
    film(&sound, "audiotestsrc num-buffers=50 ! wavenc");
    let error = unseen(sound.to_str().unwrap(), &[]);
    assert!(
        error.contains("sound.wav holds no picture: there is only sound in it"),
        "{error}"
    );

    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let error = unseen(pipe.to_str().unwrap(), &[]);
    assert!(error.contains("it is a pipe; give it as"), "{error}");

    for name in ["a.png", "b.png", "c.png"] {
        png(folder.path(), name, "RGB");
    }
    let broken = folder.path().join("b.png");
    let mut bytes = std::fs::read(&broken).unwrap();
    let data = bytes.windows(4).position(|four| four == b"IDAT").unwrap();
    bytes[data + 20] ^= 0xff;
    std::fs::write(&broken, bytes).unwrap();
    let output = watch(&format!("images:{}", folder.path().display()), &[]);
    // The decoder's library says something of its own before.
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{error}");
    assert!(error.trim_end().ends_with("b.png"), "{error}");
}

#[test]
fn the_full_range_of_an_mp4_file_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    film(
        &path,
        "videotestsrc num-buffers=5 ! video/x-raw,format=I420,width=64,height=48,colorimetry=1:4:7:1 \
         ! x264enc ! mp4mux",
    );
    // A sink that takes nothing else.
    let sink = "gst:capsfilter caps=video/x-raw,colorimetry=1:4:7:1 ! fakesink";
    let report = watched(path.to_str().unwrap(), &["--sink", sink]);
    assert_eq!(report["frames"], 5, "{report}");
}

/// From black to white as a PNG of the given format.
fn ramp(folder: &Path, name: &str, format: &str) {
    let raw = folder.join("ramp.raw");
    let row = RAMP.map(|value| [value; 8]).concat();
    std::fs::write(&raw, row.repeat(48)).unwrap();
    let line = format!(
        "filesrc location={} ! rawvideoparse format=gray8 width=64 height=48 framerate=10/1 \
         ! videoconvert ! video/x-raw,format={format} ! pngenc",
        raw.display()
    );
    film(&folder.join(name), &line);
}

const RAMP: [u8; 8] = [0, 7, 15, 31, 127, 231, 239, 255];

/// The ramp in the last frame of a file in RGB.
fn last_ramp(file: &Path) -> [u8; 8] {
    let bytes = std::fs::read(file).unwrap();
    let frame = bytes.rchunks(64 * 48 * 3).next().unwrap();
    std::array::from_fn(|step| frame[(24 * 64 + 8 * step + 4) * 3])
}

#[test]
fn grey_keeps_its_contrast() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let same = |what: &str, shown: [u8; 8]| {
        let near = shown.iter().zip(RAMP).all(|(a, b)| a.abs_diff(b) <= 4);
        assert!(near, "{what}: {shown:?}");
    };
    let seen = |source: &str| {
        let raw = at("seen.raw");
        let sink = format!(
            "gst:videoconvert ! video/x-raw,format=RGB ! filesink location={}",
            raw.display()
        );
        let output = watch(source, &["--bypass", "--sink", &sink]);
        assert!(output.status.success(), "{}", said(&output));
        last_ramp(&raw)
    };
    std::fs::create_dir(at("grey")).unwrap();
    ramp(&at("grey"), "a.png", "GRAY8");
    let source = format!("images:{}", at("grey").display());
    for file in ["x.mp4", "x.mkv"].map(at) {
        let film = file.to_str().unwrap();
        let output = watch(&source, &["--bypass", "--sink", film]);
        assert!(output.status.success(), "{}", said(&output));
        same(film, seen(film));
    }
    // After a picture in colour.
    ramp(&at("grey"), "0.png", "RGB");
    same("RGB, grey", seen(&source));
}

#[test]
fn an_odd_width_comes_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    launch(&format!(
        "videotestsrc num-buffers=2 pattern=snow ! video/x-raw,format=Y42B,width=157,height=123 ! tee name=t \
         t. ! queue ! videoconvert ! video/x-raw,format=YUY2 ! filesink location={} \
         t. ! queue ! avenc_ffv1 ! matroskamux ! filesink location={}",
        at("in.raw"),
        at("film.mkv")
    ));
    let sink = format!(
        "gst:capsfilter caps=video/x-raw,format=YUY2 ! filesink location={}",
        at("out.raw")
    );
    let output = watch(&at("film.mkv"), &["--bypass", "--sink", &sink]);
    assert!(output.status.success(), "{}", said(&output));
    let pictures = ["in.raw", "out.raw"].map(|name| {
        let mut bytes = std::fs::read(at(name)).unwrap();
        // Of the last two pixels in a row the second is none, and nobody writes it.
        bytes.chunks_mut(316).for_each(|row| row[314] = 0);
        bytes
    });
    assert!(pictures[0] == pictures[1]);
}

#[test]
fn a_test_scene_of_one_column_is_refused() {
    let error = unseen("test", &["--size", "1x480"]);
    assert!(error.contains("cannot be 1 pixel wide"), "{error}");
}

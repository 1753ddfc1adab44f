//! The bytes that come out: those that the engine predicts, and those of the camera where nothing is sharpened.

use std::path::{Path, PathBuf};

use hone_device::engine::{self, EngineOptions, FrameView, FrameViewMut, PixelFormat};

use super::{launch, names, report, run_as, student};

const SIZE: (usize, usize) = (64, 48);

/// `frames` frames of a moving scene as `in.FORMAT.raw`.
fn scene(folder: &Path, format: &str, frames: usize) -> PathBuf {
    let path = folder.join(format!("in.{format}.raw"));
    let (w, h) = SIZE;
    launch(&format!(
        "videotestsrc num-buffers={frames} pattern=zone-plate kx2=14 ky2=9 kt=2 \
         ! video/x-raw,format={format},width={w},height={h},framerate=30/1 ! filesink location={}",
        path.display()
    ));
    path
}

/// The launch line that reads such a file.
fn reader(path: &Path, format: &str) -> String {
    let format = format.to_lowercase();
    let (w, h) = SIZE;
    format!(
        "gst:filesrc location={} ! rawvideoparse format={format} width={w} height={h} framerate=30/1",
        path.display()
    )
}

/// What the engine itself makes of packed frames of `format`.
fn predicted(colour: &str, format: PixelFormat, frames: &[u8]) -> Vec<u8> {
    let model = std::fs::read(student(colour)).unwrap();
    let mut engine = engine::load(&model, EngineOptions::default()).unwrap();
    let (w, h) = SIZE;
    let mut out = vec![0; frames.len()];
    let size: usize = format.plane_sizes(w, h).iter().map(|(w, h)| w * h).sum();
    for (frame, out) in frames.chunks(size).zip(out.chunks_mut(size)) {
        let frame = FrameView::packed(format, w, h, frame).unwrap();
        let mut out = FrameViewMut::packed(format, w, h, out).unwrap();
        engine.run(&frame, &mut out, 1.0).unwrap();
    }
    out
}

#[test]
fn what_honed_puts_out_is_what_the_engine_predicts() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("luma", "GRAY8", PixelFormat::Gray8),
        ("rgb", "RGB", PixelFormat::Rgb8),
        ("luma", "YUY2", PixelFormat::Yuyv),
    ];
    for (colour, name, format) in cases {
        let input = scene(folder.path(), name, 7);
        let output = run_as(
            folder.path(),
            colour,
            &[
                "--source",
                &reader(&input, name),
                "--sink",
                "raw:out.raw",
                "--json",
            ],
        );
        let report = report(&output);
        assert_eq!(report["frames"], 7, "{report}");
        assert_eq!(report["sharpened"], 7);
        assert_eq!(report["dropped"], 0);
        let frames = std::fs::read(&input).unwrap();
        let out = std::fs::read(folder.path().join("out.raw")).unwrap();
        assert!(out == predicted(colour, format, &frames), "{name}");
        assert!(out != frames, "{name}");
    }
}

#[test]
fn strength_0_and_bypass_give_the_bytes_of_every_format() {
    let folder = tempfile::tempdir().unwrap();
    for (colour, format) in [
        ("luma", "NV12"),
        ("luma", "I420"),
        ("luma", "YUY2"),
        ("luma", "GRAY8"),
        ("rgb", "RGB"),
    ] {
        let input = scene(folder.path(), format, 3);
        let source = reader(&input, format);
        let sink = format!("raw:{format}.raw");
        for untouched in [["--strength", "0"].as_slice(), &["--bypass"]] {
            let mut arguments = vec!["--source", &source, "--sink", &sink, "--json"];
            arguments.extend(untouched);
            let report = report(&run_as(folder.path(), colour, &arguments));
            assert_eq!(report["untouched"], 3);
            let out = folder.path().join(format!("{format}.raw"));
            assert!(
                std::fs::read(&out).unwrap() == std::fs::read(&input).unwrap(),
                "{format}"
            );
            std::fs::remove_file(out).unwrap();
        }
    }
}

#[test]
fn images_go_in_and_come_out_without_loss() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    launch(&format!(
        "videotestsrc num-buffers=5 pattern=zone-plate kx2=14 ky2=9 kt=2 \
         ! video/x-raw,format=RGB,width=64,height=48,framerate=30/1 ! pngenc \
         ! multifilesink location={}/in/%03d.png",
        folder.path().display()
    ));
    let arguments = [
        "--source",
        "images:in",
        "--sink",
        "frames:out",
        "--strength",
        "0",
        "--json",
    ];
    let output = run_as(folder.path(), "rgb", &arguments);
    let report = report(&output);
    assert_eq!(report["frames"], 5);
    let out = folder.path().join("out");
    let want: Vec<String> = (0..5).map(|i| format!("{i:06}.png")).collect();
    assert_eq!(names(&out), want);
    for i in 0..5 {
        let before = std::fs::read(folder.path().join(format!("in/{i:03}.png"))).unwrap();
        let after = std::fs::read(out.join(format!("{i:06}.png"))).unwrap();
        assert!(before == after, "frame {i}");
    }
}

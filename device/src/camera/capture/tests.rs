//! Sources on real GStreamer that come when the outputs have their shape already.

use std::time::Instant;

use super::*;

/// The first frame of `line` brought to `caps`.
fn first(line: &str, caps: &str) -> (gst::Caps, Vec<u8>) {
    elements::start().unwrap();
    let spec: SourceSpec = format!("gst:{line}").parse().unwrap();
    let sharpener = Arc::new(Sharpener::new(Vec::new(), Arc::default()).unwrap());
    let timeline = Timeline::starting_now();
    let shape: gst::Caps = caps.parse().unwrap();
    let mut capture = Capture::start(&spec, &sharpener, &timeline, Some(&shape)).unwrap();
    let begun = Instant::now();
    loop {
        let next = capture.next(Duration::from_millis(50)).unwrap();
        if let Next::Frame(frame) = next {
            let map = frame.buffer.map_readable().unwrap();
            return (frame.caps.clone(), map.to_vec());
        }
        assert!(matches!(next, Next::Waiting), "{line}: {next:?}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{line}");
    }
}

#[test]
fn a_source_that_leaves_its_caps_to_a_filter_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("frames.raw");
    std::fs::write(&raw, [128; 3 * 64 * 48 * 2]).unwrap();
    let line = format!(
        "filesrc location={} blocksize={} ! video/x-raw,format=YUY2,width=64,height=48,framerate=30/1",
        raw.display(),
        64 * 48 * 2
    );
    let kept = "video/x-raw,format=YUY2,width=32,height=24,framerate=30/1";
    let (caps, bytes) = first(&line, kept);
    let info = gstreamer_video::VideoInfo::from_caps(&caps).unwrap();
    assert_eq!((info.width(), info.height()), (32, 24));
    assert_eq!(bytes.len(), 32 * 24 * 2);
}

#[test]
fn colours_are_those_that_the_shape_stands_for() {
    let red = |colour: &str, size: &str, kept: &str| {
        let line = format!(
            "videotestsrc num-buffers=2 pattern=red ! video/x-raw,format=I420,{size},framerate=30/1,colorimetry={colour}"
        );
        let caps = format!("video/x-raw,format=I420,{kept},framerate=30/1");
        let (caps, bytes) = first(&line, &caps);
        let info = gstreamer_video::VideoInfo::from_caps(&caps).unwrap();
        // In the middle, where no border is.
        bytes[(info.stride()[0] as u32 * info.height() / 2 + info.width() / 2) as usize]
    };
    // The luma of red by BT.601 is 81, by BT.709 it is 63.
    let (small, large) = ("width=64,height=48", "width=1280,height=720");
    for (colour, size, kept, luma) in [
        ("bt601", small, large, 63),
        ("bt601", large, large, 63),
        ("bt709", large, large, 63),
        ("bt709", small, small, 81),
        ("bt601", small, small, 81),
    ] {
        let seen = red(colour, size, kept);
        assert!(seen.abs_diff(luma) <= 3, "{colour} {size} {kept}: {seen}");
    }
}

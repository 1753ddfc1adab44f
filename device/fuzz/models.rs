//! Damaged model files: an error or a student that runs, never a panic or a stray access.
#![no_main]

use hone_device::engine::{EngineOptions, FrameView, FrameViewMut, PixelFormat, load};
use hone_shared::student::Colour;
use libfuzzer_sys::fuzz_target;

/// What is more work than this is left alone.
const MAX_MACS_PER_PIXEL: f64 = 1e5;

fuzz_target!(|model: &[u8]| {
    let options = EngineOptions {
        threads: 1,
        ..EngineOptions::default()
    };
    let Ok(mut engine) = load(model, options) else {
        return;
    };
    let student = engine.student();
    if !engine.executor().fused || student.macs_per_pixel > MAX_MACS_PER_PIXEL {
        return;
    }
    let (format, planes) = match student.colour {
        Colour::Luma => (PixelFormat::Gray8, 1),
        Colour::Rgb => (PixelFormat::Rgb8, 3),
    };
    let (width, height) = (13, 9);
    let bytes = vec![77; width * height * planes];
    let mut out = vec![0; bytes.len()];
    let frame = FrameView::packed(format, width, height, &bytes);
    let view = FrameViewMut::packed(format, width, height, &mut out);
    if let (Ok(frame), Ok(mut view)) = (frame, view) {
        // What a student full of nonsense gives does not matter.
        let _ = engine.run(&frame, &mut view, 1.0);
    }
});

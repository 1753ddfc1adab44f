//! An INT8 student gives the same bytes on every machine and with every instruction set: those that
//! `tests/data/make_students.py` computed in numpy. On a workstation this tests the x86 kernels, under
//! `make arm` the NEON ones.
#![allow(clippy::unwrap_used)] // the lint's exception for tests does not reach a whole file

use hone_device::engine::{EngineOptions, FrameView, FrameViewMut, Isa, PixelFormat, load};

const MODEL: &[u8] = include_bytes!("data/luma.int8.onnx");
const FRAME: &[u8] = include_bytes!("data/frame.gray8");
const SHARPENED: &[u8] = include_bytes!("data/frame.int8.gray8");
const SIZE: (usize, usize) = (96, 64);

#[test]
fn an_int8_student_gives_the_bytes_that_numpy_computed() {
    assert_ne!(FRAME, SHARPENED);
    for isa in Isa::available() {
        for threads in [1, 3] {
            let options = EngineOptions {
                threads,
                isa: Some(isa),
                ..EngineOptions::default()
            };
            let mut engine = load(MODEL, options).unwrap();
            let (width, height) = SIZE;
            let input = FrameView::packed(PixelFormat::Gray8, width, height, FRAME).unwrap();
            let mut out = vec![0; FRAME.len()];
            let mut view =
                FrameViewMut::packed(PixelFormat::Gray8, width, height, &mut out).unwrap();
            engine.run(&input, &mut view, 1.0).unwrap();
            let wrong = out.iter().zip(SHARPENED).filter(|(a, b)| a != b).count();
            assert_eq!(wrong, 0, "bytes differ with {}", engine.description());
        }
    }
}

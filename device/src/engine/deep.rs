//! Students so deep that jobs which begin within the frame look beyond its left edge.

use hone_shared::student::Colour;

use super::sample::{self, Numbers};
use super::tests::{options, run};
use super::*;

#[test]
fn a_frame_restored_again_is_the_same() {
    let mut channels = vec![64; 27];
    (channels[0], channels[26]) = (1, 1);
    let mut chain = sample::chain(Colour::Luma, 1, &channels, 3);
    // As loud as initial weights are, so that what happens at an edge is still seen 26 layers on.
    for layer in &mut chain.layers {
        layer.weights.iter_mut().for_each(|w| *w *= 3f32.sqrt());
    }
    if let Some(last) = chain.layers.last_mut() {
        last.weights.iter_mut().for_each(|w| *w *= 0.05);
    }
    let (width, height) = (160, 24);
    let bytes = Numbers(6).bytes(width * height);
    for isa in Isa::available() {
        let executor = EngineOptions {
            isa: Some(isa),
            ..options(1)
        };
        let mut engine = load(&sample::onnx(&chain), executor).unwrap();
        let mut again = || {
            let size = (width, height);
            run(&mut *engine, PixelFormat::Gray8, size, &bytes, 1.0)
        };
        let first = again();
        assert_ne!(first, bytes);
        assert_eq!(first, again());
    }
}

//! Students of random shapes on frames of random sizes: every executor gives what tract gives.

use hone_shared::student::{Colour, ConvChain};

use super::sample::{self, Numbers};
use super::{EngineOptions, FrameView, FrameViewMut, Isa, PixelFormat, load};

/// One number below `end`.
fn below(numbers: &mut Numbers, end: usize) -> usize {
    (numbers.next() % end as u64) as usize
}

/// A chain of one to four layers with up to 40 channels between them; every other one is temporal.
pub fn chain(numbers: &mut Numbers) -> ConvChain {
    let colour = [Colour::Luma, Colour::Rgb][below(numbers, 2)];
    let scale = [1, 2, 4][below(numbers, 3)];
    let ends = colour.channels() * scale * scale;
    let mut channels = vec![ends * (1 + below(numbers, 2))];
    for _ in 0..below(numbers, 4) {
        channels.push(1 + below(numbers, 40));
    }
    channels.push(ends);
    let mut chain = sample::chain(colour, scale, &channels, numbers.next());
    chain.limited = below(numbers, 2) == 0;
    for layer in &mut chain.layers {
        if below(numbers, 4) == 0 {
            layer.kernel = 1;
            layer.weights.truncate(layer.inputs * layer.outputs);
        }
    }
    chain
}

/// Runs `chain` on a frame of noise with every executor of this machine.
pub fn compare(chain: &ConvChain, (width, height): (usize, usize), numbers: &mut Numbers) {
    let format = match chain.colour {
        Colour::Luma => PixelFormat::Gray8,
        Colour::Rgb => PixelFormat::Rgb8,
    };
    let bytes = numbers.bytes(width * height * chain.colour.channels());
    let threads = 1 + below(numbers, 3);
    let model = sample::onnx(chain);
    let run = |tract_only, isa| {
        let options = EngineOptions {
            threads,
            tract_only,
            isa: Some(isa),
            ..EngineOptions::default()
        };
        let mut engine = load(&model, options).unwrap();
        let mut out = vec![0; bytes.len()];
        let frame = FrameView::packed(format, width, height, &bytes).unwrap();
        let mut view = FrameViewMut::packed(format, width, height, &mut out).unwrap();
        engine.run(&frame, &mut view, 1.0).unwrap();
        (out, engine.description())
    };
    let (want, _) = run(true, Isa::Scalar);
    for isa in Isa::available() {
        let (got, name) = run(false, isa);
        assert!(name.starts_with("fused"), "{name}");
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            // Residuals differ in their last bits, so a tie may round the other way.
            assert!(
                got.abs_diff(*want) <= 1,
                "{name}, {width}x{height}, sample {i}: {got}, tract {want}"
            );
        }
        let differing = got.iter().zip(&want).filter(|(a, b)| a != b).count();
        assert!(
            differing <= 2 + got.len() / 200,
            "{name}, {width}x{height}: {differing} differ"
        );
    }
}

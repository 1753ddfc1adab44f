//! Frames that find faults: flat, extreme, natural-looking, of odd sizes.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Bytes `[H,W,C]` and what they show.
#[derive(Debug, Clone)]
pub struct ProbeFrame {
    /// What it shows, with its size.
    pub name: String,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Interleaved samples.
    pub bytes: Vec<u8>,
}

/// Frames of `channels` planes; sides are multiples of `multiple`, odd multiples among them.
pub fn probe_frames(channels: usize, multiple: usize) -> Vec<ProbeFrame> {
    let sizes = [(12, 15), (9, 5), (1, 1), (17, 8)].map(|(h, w)| (h * multiple, w * multiple));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut frames = Vec::new();
    for (i, (height, width)) in sizes.into_iter().enumerate() {
        let mut add = |name: &str, sample: &mut dyn FnMut(usize, usize, usize) -> u8| {
            let mut bytes = Vec::with_capacity(height * width * channels);
            for at in 0..height * width * channels {
                let pixel = at / channels;
                bytes.push(sample(pixel / width, pixel % width, at % channels));
            }
            let name = format!("{name} {width}x{height}");
            frames.push(ProbeFrame {
                name,
                height,
                width,
                bytes,
            });
        };
        add("noise", &mut |_, _, _| rng.random());
        add("saturated noise", &mut |_, _, _| {
            if rng.random() { 255 } else { 0 }
        });
        add("checkerboard", &mut |y, x, _| {
            if (x + y) % 2 == 0 { 255 } else { 0 }
        });
        add("gradient with edges", &mut |y, x, c| {
            let slope = 3 * x + 2 * y + 40 * c;
            if (x / 6 + y / 7) % 3 == 0 {
                230 - (slope / 2 % 60) as u8
            } else {
                (slope % 200) as u8
            }
        });
        if i == 0 {
            add("black", &mut |_, _, _| 0);
            add("white", &mut |_, _, _| 255);
        }
    }
    frames
}

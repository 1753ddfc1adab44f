//! Random students on random frames: every instruction set of this machine against tract.
#![no_main]

use hone_device::engine::{EngineOptions, FrameView, FrameViewMut, Isa, PixelFormat, load};
use libfuzzer_sys::fuzz_target;

#[path = "../src/engine/random.rs"]
mod random;
#[path = "../src/engine/sample/mod.rs"]
#[allow(dead_code, unused_imports)]
mod sample;

fuzz_target!(|input: (u64, u8, u8)| {
    let (seed, width, height) = input;
    let mut numbers = sample::Numbers(seed);
    let chain = random::chain(&mut numbers);
    let size = (1 + usize::from(width), 1 + usize::from(height) % 64);
    random::compare(&chain, size, &mut numbers);
});

//! What this machine's kernels reach on data in the first-level cache.

use std::time::{Duration, Instant};

use hone_shared::student::Precision;

use super::kernels::{SLACK, f32, int8};
use crate::engine::fused::Buffer;
use crate::engine::isa::Isa;
use crate::engine::pool::Pool;

/// Input channels: as many as fit the first-level cache with their weights.
const INPUTS: usize = 32;
/// Pixels or tiles of one call.
const PIXELS: usize = 24;
/// Calls timed together.
const CALLS: usize = 40;
/// How long to go on measuring, the best counts: longer than a scheduler leaves a thread waiting.
const LASTING: Duration = Duration::from_millis(100);

/// 10^9 multiply-accumulates a second on every thread of `pool` together.
pub(super) fn peak(isa: Isa, precision: Precision, pool: &mut Pool) -> f64 {
    let threads = pool.threads();
    let mut best = 0.0_f64;
    let begun = Instant::now();
    while begun.elapsed() < LASTING {
        let start = Instant::now();
        // A panic in plain arithmetic is out of the question; the time would only be short.
        let done = pool.run(&|_| match precision {
            Precision::F32 => f32_block(isa),
            Precision::Int8 => int8_block(isa),
        });
        let macs = match precision {
            Precision::F32 => 9 * INPUTS * f32::kernels(isa).lanes * f32::kernels(isa).most_vectors,
            Precision::Int8 => 9 * INPUTS * 4 * int8::kernels(isa).wide.lanes,
        };
        let rate = (macs * PIXELS * CALLS * threads) as f64 / start.elapsed().as_secs_f64() / 1e9;
        if done.is_ok() {
            best = best.max(rate);
        }
    }
    best
}

fn f32_block(isa: Isa) {
    let kernels = f32::kernels(isa);
    let outputs = kernels.lanes * kernels.most_vectors;
    let input = Buffer::<f32>::new((PIXELS + 2 + SLACK) * INPUTS);
    let weights = Buffer::<f32>::new(9 * INPUTS * outputs);
    let bias = Buffer::<f32>::new(outputs);
    let mut out = Buffer::<f32>::new((PIXELS + SLACK) * outputs);
    let direct = f32::Direct {
        pixels: PIXELS,
        rows: [input.as_ptr(); 3],
        taps: 3,
        inputs: INPUTS,
        vectors: kernels.most_vectors,
        weights: weights.as_ptr(),
        bias: bias.as_ptr(),
        activation: f32::Activation::Relu,
        out: out.as_mut_ptr(),
    };
    for _ in 0..CALLS {
        // SAFETY: the buffers above have SLACK pixels to spare.
        unsafe { (kernels.direct)(&direct) };
    }
    std::hint::black_box(&out[0]);
}

fn int8_block(isa: Isa) {
    let kernel = int8::kernels(isa).wide;
    let outputs = 4 * kernel.lanes;
    let input = Buffer::<u8>::new((PIXELS + 2 + SLACK) * INPUTS);
    let weights = Buffer::<u8>::new(9 * INPUTS * outputs * 2);
    let (bias, multiplier) = (Buffer::<i32>::new(outputs), Buffer::<f32>::new(outputs));
    let mut out = Buffer::<u8>::new((PIXELS + SLACK) * outputs);
    let row = int8::Row {
        pixels: PIXELS,
        rows: [input.as_ptr(); 3],
        taps: 3,
        stride: INPUTS,
        vectors: 4,
        weights: weights.as_ptr(),
        bias: bias.as_ptr(),
        multiplier: multiplier.as_ptr(),
        zero: 0,
        out: int8::Out::Bytes(out.as_mut_ptr()),
    };
    for _ in 0..CALLS {
        // SAFETY: the buffers above have SLACK pixels to spare; packed weights take at most two
        // bytes each.
        unsafe { (kernel.row)(&row) };
    }
    std::hint::black_box(&out[0]);
}

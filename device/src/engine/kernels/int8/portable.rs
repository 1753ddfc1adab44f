//! Plain Rust: the arithmetic as the contract words it.

use super::{Int8Kernel, Int8Kernels, Out, Row, Unpacked};

/// Output channels are padded to this, so that the next layer's inputs are a multiple of 4.
const LANES: usize = 4;

pub(super) static PORTABLE: Int8Kernels = Int8Kernels {
    flip: 0,
    wide: Int8Kernel {
        lanes: LANES,
        pack,
        row,
    },
    narrow: None,
    winograd: None,
    winograd_narrow: None,
};

/// `[output][kernel row][run]`.
fn pack(layer: &Unpacked<'_>) -> Vec<u8> {
    let run = layer.taps * layer.stride;
    let mut packed = Vec::new();
    for o in 0..layer.outputs.next_multiple_of(LANES) {
        for row in 0..layer.taps {
            packed.extend((0..run).map(|at| layer.weight(o, row, at) as u8));
        }
    }
    packed
}

unsafe fn row(row: &Row) {
    let (run, outputs) = (row.taps * row.stride, row.vectors * LANES);
    for pixel in 0..row.pixels {
        for o in 0..outputs {
            // SAFETY: the caller's rows hold the pixels and their halo, bias, multipliers and
            // weights every output, out every pixel.
            unsafe {
                let mut sum = *row.bias.add(o);
                for (tap, from) in row.rows.iter().take(row.taps).enumerate() {
                    let from = std::slice::from_raw_parts(from.add(pixel * row.stride), run);
                    let weights = row.weights.add((o * row.taps + tap) * run);
                    let weights = std::slice::from_raw_parts(weights, run);
                    for (&a, &w) in from.iter().zip(weights) {
                        sum += i32::from(a) * i32::from(w as i8);
                    }
                }
                let value = sum as f32 * *row.multiplier.add(o);
                let at = pixel * outputs + o;
                match row.out {
                    Out::Bytes(to) => {
                        let rounded = value.round_ties_even() as i32 + row.zero;
                        *to.add(at) = rounded.clamp(0, 255) as u8;
                    }
                    Out::Floats(to) => *to.add(at) = value,
                }
            }
        }
    }
}

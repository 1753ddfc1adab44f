//! Every kernel of this machine against plain sums, to the last bit.

use super::*;
use crate::engine::fused::Buffer;
use crate::engine::kernels::SLACK;
use crate::engine::sample::Numbers;

struct Case {
    inputs: usize,
    outputs: usize,
    taps: usize,
    pixels: usize,
    extreme: bool,
}

fn check(isa: Isa, kernel: &Int8Kernel, flip: u8, floats: bool, case: &Case) {
    let mut numbers = Numbers(11);
    let stride = case.inputs.next_multiple_of(4);
    let (taps, pixels) = (case.taps, case.pixels);
    let count = case.outputs * case.inputs * taps * taps;
    let weights: Vec<i8> = numbers
        .bytes(count)
        .into_iter()
        .map(|b| {
            if case.extreme {
                -127
            } else {
                (b as i8).max(-127)
            }
        })
        .collect();
    let columns = pixels + taps - 1;
    let mut rows = [(); 3].map(|()| Buffer::<u8>::new((columns + SLACK + 4) * stride));
    for row in &mut rows {
        let bytes = numbers.bytes(row.len());
        row.copy_from_slice(&bytes);
        if case.extreme {
            row.fill(255);
        }
    }
    let outputs = case.outputs.next_multiple_of(kernel.lanes);
    let mut bias = vec![0; outputs.max(16)];
    let mut multiplier = vec![0.0; outputs.max(16)];
    for o in 0..case.outputs {
        bias[o] = (numbers.unit() * 5000.0) as i32;
        multiplier[o] = (0.5 + numbers.unit().abs()) / (100.0 * (taps * case.inputs) as f32);
    }
    let zero = if case.extreme { 200 } else { 3 };

    let mut want = Vec::new();
    for p in 0..pixels {
        for o in 0..case.outputs {
            let mut sum = bias[o];
            for ky in 0..taps {
                for kx in 0..taps {
                    for i in 0..case.inputs {
                        let a = rows[ky][(p + kx) * stride + i];
                        let w = weights[((o * case.inputs + i) * taps + ky) * taps + kx];
                        sum += i32::from(a) * i32::from(w);
                    }
                }
            }
            let value = sum as f32 * multiplier[o];
            want.push(if floats {
                value
            } else {
                (value.round_ties_even() + zero as f32).clamp(0.0, 255.0)
            });
        }
    }

    let unpacked = Unpacked {
        weights: &weights,
        outputs: case.outputs,
        inputs: case.inputs,
        stride,
        taps,
    };
    let packed = (kernel.pack)(&unpacked);
    // Flipped activations are less by 128, or by 0.
    for o in 0..case.outputs {
        let each = case.inputs * taps * taps;
        let sum: i32 = weights[o * each..][..each]
            .iter()
            .map(|&w| i32::from(w))
            .sum();
        bias[o] += i32::from(flip) * sum;
    }
    for row in &mut rows {
        row.iter_mut().for_each(|b| *b ^= flip);
    }
    let mut bytes = vec![0_u8; (pixels + SLACK) * outputs];
    let mut numbers = vec![0.0_f32; (pixels + SLACK) * outputs];
    let row = Row {
        pixels,
        rows: [rows[0].as_ptr(), rows[1].as_ptr(), rows[2].as_ptr()],
        taps,
        stride,
        vectors: outputs / kernel.lanes,
        weights: packed.as_ptr(),
        bias: bias.as_ptr(),
        multiplier: multiplier.as_ptr(),
        zero,
        out: if floats {
            Out::Floats(numbers.as_mut_ptr())
        } else {
            Out::Bytes(bytes.as_mut_ptr())
        },
    };
    // SAFETY: the buffers above have SLACK pixels to spare, and the caller asks for kernels of this
    // machine only.
    unsafe { (kernel.row)(&row) };
    for (i, want) in want.into_iter().enumerate() {
        let at = i / case.outputs * outputs + i % case.outputs;
        let got = if floats {
            numbers[at]
        } else {
            f32::from(bytes[at] ^ flip)
        };
        let name = isa.name();
        assert_eq!(
            got.to_bits(),
            want.to_bits(),
            "{name}, {} to {} channels, {taps} taps, sample {i}: {got}, expected {want}",
            case.inputs,
            case.outputs
        );
    }
}

#[test]
fn kernels_are_exact() {
    for isa in Isa::available() {
        let kernels = kernels(isa);
        for (inputs, outputs) in [
            (1, 1),
            (3, 16),
            (4, 4),
            (12, 33),
            (16, 48),
            (48, 20),
            (64, 64),
        ] {
            for (taps, pixels) in [(1, 1), (3, 1), (3, 7), (1, 30), (3, 61)] {
                for extreme in [false, true] {
                    let case = Case {
                        inputs,
                        outputs,
                        taps,
                        pixels,
                        extreme,
                    };
                    check(isa, &kernels.wide, kernels.flip, false, &case);
                    check(isa, &kernels.wide, kernels.flip, true, &case);
                    if let Some(narrow) = kernels.narrow.as_ref().filter(|_| outputs <= 4) {
                        check(isa, narrow, kernels.flip, true, &case);
                    }
                }
            }
        }
    }
}

#[test]
fn settling_rounds_half_to_even() {
    let mut values = [0.5, 1.5, -0.5, -1.5, 300.0, -300.0, 2.4];
    settle(&mut values, -128.0, 127.0);
    assert_eq!(values, [0.0, 2.0, 0.0, -2.0, 127.0, -128.0, 2.0]);
}

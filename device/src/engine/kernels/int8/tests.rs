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

/// Two rows at once against one after the other.
#[test]
fn pairs_of_rows_are_two_rows() {
    for isa in Isa::available() {
        let kernels = kernels(isa);
        let Some(kernel) = kernels.pair else {
            continue;
        };
        for (inputs, outputs, tiles) in [(16, 8, 1), (16, 4, 13), (32, 33, 7), (64, 64, 25)] {
            for extreme in [None, Some((255, -128)), Some((255, 127))] {
                check_pair(kernels, kernel, (inputs, outputs, tiles), extreme);
            }
        }
    }
}

/// `extreme` gives every activation and every weight.
fn check_pair(
    kernels: &Int8Kernels,
    kernel: &PairKernel,
    (inputs, outputs, tiles): (usize, usize, usize),
    extreme: Option<(u8, i8)>,
) {
    let mut numbers = Numbers(5);
    let (wide, pixels) = (kernels.wide, 2 * tiles);
    let padded = outputs.next_multiple_of(wide.lanes);
    let weights = numbers.bytes(9 * inputs * outputs).into_iter();
    let weights: Vec<i8> = weights.map(|b| extreme.map_or(b as i8, |e| e.1)).collect();
    let unpacked = Unpacked {
        weights: &weights,
        outputs,
        inputs,
        stride: inputs,
        taps: 3,
    };
    let input = [(); 4].map(|()| {
        let bytes = numbers.bytes((pixels + 2 + SLACK) * inputs).into_iter();
        bytes
            .map(|b| extreme.map_or(b, |e| e.0))
            .collect::<Vec<u8>>()
    });
    let bias: Vec<i32> = (0..padded).map(|_| (numbers.unit() * 9e4) as i32).collect();
    let multiplier = vec![1.3e-4; padded];
    let (one, two) = ((wide.pack)(&unpacked), (kernel.pack)(&unpacked));
    let mut got = [(); 2].map(|()| vec![0.0_f32; (pixels + SLACK) * padded]);
    let mut v = Buffer::<i16>::new(kernel.tiles * 16 * inputs);
    let mut m = Buffer::<i32>::new(kernel.tiles * 16 * padded);
    let pair = Pair {
        tiles,
        rows: input.each_ref().map(|r| r.as_ptr()),
        stride: inputs,
        vectors: padded / wide.lanes,
        weights: two.as_ptr(),
        bias: bias.as_ptr(),
        multiplier: multiplier.as_ptr(),
        zero: 0,
        out: got.each_mut().map(|r| Out::Floats(r.as_mut_ptr())),
        v: v.as_mut_ptr(),
        m: m.as_mut_ptr(),
    };
    // SAFETY: the buffers above hold what the kernel asks for, and it is this machine's.
    unsafe { (kernel.run)(&pair) };
    for (y, got) in got.iter().enumerate() {
        let mut want = vec![0.0_f32; (pixels + SLACK) * padded];
        let row = Row {
            pixels,
            rows: [0, 1, 2].map(|r| input[y + r].as_ptr()),
            taps: 3,
            stride: inputs,
            vectors: padded / wide.lanes,
            weights: one.as_ptr(),
            bias: bias.as_ptr(),
            multiplier: multiplier.as_ptr(),
            zero: 0,
            out: Out::Floats(want.as_mut_ptr()),
        };
        // SAFETY: as above.
        unsafe { (wide.row)(&row) };
        let used = pixels * padded;
        assert!(
            want[..used] == got[..used],
            "{inputs} to {outputs}, {tiles} tiles, row {y}"
        );
    }
}

//! Four rows at once against one after the other, to the last bit.

use std::array::from_fn;

use super::super::{Int8Kernels, Out, Row, Unpacked, kernels};
use super::{MOST_INPUTS, MOST_SUM, TILE, Winograd, WinogradKernel};
use crate::engine::fused::Buffer;
use crate::engine::isa::Isa;
use crate::engine::kernels::SLACK;
use crate::engine::sample::Numbers;

/// Every activation as it lies and every weight, by input channel and place in the kernel.
type Extreme = (fn(usize) -> u8, fn(usize) -> i8);

#[test]
fn four_rows_are_four_rows() {
    let extremes: [Option<Extreme>; 4] = [
        None,
        Some((|_| 255, |_| -128)),
        Some((|_| 255, |_| 127)),
        Some((
            |i| if i % 2 == 0 { 255 } else { 0 },
            |i| {
                if i % 3 == 0 { 127 } else { -128 }
            },
        )),
    ];
    let mut tested = 0;
    for isa in Isa::available() {
        let kernels = kernels(isa);
        let both = [(kernels.winograd, false), (kernels.winograd_narrow, true)];
        for (kernel, narrow) in both.into_iter().filter_map(|(k, n)| Some((k?, n))) {
            for (inputs, outputs, tiles) in [
                (4, 12, 3),
                (4, 16, 15),
                (8, 8, 1),
                (8, 4, 25),
                (16, 4, 13),
                (12, 1, 5),
                (24, 20, 8),
                (32, 33, 7),
                (MOST_INPUTS, 16, 2),
            ] {
                if narrow && outputs > 4 {
                    continue;
                }
                for extreme in extremes {
                    for floats in [false, true].into_iter().filter(|f| *f || !narrow) {
                        check(kernels, kernel, (inputs, outputs, tiles), extreme, floats);
                        tested += 1;
                    }
                }
            }
            assert!(kernel.takes(3, 16, MOST_SUM - 1) && !kernel.takes(3, 16, MOST_SUM));
            assert!(!kernel.takes(1, 16, 0) && !kernel.takes(3, MOST_INPUTS + 16, 0));
        }
    }
    assert!(tested > 0 || Isa::available().all(|isa| kernels(isa).winograd.is_none()));
}

fn check(
    kernels: &Int8Kernels,
    kernel: &WinogradKernel,
    (inputs, outputs, tiles): (usize, usize, usize),
    extreme: Option<Extreme>,
    floats: bool,
) {
    let mut numbers = Numbers(5);
    assert!(kernel.takes(3, inputs, 0));
    let (wide, pixels) = (kernels.wide, TILE * tiles);
    let padded = outputs.next_multiple_of(wide.lanes);
    let own = outputs.next_multiple_of(kernel.lanes);
    let weights = numbers.bytes(9 * inputs * outputs).into_iter().enumerate();
    // SMULL's kernel takes no weight of -128.
    let least = if kernels.flip == 0 { i8::MIN } else { -127 };
    let weights: Vec<i8> = weights
        .map(|(i, b)| extreme.map_or(b as i8, |e| (e.1)(i)).max(least))
        .collect();
    let unpacked = Unpacked {
        weights: &weights,
        outputs,
        inputs,
        stride: inputs,
        taps: 3,
    };
    let input: [Vec<u8>; TILE + 2] = from_fn(|_| {
        let bytes = numbers.bytes((pixels + 2 + SLACK) * inputs).into_iter();
        let bytes = bytes
            .enumerate()
            .map(|(i, b)| extreme.map_or(b, |e| (e.0)(i)));
        bytes.map(|b| b ^ kernels.flip).collect()
    });
    let bias: Vec<i32> = (0..padded).map(|_| (numbers.unit() * 9e4) as i32).collect();
    let multiplier = vec![1.3e-4; padded];
    let (one, four) = ((wide.pack)(&unpacked), (kernel.pack)(&unpacked));
    let mut bytes: [Vec<u8>; TILE] = from_fn(|_| vec![0; (pixels + SLACK) * own]);
    let mut values: [Vec<f32>; TILE] = from_fn(|_| vec![0.0; (pixels + SLACK) * own]);
    let mut v = Buffer::<i16>::new((kernel.inputs)(inputs));
    let mut m = Buffer::<i32>::new(kernel.products(own));
    let winograd = Winograd {
        tiles,
        rows: from_fn(|r| input[r].as_ptr()),
        stride: inputs,
        vectors: own / kernel.lanes,
        weights: four.as_ptr(),
        bias: bias.as_ptr(),
        multiplier: multiplier.as_ptr(),
        zero: 3,
        out: from_fn(|r| match floats {
            true => Out::Floats(values[r].as_mut_ptr()),
            false => Out::Bytes(bytes[r].as_mut_ptr()),
        }),
        v: v.as_mut_ptr(),
        m: m.as_mut_ptr(),
    };
    // SAFETY: the buffers above hold what the kernel asks for, and it is this machine's.
    unsafe { (kernel.run)(&winograd) };
    for y in 0..TILE {
        let mut want_bytes = vec![0; (pixels + SLACK) * padded];
        let mut want_values = vec![0.0_f32; (pixels + SLACK) * padded];
        let row = Row {
            pixels,
            rows: [0, 1, 2].map(|r| input[y + r].as_ptr()),
            taps: 3,
            stride: inputs,
            vectors: padded / wide.lanes,
            weights: one.as_ptr(),
            bias: bias.as_ptr(),
            multiplier: multiplier.as_ptr(),
            zero: 3,
            out: match floats {
                true => Out::Floats(want_values.as_mut_ptr()),
                false => Out::Bytes(want_bytes.as_mut_ptr()),
            },
        };
        // SAFETY: as above.
        unsafe { (wide.row)(&row) };
        for (pixel, o) in (0..pixels).flat_map(|p| (0..outputs).map(move |o| (p, o))) {
            let (want, got) = (pixel * padded + o, pixel * own + o);
            assert!(
                want_bytes[want] == bytes[y][got] && want_values[want] == values[y][got],
                "{inputs} to {outputs}, {tiles} tiles, row {y}, pixel {pixel}, channel {o}"
            );
        }
    }
}

//! Direct convolution and Winograd's products of every instruction set, against plain f64 sums.

use super::*;
use crate::engine::fused::Buffer;
use crate::engine::kernels::{SLACK, split};
use crate::engine::sample::Numbers;

fn numbers(len: usize, seed: u64) -> Buffer<f32> {
    let mut numbers = Numbers(seed);
    let mut buffer = Buffer::new(len);
    buffer.iter_mut().for_each(|v| *v = numbers.unit());
    buffer
}

/// Index of weight (`row` of `rows`, output `o`) in blocks of vectors.
fn blocked(kernels: &F32Kernels, vectors: usize, rows: usize, row: usize, o: usize) -> usize {
    let mut start = 0;
    for q in split(vectors, kernels.most_vectors) {
        let width = q * kernels.lanes;
        if o < start + width {
            return start * rows + row * width + o - start;
        }
        start += width;
    }
    unreachable!("output {o} lies in a block")
}

fn close(name: &str, got: f32, want: f64) {
    assert!(
        (f64::from(got) - want).abs() < 1e-5 * (1.0 + want.abs()),
        "{name}: {got}, expected {want}"
    );
}

#[test]
fn direct_convolution_is_the_sum_of_products() {
    for isa in Isa::available() {
        let kernels = kernels(isa);
        for (inputs, vectors, taps, pixels) in [
            (4, 1, 3, 1),
            (12, 2, 3, 13),
            (4, 3, 1, 30),
            (48, 5, 3, 25),
            (8, 4, 1, 7),
        ] {
            let outputs = vectors * kernels.lanes;
            let input = [1, 2, 3].map(|s| numbers((pixels + 2 + SLACK) * inputs, s));
            let weights = numbers(taps * taps * inputs * outputs, 4);
            let bias = numbers(outputs, 5);
            let mut out = Buffer::<f32>::new((pixels + SLACK) * outputs);
            let direct = Direct {
                pixels,
                rows: [input[0].as_ptr(), input[1].as_ptr(), input[2].as_ptr()],
                taps,
                inputs,
                vectors,
                weights: weights.as_ptr(),
                bias: bias.as_ptr(),
                activation: Activation::Relu,
                out: out.as_mut_ptr(),
            };
            // SAFETY: the buffers have SLACK pixels to spare, the kernels are this machine's.
            unsafe { (kernels.direct)(&direct) };
            let run = taps * inputs;
            for p in 0..pixels {
                for o in 0..outputs {
                    let mut sum = f64::from(bias[o]);
                    for (tap, row) in input.iter().take(taps).enumerate() {
                        for at in 0..run {
                            let w = blocked(kernels, vectors, taps * run, tap * run + at, o);
                            sum += f64::from(row[p * inputs + at]) * f64::from(weights[w]);
                        }
                    }
                    close(isa.name(), out[p * outputs + o], sum.max(0.0));
                }
            }
        }
    }
}

#[test]
fn products_are_sums_over_inputs() {
    for isa in Isa::available() {
        let kernels = kernels(isa);
        for (vectors, tiles) in [(1, 1), (1, 24), (2, 13), (3, 8), (4, 7), (5, 24)] {
            for narrow in [false, true] {
                let inputs = 2 * kernels.lanes;
                let outputs = if narrow { 16 } else { vectors * kernels.lanes };
                let (v_stride, m_stride) = (36 * inputs + 16, 36 * outputs + 16);
                let v = numbers((tiles + SLACK) * v_stride, 1);
                let u = numbers(36 * inputs * outputs, 2);
                let mut m = Buffer::<f32>::new((tiles + SLACK) * m_stride);
                let multiply = Multiply {
                    tiles,
                    inputs,
                    vectors,
                    v: v.as_ptr(),
                    v_stride,
                    u: u.as_ptr(),
                    m: m.as_mut_ptr(),
                    m_stride,
                };
                let product = if narrow {
                    kernels.multiply_narrow
                } else {
                    kernels.multiply
                };
                // SAFETY: the buffers have SLACK tiles to spare, the kernels are this machine's.
                unsafe { product(&multiply) };
                for at in 0..tiles * 36 * outputs {
                    let (t, position, o) = (at / (36 * outputs), at / outputs % 36, at % outputs);
                    let sum: f64 = (0..inputs)
                        .filter(|i| !narrow || i % 4 == o % 4)
                        .map(|i| {
                            let w = if narrow {
                                position * inputs * 4 + i / 4 * 16 + o
                            } else {
                                position * inputs * outputs
                                    + blocked(kernels, vectors, inputs, i, o)
                            };
                            let v = v[t * v_stride + position * inputs + i];
                            f64::from(v) * f64::from(u[w])
                        })
                        .sum();
                    close(isa.name(), m[t * m_stride + position * outputs + o], sum);
                }
            }
        }
    }
}

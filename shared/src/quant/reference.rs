//! The definition in plain loops: slow, and what every fast version is compared with.

use super::{QuantChain, QuantConv, Residual, requantise};
use crate::limit;
use crate::tiling::block_order;

impl QuantChain {
    /// Residual bytes `[C,H,W]` of the frame bytes `[C,H,W]`, plane after plane. `height` and
    /// `width` are multiples of `scale`; `frame` holds `C * height * width` bytes, behind them for a
    /// temporal chain as many of the frame before as it was restored at strength 1.
    pub fn residual(&self, frame: &[u8], height: usize, width: usize) -> Vec<u8> {
        let planes = self.colour.channels();
        let seen = if self.is_temporal() {
            2 * planes
        } else {
            planes
        };
        let order = block_order(seen, self.scale, height, width);
        let mut bytes: Vec<u8> = order.iter().map(|&at| frame[at]).collect();
        let (rows, columns) = (height / self.scale, width / self.scale);
        for (i, layer) in self.layers.iter().enumerate() {
            let zero = i32::from(self.input_of(i).zero_point);
            bytes = layer.run(&bytes, rows, columns, zero, &self.multipliers(i));
        }
        let order = block_order(planes, self.scale, height, width);
        let mut residual = vec![0; bytes.len()];
        for (&at, byte) in order.iter().zip(bytes) {
            residual[at] = byte;
        }
        residual
    }

    /// The restored bytes `[C,H,W]` at `strength` in 0..=1; see [`QuantChain::residual`].
    pub fn restore(&self, frame: &[u8], height: usize, width: usize, strength: f32) -> Vec<u8> {
        let table = Residual::new(self.residual_affine(), strength);
        let residual = self.residual(frame, height, width);
        let pairs = frame.iter().zip(residual);
        let mut restored: Vec<u8> = pairs.map(|(&byte, q)| table.apply(byte, q)).collect();
        if self.limited {
            let planes = frame.chunks_exact(height * width);
            for (out, plane) in restored.chunks_exact_mut(height * width).zip(planes) {
                let (low, high) = limit::bounds(plane, height, width);
                for (out, (low, high)) in out.iter_mut().zip(low.into_iter().zip(high)) {
                    *out = (*out).clamp(low, high);
                }
            }
        }
        restored
    }
}

impl QuantConv {
    /// `[I,rows,columns]` to `[O,rows,columns]`; `zero` is the input's zero point.
    fn run(
        &self,
        x: &[u8],
        rows: usize,
        columns: usize,
        zero: i32,
        multipliers: &[f32],
    ) -> Vec<u8> {
        let (k, pad) = (self.kernel, self.kernel / 2);
        let mut out = Vec::with_capacity(self.outputs * rows * columns);
        let mut acc = vec![0i32; rows * columns];
        let taps = self.weights.chunks_exact(self.inputs * k * k);
        for ((weights, &bias), &multiplier) in taps.zip(&self.bias).zip(multipliers) {
            acc.fill(bias);
            for (at, &weight) in weights.iter().enumerate() {
                let (channel, ky, kx) = (at / (k * k), at / k % k, at % k);
                let plane = &x[channel * rows * columns..][..rows * columns];
                // Output column c reads column c + kx - pad, where that is inside the frame.
                let (first, last) = (pad.saturating_sub(kx), (columns + pad).saturating_sub(kx));
                for row in pad.saturating_sub(ky)..rows.min((rows + pad).saturating_sub(ky)) {
                    let line = &plane[(row + ky - pad) * columns..][..columns];
                    let sums = &mut acc[row * columns..][..columns];
                    for column in first..last.min(columns) {
                        let q = i32::from(line[column + kx - pad]);
                        sums[column] += (q - zero) * i32::from(weight);
                    }
                }
            }
            let zero_point = self.output.zero_point;
            out.extend(acc.iter().map(|&a| requantise(a, multiplier, zero_point)));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use crate::quant::{Affine, INPUT, QuantChain, QuantConv};
    use crate::student::Colour;

    /// A convolution written the obvious way, one output at a time.
    fn obvious(
        conv: &QuantConv,
        x: &[u8],
        rows: i64,
        columns: i64,
        zero: u8,
        scale: f32,
    ) -> Vec<u8> {
        let (k, pad) = (conv.kernel as i64, conv.kernel as i64 / 2);
        let mut out = Vec::new();
        for o in 0..conv.outputs {
            for row in 0..rows {
                for column in 0..columns {
                    let mut acc = i64::from(conv.bias[o]);
                    for (i, w) in conv.weights[o * conv.inputs * (k * k) as usize..]
                        .iter()
                        .take(conv.inputs * (k * k) as usize)
                        .enumerate()
                    {
                        let i = i as i64;
                        let (c, y, x_) = (i / (k * k), row + i / k % k - pad, column + i % k - pad);
                        let inside = (0..rows).contains(&y) && (0..columns).contains(&x_);
                        let q = if inside {
                            x[((c * rows + y) * columns + x_) as usize]
                        } else {
                            zero
                        };
                        acc += (i64::from(q) - i64::from(zero)) * i64::from(*w);
                    }
                    let m = (scale * conv.weight_scales[o]) / conv.output.scale;
                    let y = (acc as f32 * m).round_ties_even() + f32::from(conv.output.zero_point);
                    out.push(y.clamp(0.0, 255.0) as u8);
                }
            }
        }
        out
    }

    #[test]
    fn loops_agree_with_the_obvious_convolution() {
        let number = |i: usize| ((i * 2_654_435_761) >> 7) as u8;
        let conv = |inputs, outputs, kernel, zero_point| QuantConv {
            inputs,
            outputs,
            kernel,
            weights: (0..inputs * outputs * kernel * kernel)
                .map(|i| number(i).max(129) as i8)
                .collect(),
            weight_scales: (0..outputs).map(|o| 0.001 + 0.0003 * o as f32).collect(),
            bias: (0..outputs).map(|o| 3000 * o as i32 - 4000).collect(),
            output: Affine {
                scale: 0.02,
                zero_point,
            },
        };
        let layers = vec![conv(3, 4, 5, 30), conv(4, 3, 3, 128)];
        let chain = QuantChain {
            colour: Colour::Rgb,
            scale: 1,
            layers,
            limited: false,
        };
        assert_eq!(chain.validate(), Ok(()));
        for (rows, columns) in [(1, 1), (2, 9), (6, 3)] {
            let frame: Vec<u8> = (0..3 * rows * columns).map(|i| number(i + 9)).collect();
            let (r, c) = (rows as i64, columns as i64);
            let middle = obvious(&chain.layers[0], &frame, r, c, 0, INPUT.scale);
            let want = obvious(&chain.layers[1], &middle, r, c, 30, 0.02);
            assert_eq!(chain.residual(&frame, rows, columns), want);
            assert_eq!(chain.restore(&frame, rows, columns, 0.0), frame);
        }
    }
}

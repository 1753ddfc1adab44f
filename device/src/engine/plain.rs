//! What a chain must give, in plain loops of f64: the reference of the engine's tests.

use hone_shared::student::ConvChain;

/// A plain f64 run of the chain on interleaved bytes, those of the frame before behind each pixel's for
/// a temporal chain; sides are multiples of its scale. Gives the residual in bytes, interleaved.
fn reference(chain: &ConvChain, width: usize, height: usize, bytes: &[u8]) -> Vec<f64> {
    let (s, c) = (chain.scale, chain.colour.channels());
    let (w, h) = (width / s, height / s);
    // ONNX SpaceToDepth: channel (by * s + bx) * C + c.
    let place = |x: usize, y: usize, k: usize, c: usize| {
        let (by, bx, plane) = (k / (s * c), k / c % s, k % c);
        ((y * s + by) * width + x * s + bx) * c + plane
    };
    let seen = bytes.len() / (width * height);
    let (ends, start) = (s * s * c, s * s * seen);
    let mut map = vec![0.0; w * h * start];
    for y in 0..h {
        for x in 0..w {
            for k in 0..start {
                map[(y * w + x) * start + k] = f64::from(bytes[place(x, y, k, seen)]) / 255.0;
            }
        }
    }
    for layer in &chain.layers {
        let (i, o, k) = (layer.inputs, layer.outputs, layer.kernel);
        let mut next = vec![0.0; w * h * o];
        for (at, out) in next.iter_mut().enumerate() {
            let (x, y, oc) = (at / o % w, at / o / w, at % o);
            let mut sum = f64::from(layer.bias[oc]);
            for ky in 0..k {
                for kx in 0..k {
                    let (sx, sy) = ((x + kx).wrapping_sub(k / 2), (y + ky).wrapping_sub(k / 2));
                    if sx < w && sy < h {
                        for ic in 0..i {
                            let weight = layer.weights[((oc * i + ic) * k + ky) * k + kx];
                            sum += map[(sy * w + sx) * i + ic] * f64::from(weight);
                        }
                    }
                }
            }
            *out = if layer.relu { sum.max(0.0) } else { sum };
        }
        map = next;
    }
    let mut residual = vec![0.0; width * height * c];
    for y in 0..h {
        for x in 0..w {
            for k in 0..ends {
                residual[place(x, y, k, c)] = 255.0 * map[(y * w + x) * ends + k];
            }
        }
    }
    residual
}

/// What a run must give, to within a rounding tie, on a frame of any size.
pub(super) fn expected(
    chain: &ConvChain,
    width: usize,
    height: usize,
    bytes: &[u8],
    strength: f32,
) -> Vec<f64> {
    let (s, c) = (chain.scale, chain.colour.channels());
    let seen = bytes.len() / (width * height);
    let (pw, ph) = (width.next_multiple_of(s), height.next_multiple_of(s));
    let mut padded = Vec::new();
    for y in 0..ph {
        for x in 0..pw {
            let at = (y.min(height - 1) * width + x.min(width - 1)) * seen;
            padded.extend_from_slice(&bytes[at..at + seen]);
        }
    }
    let residual = reference(chain, pw, ph, &padded);
    let bounds = bounds(chain, (pw, ph), &padded);
    let crop = (0..height).flat_map(|y| (0..width * c).map(move |x| (y, x)));
    crop.map(|(y, x)| {
        let frame = f64::from(bytes[(y * width + x / c) * seen + x % c]);
        let (low, high) = bounds[y * pw * c + x];
        (frame + f64::from(strength) * residual[y * pw * c + x]).clamp(low, high)
    })
    .collect()
}

/// The limit of each of a frame's samples, all bytes where the chain has none; `bytes` are interleaved, those of the frame before behind
/// each pixel's.
fn bounds(chain: &ConvChain, (width, height): (usize, usize), bytes: &[u8]) -> Vec<(f64, f64)> {
    let planes = chain.colour.channels();
    let seen = bytes.len() / (width * height);
    let mut all = vec![(0.0, 255.0); width * height * planes];
    for plane in (0..planes).filter(|_| chain.limited) {
        let own: Vec<u8> = bytes.iter().skip(plane).step_by(seen).copied().collect();
        let (low, high) = hone_shared::limit::bounds(&own, height, width);
        let bounds = low.into_iter().zip(high);
        for (at, (low, high)) in all.iter_mut().skip(plane).step_by(planes).zip(bounds) {
            *at = (f64::from(low), f64::from(high));
        }
    }
    all
}

//! SpaceToDepth and DepthToSpace in ONNX's channel order.

use tch::Tensor;

/// `[N,C,H,W]` to `[N,C*s*s,H/s,W/s]`; channel `(by * s + bx) * C + c` holds pixel (`by`, `bx`) of
/// each block, as ONNX's SpaceToDepth has it (torch's `pixel_unshuffle` differs for C > 1).
pub fn space_to_depth(x: &Tensor, s: i64) -> Tensor {
    let size = x.size();
    let (n, c, h, w) = (size[0], size[1], size[2], size[3]);
    if s == 1 {
        return x.shallow_clone();
    }
    if c == 1 {
        return x.pixel_unshuffle(s);
    }
    x.reshape([n, c, h / s, s, w / s, s])
        .permute([0, 3, 5, 1, 2, 4])
        .reshape([n, c * s * s, h / s, w / s])
}

/// Inverse of [`space_to_depth`] (ONNX DepthToSpace, mode DCR).
pub fn depth_to_space(x: &Tensor, s: i64) -> Tensor {
    let size = x.size();
    let (n, c, h, w) = (size[0], size[1] / (s * s), size[2], size[3]);
    if s == 1 {
        return x.shallow_clone();
    }
    if c == 1 {
        return x.pixel_shuffle(s);
    }
    x.reshape([n, s, s, c, h, w])
        .permute([0, 3, 4, 1, 5, 2])
        .reshape([n, c, h * s, w * s])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn channels_follow_onnx_and_the_inverse_undoes() {
        for (c, s) in [(1, 2), (3, 2), (3, 4), (1, 4)] {
            let x = Tensor::arange(2 * c * 64, tch::kind::FLOAT_CPU).reshape([2, c, 8, 8]);
            let deep = space_to_depth(&x, s);
            for (by, bx, ch) in [(0, 0, 0), (1, 0, c - 1), (s - 1, s - 1, c - 1)] {
                let channel = (by * s + bx) * c + ch;
                let got = deep.double_value(&[1, channel, 1, 0]);
                assert_eq!(got, x.double_value(&[1, ch, s + by, bx]));
            }
            let back = depth_to_space(&deep, s);
            assert_eq!((back - x).abs().sum(Kind::Float).double_value(&[]), 0.0);
        }
    }
}

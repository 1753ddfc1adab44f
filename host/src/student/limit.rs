//! The overshoot limit on tensors; [`hone_shared::limit`] says what it is.

use hone_shared::limit::ROOM;
use tch::Tensor;

/// Holds `restored` between the bounds that `frame` sets, both `[N,C,H,W]` in 0..1. Where a bound holds it, no gradient passes.
pub fn limit(restored: &Tensor, frame: &Tensor) -> Tensor {
    let (low, high) = tch::no_grad(|| bounds(frame));
    restored.minimum(&high).maximum(&low)
}

fn bounds(frame: &Tensor) -> (Tensor, Tensor) {
    let largest = |x: &Tensor| x.max_pool2d([3, 3], [1, 1], [1, 1], [1, 1], false);
    let smallest = |x: &Tensor| -largest(&-x);
    let room = f64::from(ROOM);
    let high = largest(&(frame + (frame - largest(&smallest(frame))) * room));
    let low = smallest(&(frame - (smallest(&largest(frame)) - frame) * room));
    (low.clamp_min(0.0), high.clamp_max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn bounds_are_those_of_the_definition() {
        tch::manual_seed(5);
        for (height, width) in [(1, 1), (2, 7), (9, 12)] {
            let bytes = Tensor::randint_low(0, 256, [2, 3, height, width], tch::kind::FLOAT_CPU);
            let (low, high) = bounds(&(&bytes / 255.0));
            let flat =
                |x: Tensor| Vec::<u8>::try_from(x.round().to_kind(Kind::Uint8).flatten(0, -1));
            let (low, high) = (flat(low * 255.0).unwrap(), flat(high * 255.0).unwrap());
            let (h, w) = (height as usize, width as usize);
            let planes = flat(bytes).unwrap();
            for (i, plane) in planes.chunks(h * w).enumerate() {
                let at = i * h * w..(i + 1) * h * w;
                let want = hone_shared::limit::bounds(plane, h, w);
                assert_eq!((&low[at.clone()], &high[at]), (&want.0[..], &want.1[..]));
            }
        }
    }

    #[test]
    fn gradients_pass_where_the_limit_does_not_hold() {
        let frame = Tensor::from_slice(&[0.2_f32, 0.2, 0.2, 0.8, 0.8, 0.8]).reshape([1, 1, 1, 6]);
        let residual = Tensor::from_slice(&[0.0_f32, -0.1, 0.1, -0.1, 0.1, 0.0]);
        let residual = residual.reshape([1, 1, 1, 6]).set_requires_grad(true);
        let restored = limit(&(&frame + &residual), &frame);
        restored.sum(Kind::Float).backward();
        let floats = |x: Tensor| Vec::<f32>::try_from(x.flatten(0, -1)).unwrap();
        assert_eq!(
            floats(restored.detach()),
            [0.2, 0.2, 0.3, 0.7, 0.8, 0.8].map(|v: f32| v)
        );
        assert_eq!(floats(residual.grad())[1..5], [0.0, 1.0, 1.0, 0.0]);
    }
}

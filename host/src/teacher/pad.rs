//! Padding below and to the right, up to a network's multiple.

use tch::Tensor;

/// What the added rows and columns hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// The picture mirrored without repeating its border.
    Reflect,
    /// Zeros, as NAFNet's published forward pass has it.
    Zeros,
}

/// Pads `[N,C,H,W]` below and right until both sides are multiples of `multiple`.
///
/// Reflection needs fewer new rows than there are; a tiny picture is mirrored again and again, and
/// one of a single row or column repeats it.
pub fn to_multiple(x: &Tensor, multiple: i64, padding: Padding) -> Tensor {
    let mut x = x.shallow_clone();
    for axis in [2, 3] {
        let mut missing = (multiple - x.size()[axis] % multiple) % multiple;
        while missing > 0 {
            let length = x.size()[axis];
            let step = match padding {
                Padding::Reflect => missing.min((length - 1).max(1)),
                Padding::Zeros => missing,
            };
            let pad = if axis == 2 {
                [0, 0, 0, step]
            } else {
                [0, step, 0, 0]
            };
            x = match padding {
                Padding::Zeros => x.constant_pad_nd(pad),
                Padding::Reflect if length > 1 => x.reflection_pad2d(pad),
                Padding::Reflect => x.replication_pad2d(pad),
            };
            missing -= step;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn reflection_goes_on_for_tiny_pictures() {
        let x = Tensor::from_slice(&[1f32, 2.0, 3.0]).view([1, 1, 1, 3]);
        let y = to_multiple(&x, 8, Padding::Reflect);
        assert_eq!(y.size(), [1, 1, 8, 8]);
        let row = Vec::<f32>::try_from(y.select(2, 7).flatten(0, -1)).unwrap();
        assert_eq!(row, [1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
    }

    #[test]
    fn multiples_need_not_be_powers_of_two() {
        let x = Tensor::ones([1, 1, 20, 21], (Kind::Float, Device::Cpu));
        let y = to_multiple(&x, 7, Padding::Zeros);
        assert_eq!(y.size(), [1, 1, 21, 21]);
        assert_eq!(y.sum(Kind::Float).double_value(&[]), 420.0);
    }
}

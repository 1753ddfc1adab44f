use tch::Kind;

use super::*;
use crate::teacher::layer::count_macs;

fn random(shape: &[i64]) -> Tensor {
    Tensor::randn(shape, (Kind::Float, Device::Cpu))
}

#[test]
fn attention_on_a_gpu_is_that_of_the_processor() {
    let (qkv, bias) = (random(&[3, 12, 3, 16, 10]), random(&[1, 3, 16, 16]));
    let geometry = Geometry::new(4, Device::Cpu);
    let part = Part::split(2, 2, 3, 12).remove(0);
    let masked = bias.expand([12, 3, 16, 16], false).contiguous();
    geometry.mask(&masked, &part);
    let by_matrices = by_matrices(&qkv, &bias, |logits| geometry.mask(logits, &part));
    let error = fused(&qkv, masked) - by_matrices;
    assert!(error.abs().max().double_value(&[]) < 1e-5);
}

/// The attention of a shifted layer over the windows of `x` `[N,H,W,C]`, in parts of `most`.
fn in_parts(block: &Block, x: &Tensor, most: i64) -> Tensor {
    let (n, h, w, _) = x.size4().unwrap();
    let geometry = Geometry::new(block.window, Device::Cpu);
    let windows = partition(x, block.window);
    let bias = block.bias(x, &geometry);
    let parts = Part::split(n, h / block.window, w / block.window, most);
    let attend = |part: &Part| block.attend(&part.of(&windows), &bias, &geometry, part);
    Tensor::cat(&parts.iter().map(attend).collect::<Vec<_>>(), 0)
}

#[test]
fn parts_attend_as_the_whole_does() {
    let vs = tch::nn::VarStore::new(Device::Cpu);
    let block = Block::new(&vs.root(), 6, 2, 8, 4, 2);
    // Parts of one window each, too: what is masked for one must not be for the next.
    for (shape, most) in [
        ([2, 8, 4, 6], 1),
        ([2, 4, 4, 6], 1),
        ([3, 12, 8, 6], 4),
        ([3, 12, 8, 6], 7),
    ] {
        let x = random(&shape);
        let error = in_parts(&block, &x, most) - in_parts(&block, &x, 1000);
        assert!(
            error.abs().max().double_value(&[]) < 1e-5,
            "{shape:?} {most}"
        );
    }
}

#[test]
fn padded_heads_attend_as_heads_do() {
    let _guard = tch::no_grad_guard();
    // Heads of 3 and 15 channels, windows of 16 and 49 pixels: none is a multiple of 8.
    for (window, channels, [n, rows, columns], most) in [
        (4, 6, [2, 2, 3], 1000),
        (4, 6, [2, 2, 3], 3),
        (4, 6, [3, 1, 1], 1000),
        (7, 30, [1, 4, 1], 2),
    ] {
        for shift in [0, window / 2] {
            let vs = tch::nn::VarStore::new(Device::Cpu);
            let block = Block::new(&vs.root(), channels, 2, 8, window, shift);
            // As it starts, the bias is next to nothing.
            let _ = block.table.shallow_clone().normal_(0.0, 1.0);
            let x = random(&[n, rows * window, columns * window, channels]);
            let geometry = Geometry::new(window, Device::Cpu);
            let windows = partition(&x, window);
            let bias = block.bias(&x, &geometry);
            let padded = Padded::new(&block, &bias, &geometry);
            assert!(padded.biases().all(|bias| bias.stride()[2] % 8 == 0));
            for part in Part::split(n, rows, columns, most) {
                let of = part.of(&windows);
                let (ours, macs) = count_macs(|| padded.attend(&of, &part));
                let (right, own) = count_macs(|| block.attend(&of, &bias, &geometry, &part));
                assert_eq!(macs, own);
                let error = ours - right;
                let error = error.abs().max().double_value(&[]);
                assert!(error < 1e-5, "{window} {shift} {part:?}: {error}");
            }
        }
    }
}

#[test]
fn gradients_pass_the_masks_of_a_gpu() {
    let qkv = random(&[3, 4, 1, 16, 5]).set_requires_grad(true);
    let bias = random(&[1, 1, 16, 16]);
    let geometry = Geometry::new(4, Device::Cpu);
    let part = Part::split(1, 2, 2, 4).remove(0);
    let masked = bias.expand([4, 1, 16, 16], false).copy();
    geometry.mask(&masked, &part);
    let gradient =
        |y: Tensor| Tensor::run_backward(&[y.square().sum(None)], &[&qkv], false, false).remove(0);
    let of_matrices = gradient(by_matrices(&qkv, &bias, |logits| {
        geometry.mask(logits, &part)
    }));
    let error = gradient(fused(&qkv, masked)) - of_matrices;
    assert!(error.abs().max().double_value(&[]) < 1e-4);
}

#[test]
fn only_wrapped_windows_are_masked() {
    let part = Part::split(2, 3, 2, 12).remove(0);
    let logits = Tensor::zeros([12, 1, 16, 16], (Kind::Float, Device::Cpu));
    Geometry::new(4, Device::Cpu).mask(&logits, &part);
    // Of a map of 12 rows, shifted by 2: which pixels came round.
    let masked = |window: i64, a: i64, b: i64| logits.double_value(&[window, 0, a, b]) < 0.0;
    for a in 0..16 {
        for b in 0..16 {
            let down = (a / 4 >= 2) != (b / 4 >= 2);
            let across = (a % 4 >= 2) != (b % 4 >= 2);
            for (window, right) in [(0, false), (1, across), (4, down), (5, down || across)] {
                assert_eq!(masked(window, a, b), right, "{window} {a} {b}");
                assert_eq!(masked(window + 6, a, b), right, "{window} {a} {b}");
            }
        }
    }
}

#[test]
fn parts_are_rows_of_one_picture_or_whole_pictures() {
    for (pictures, rows, columns, most) in [
        (1, 5, 3, 6),
        (3, 5, 3, 6),
        (3, 5, 3, 30),
        (3, 5, 3, 100),
        (2, 1, 9, 4),
        (7, 2, 2, 9),
    ] {
        let parts = Part::split(pictures, rows, columns, most);
        let mut next = 0;
        for part in &parts {
            assert_eq!(part.start, next);
            let whole = part.rows == rows && next % rows == 0;
            assert!(whole || part.pictures == 1, "{part:?}");
            let last = next % rows + part.rows == rows;
            assert_eq!(part.last, last, "{part:?}");
            assert!(part.count() <= most.max(columns), "{part:?}");
            next += part.pictures * part.rows;
        }
        assert_eq!(next, pictures * rows);
    }
    assert_eq!(Part::split(16, 8, 8, 4096).len(), 1);
}

//! Distances and transforms of pictures.

use tch::Tensor;

/// `values` in a row, of the kind and on the device of `like`.
pub fn constant(values: &[f32], like: &Tensor) -> Tensor {
    // Other copies wait for all that a GPU has still to compute; from the processor's ordinary memory this one is safe.
    Tensor::from_slice(values).to_device_(like.device(), like.kind(), true, false)
}

/// Mean of `sqrt((a - b)^2 + epsilon^2)` (Charbonnier et al., 1994).
pub fn charbonnier(a: &Tensor, b: &Tensor, epsilon: f64) -> Tensor {
    ((a - b).square() + epsilon * epsilon).sqrt().mean(None)
}

/// Mean over patches `[N,C,H,W]` of `10 log10(1 + MSE / floor)`: the PSNR that a patch has with an error of `floor` less the one it has, a
/// floor under the loss of NAFNet (Chen et al., "Simple Baselines for Image Restoration", ECCV 2022).
pub fn missing_decibels(a: &Tensor, b: &Tensor, floor: f64) -> Tensor {
    let error = (a - b)
        .square()
        .mean_dim([1i64, 2, 3].as_slice(), false, None);
    (error / floor).log1p().mean(None) * (10.0 / std::f64::consts::LN_10)
}

/// Mean of how far `a` lies above the largest or below the smallest value of `truth` among the `window` x `window` pixels around
/// each, `[N,C,H,W]`; `window` is odd. Only halos cost: what stays between its neighbours' values does not.
pub fn overshoot(a: &Tensor, truth: &Tensor, window: i64) -> Tensor {
    let largest = |x: &Tensor| {
        let half = window / 2;
        x.max_pool2d([window, window], [1, 1], [half, half], [1, 1], false)
    };
    let (above, below) = (a - largest(truth), -largest(&-truth) - a);
    (above.relu() + below.relu()).mean(None)
}

/// Sobel gradient magnitude of each channel, `[N,C,H,W]`, border repeated, kernels unnormalised
/// (`[1 2 1] x [-1 0 1]`).
pub fn sobel_magnitude(x: &Tensor) -> Tensor {
    let size = x.size();
    let planes = x
        .reshape([-1, 1, size[2], size[3]])
        .replication_pad2d([1, 1, 1, 1]);
    let taps: [f32; 18] = [
        1., 0., -1., 2., 0., -2., 1., 0., -1., 1., 2., 1., 0., 0., 0., -1., -2., -1.,
    ];
    let kernel = constant(&taps, x).reshape([2, 1, 3, 3]);
    let gradient = planes.conv2d(&kernel, None::<Tensor>, [1, 1], [0, 0], [1, 1], 1);
    let energy = gradient
        .square()
        .sum_dim_intlist([1i64].as_slice(), true, None);
    // The root's slope is infinite at 0; flat regions must not give NaN gradients.
    (energy + 1e-12).sqrt().reshape(&size)
}

/// sRGB `[N,3,H,W]` in 0..1 to CIE Lab (D65, 2 degrees): L in 0..100, a and b about -128..128.
pub fn lab(rgb: &Tensor) -> Tensor {
    let c = rgb.clamp(0.0, 1.0);
    // Both branches of a `where` are differentiated: keep the power away from 0.
    let curved = ((c.clamp_min(0.04045) + 0.055) / 1.055).pow_tensor_scalar(2.4);
    let linear = curved.where_self(&c.gt(0.04045), &(&c / 12.92));
    let matrix: [f32; 9] = [
        0.412_453, 0.357_58, 0.180_423, 0.212_671, 0.715_16, 0.072_169, 0.019_334, 0.119_193,
        0.950_227,
    ];
    let kernel = constant(&matrix, rgb).reshape([3, 3, 1, 1]);
    let xyz = linear.conv2d(&kernel, None::<Tensor>, [1, 1], [0, 0], [1, 1], 1);
    let t = xyz / constant(&[0.950_47, 1.0, 1.088_83], rgb).reshape([1, 3, 1, 1]);
    let cube = t.clamp_min(0.008_856).pow_tensor_scalar(1.0 / 3.0);
    let f = cube.where_self(&t.gt(0.008_856), &(&t * 7.787 + 16.0 / 116.0));
    let (x, y, z) = (f.narrow(1, 0, 1), f.narrow(1, 1, 1), f.narrow(1, 2, 1));
    Tensor::cat(&[&y * 116.0 - 16.0, (x - &y) * 500.0, (y - z) * 200.0], 1)
}

/// Orthonormal 2-D Fourier transform as real and imaginary parts, `[N,C,H,W/2+1,2]` (the frequency
/// loss of Cho et al., "Rethinking Coarse-to-Fine Approach in Single Image Deblurring", ICCV 2021).
pub fn spectrum(x: &Tensor) -> Tensor {
    let dims = [-2i64, -1];
    x.fft_rfft2(None::<&[i64]>, dims.as_slice(), "ortho")
        .view_as_real()
}

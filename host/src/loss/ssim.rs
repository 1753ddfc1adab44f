//! Structural similarity as differentiable tensor arithmetic.

use tch::{Kind, Tensor};

/// Side of the Gaussian window (Wang et al., 2004).
const SIDE: i64 = 11;
/// Standard deviation of the window in pixels.
const SIGMA: f32 = 1.5;
/// Weights of the five scales (Wang, Simoncelli, Bovik: "Multiscale structural similarity", 2003).
const SCALES: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

/// Mean SSIM over pictures and channels, window fully inside; `[N,C,H,W]` in 0..1, sides >= 11.
pub fn ssim(a: &Tensor, b: &Tensor) -> Tensor {
    let (luminance, contrast) = maps(a, b);
    (luminance * contrast).mean(None)
}

/// Mean MS-SSIM over pictures and channels, as pytorch_msssim; sides must exceed 160.
pub fn ms_ssim(a: &Tensor, b: &Tensor) -> Tensor {
    let (mut a, mut b) = (a.shallow_clone(), b.shallow_clone());
    let mut product: Option<Tensor> = None;
    for (i, weight) in SCALES.iter().enumerate() {
        let (luminance, contrast) = maps(&a, &b);
        let last = i + 1 == SCALES.len();
        let map = if last { luminance * contrast } else { contrast };
        let mean = map
            .mean_dim([2i64, 3].as_slice(), false, Kind::Float)
            .relu();
        // A power below 1 has an infinite slope at 0.
        let factor = mean.clamp_min(1e-6).pow_tensor_scalar(*weight);
        product = Some(match product {
            Some(product) => product * factor,
            None => factor,
        });
        if !last {
            let halve = |x: &Tensor| {
                let size = x.size();
                let pad = [size[2] % 2, size[3] % 2];
                x.avg_pool2d([2, 2], [2, 2], pad, false, true, None)
            };
            (a, b) = (halve(&a), halve(&b));
        }
    }
    product.unwrap_or_else(|| Tensor::from(1.0)).mean(None)
}

/// Luminance and contrast-structure maps of every channel, window fully inside the picture.
fn maps(a: &Tensor, b: &Tensor) -> (Tensor, Tensor) {
    let size = a.size();
    let (n, h, w) = (size[0] * size[1], size[2], size[3]);
    let (a, b) = (a.reshape([n, 1, h, w]), b.reshape([n, 1, h, w]));
    let stack = Tensor::cat(&[&a, &b, &a.square(), &b.square(), &(&a * &b)], 0);
    let taps: Vec<f32> = (0..SIDE)
        .map(|i| (i - SIDE / 2) as f32)
        .map(|d| (-d * d / (2.0 * SIGMA * SIGMA)).exp())
        .collect();
    let taps = Tensor::from_slice(&taps);
    let taps = (&taps / taps.sum(Kind::Float))
        .to_device(a.device())
        .to_kind(a.kind());
    let none = None::<Tensor>;
    let rows = stack.conv2d(
        &taps.reshape([1, 1, 1, SIDE]),
        none,
        [1, 1],
        [0, 0],
        [1, 1],
        1,
    );
    let none = None::<Tensor>;
    let blurred = rows.conv2d(
        &taps.reshape([1, 1, SIDE, 1]),
        none,
        [1, 1],
        [0, 0],
        [1, 1],
        1,
    );
    let shape = [size[0], size[1], h - SIDE + 1, w - SIDE + 1];
    let part = |i: i64| blurred.narrow(0, i * n, n).reshape(shape);
    let (mean_a, mean_b) = (part(0), part(1));
    let (c1, c2) = (0.01f64.powi(2), 0.03f64.powi(2));
    let cross = &mean_a * &mean_b;
    let (square_a, square_b) = (mean_a.square(), mean_b.square());
    let luminance = (&cross * 2.0 + c1) / (&square_a + &square_b + c1);
    let covariance = part(4) - cross;
    let variances = part(2) - square_a + part(3) - square_b;
    (luminance, (covariance * 2.0 + c2) / (variances + c2))
}

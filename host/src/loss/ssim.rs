//! Structural similarity as differentiable tensor arithmetic.

use tch::{Kind, Tensor};

use super::picture::constant;

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
            .mean_dim([2i64, 3].as_slice(), false, None::<Kind>)
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
    let blur = |maps: &[&Tensor]| {
        blur(&Tensor::cat(maps, 0).reshape([-1, h, w]))
            .split(n, 0)
            .into_iter()
            .map(|map| map.reshape([size[0], size[1], h - SIDE + 1, w - SIDE + 1]))
            .collect::<Vec<_>>()
    };
    // The truth's own maps apart, so that no gradient is worked out for them.
    let of_a = blur(&[a, &a.square(), &(a * b)]);
    let of_b = blur(&[b, &b.square()]);
    let (mean_a, mean_b) = (&of_a[0], &of_b[0]);
    let (c1, c2) = (0.01f64.powi(2), 0.03f64.powi(2));
    let cross = mean_a * mean_b;
    let (square_a, square_b) = (mean_a.square(), mean_b.square());
    let luminance = (&cross * 2.0 + c1) / (&square_a + &square_b + c1);
    let covariance = &of_a[2] - cross;
    let variances = &of_a[1] - square_a + &of_b[1] - square_b;
    (luminance, (covariance * 2.0 + c2) / (variances + c2))
}

/// Rows or columns of the result that one matrix makes.
const BLOCK: i64 = 128;

/// `[N,H,W]` under the Gaussian window, `[N,H-10,W-10]`, by products with banded matrices: those are quicker than
/// a convolution of one channel, forth and back.
fn blur(x: &Tensor) -> Tensor {
    let blocks = |side: i64| {
        let outputs = side - SIDE + 1;
        let starts = (0..outputs).step_by(BLOCK as usize);
        starts.map(move |start| (start, BLOCK.min(outputs - start)))
    };
    let size = x.size();
    let across: Vec<Tensor> = blocks(size[2])
        .map(|(start, n)| x.narrow(2, start, n + SIDE - 1).matmul(&window(n, x)))
        .collect();
    let x = Tensor::cat(&across, 2);
    let down: Vec<Tensor> = blocks(size[1])
        .map(|(start, n)| {
            let window = window(n, &x).transpose(0, 1);
            window.matmul(&x.narrow(1, start, n + SIDE - 1))
        })
        .collect();
    Tensor::cat(&down, 1)
}

/// The window at `columns` places as a matrix `[columns + 10, columns]` of `like`'s kind, on its device.
fn window(columns: i64, like: &Tensor) -> Tensor {
    let taps: Vec<f32> = (0..SIDE)
        .map(|i| (i - SIDE / 2) as f32)
        .map(|d| (-d * d / (2.0 * SIGMA * SIGMA)).exp())
        .collect();
    let total: f32 = taps.iter().sum();
    let rows = columns + SIDE - 1;
    // Every column begins one place later than the one before: read one after another, they are the same
    // numbers again and again.
    let mut period = vec![0.0; rows as usize + 1];
    for (place, tap) in period.iter_mut().zip(&taps) {
        *place = tap / total;
    }
    constant(&period, like)
        .repeat([columns])
        .narrow(0, 0, rows * columns)
        .reshape([columns, rows])
        .transpose(0, 1)
        .contiguous()
}

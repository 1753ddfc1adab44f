//! Moments of two pictures under a separable sliding window, row by row, in parallel bands.
//!
//! Each input row is filtered across once and kept in a ring of as many rows as the window is high;
//! an output row is the ring filtered down. Nothing of the size of a picture is allocated.

use rayon::prelude::*;

use crate::picture::Picture;

/// Output rows that one task computes; fixed, so that sums do not depend on the number of cores.
const BAND: usize = 48;

/// Maps kept for each channel: means of x, y, x^2 + y^2 and x y.
const MAPS: usize = 4;

/// Windowed means of one row of one channel. All slices are as long as the output row.
pub(super) struct Moments<'a> {
    /// Mean of the reference.
    pub x: &'a [f32],
    /// Mean of the distorted picture.
    pub y: &'a [f32],
    /// Mean of `x^2 + y^2`.
    pub energy: &'a [f32],
    /// Mean of `x y`.
    pub product: &'a [f32],
}

/// For each channel the sums of two maps: the SSIM and its contrast-structure factor.
pub(super) type Sums = [[f64; 2]; 3];

/// Normalised taps of a Gaussian of `sigma` cut off at `radius`.
pub(super) fn gaussian(radius: usize, sigma: f64) -> Vec<f32> {
    let weight = |i: usize| {
        let d = i as f64 - radius as f64;
        (-d * d / (2.0 * sigma * sigma)).exp()
    };
    let total: f64 = (0..=2 * radius).map(weight).sum();
    (0..=2 * radius)
        .map(|i| (weight(i) / total) as f32)
        .collect()
}

/// Calls `row` for every row of windows that lie wholly inside and totals what it adds to its sums.
///
/// Both pictures have the same shape, 1 or 3 channels, and sides of at least `taps.len()`; `row`
/// gets the moments of each channel.
pub(super) fn sum_rows(
    reference: &Picture,
    distorted: &Picture,
    taps: &[f32],
    row: impl Fn(&[Moments<'_>], &mut Sums) + Sync,
) -> Sums {
    let rows = reference.height + 1 - taps.len();
    let bands: Vec<Sums> = (0..rows.div_ceil(BAND))
        .into_par_iter()
        .map(|band| {
            let mut sums = Sums::default();
            let mut ring = Ring::new(reference, distorted, taps);
            let first = band * BAND;
            for y in first..first + taps.len() - 1 {
                ring.push(y);
            }
            for y in first..(first + BAND).min(rows) {
                ring.push(y + taps.len() - 1);
                row(&ring.filter_down(y), &mut sums);
            }
            sums
        })
        .collect();
    let mut total = Sums::default();
    for band in &bands {
        for (total, sum) in total.iter_mut().flatten().zip(band.iter().flatten()) {
            *total += sum;
        }
    }
    total
}

/// The last `taps.len()` rows, filtered across.
struct Ring<'a> {
    reference: &'a Picture,
    distorted: &'a Picture,
    taps: &'a [f32],
    /// Output width.
    width: usize,
    /// Row `y` of map `m` of channel `c` starts at `(((y % taps) * channels + c) * MAPS + m) * width`.
    rows: Vec<f32>,
    /// The four maps of one input row before filtering.
    maps: [Vec<f32>; MAPS],
    /// The output row: `[channels, MAPS, width]`.
    out: Vec<f32>,
}

impl<'a> Ring<'a> {
    fn new(reference: &'a Picture, distorted: &'a Picture, taps: &'a [f32]) -> Self {
        let width = reference.width + 1 - taps.len();
        let channels = reference.channels;
        Self {
            reference,
            distorted,
            taps,
            width,
            rows: vec![0.0; taps.len() * channels * MAPS * width],
            maps: [(); MAPS].map(|()| vec![0.0; reference.width]),
            out: vec![0.0; channels * MAPS * width],
        }
    }

    /// Filters input row `y` across and puts it in place of the oldest.
    fn push(&mut self, y: usize) {
        let (w, channels) = (self.reference.width, self.reference.channels);
        let slot = channels * MAPS * self.width;
        let rows = &mut self.rows[(y % self.taps.len()) * slot..][..slot];
        for c in 0..channels {
            let start = (c * self.reference.height + y) * w;
            let a = &self.reference.data[start..start + w];
            let b = &self.distorted.data[start..start + w];
            let [x, y, energy, product] = &mut self.maps;
            x.copy_from_slice(a);
            y.copy_from_slice(b);
            for ((e, p), (a, b)) in energy.iter_mut().zip(product).zip(a.iter().zip(b)) {
                *e = a * a + b * b;
                *p = a * b;
            }
            for (m, map) in self.maps.iter().enumerate() {
                let row = &mut rows[(c * MAPS + m) * self.width..][..self.width];
                filter(row, self.taps, |i| &map[i..]);
            }
        }
    }

    /// Moments of the windows whose first row is `y`; the ring must hold rows `y..y + taps.len()`.
    fn filter_down(&mut self, y: usize) -> Vec<Moments<'_>> {
        let slot = self.out.len();
        let rows = &self.rows;
        filter(&mut self.out, self.taps, |i| {
            &rows[((y + i) % self.taps.len()) * slot..][..slot]
        });
        let w = self.width;
        self.out
            .chunks_exact(MAPS * w)
            .map(|maps| Moments {
                x: &maps[..w],
                y: &maps[w..2 * w],
                energy: &maps[2 * w..3 * w],
                product: &maps[3 * w..],
            })
            .collect()
    }
}

/// Output samples that stay in registers while all taps are added to them.
const BLOCK: usize = 16;

/// `out[x] = sum over i of taps[i] * input(i)[x]`; every input is at least as long as `out`.
fn filter<'a>(out: &mut [f32], taps: &[f32], input: impl Fn(usize) -> &'a [f32]) {
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    let first_of_rest = blocks.len() * BLOCK;
    for (n, block) in blocks.iter_mut().enumerate() {
        let mut sums = [0.0; BLOCK];
        for (i, tap) in taps.iter().enumerate() {
            let input = &input(i)[n * BLOCK..][..BLOCK];
            for (sum, sample) in sums.iter_mut().zip(input) {
                *sum += tap * sample;
            }
        }
        *block = sums;
    }
    for (x, out) in rest.iter_mut().enumerate() {
        let terms = taps.iter().enumerate();
        *out = terms
            .map(|(i, tap)| tap * input(i)[first_of_rest + x])
            .sum();
    }
}

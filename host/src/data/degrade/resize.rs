//! Bicubic resampling with antialiasing, bit for bit as Pillow's `Image.resize(size, BICUBIC)`:
//! a = -0.5, rows first, 22-bit fixed-point weights, bytes in between (Pillow's `Resample.c`).

use crate::data::photo::Photo;
use crate::picture::Picture;

const PRECISION: u32 = 22;

struct Weights {
    first: usize,
    taps: Vec<i32>,
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn weights(from: usize, to: usize) -> Vec<Weights> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = 2.0 * stretch;
    (0..to)
        .map(|i| {
            let centre = (i as f64 + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let last = ((centre + support + 0.5) as usize).min(from);
            let raw: Vec<f64> = (first..last)
                .map(|x| cubic((x as f64 - centre + 0.5) / stretch))
                .collect();
            let sum: f64 = raw.iter().sum();
            let fixed = |w: f64| (w / sum * f64::from(1 << PRECISION)).round() as i32;
            Weights {
                first,
                taps: raw.into_iter().map(fixed).collect(),
            }
        })
        .collect()
}

fn round(sum: i64) -> u8 {
    ((sum + (1 << (PRECISION - 1))) >> PRECISION).clamp(0, 255) as u8
}

/// The photo at another size, both sides at least 1.
pub fn bicubic(photo: &Photo, width: usize, height: usize) -> Photo {
    let mut wide = vec![0_u8; photo.height * width * 3];
    let columns = weights(photo.width, width);
    for (target, source) in wide
        .chunks_exact_mut(width * 3)
        .zip(photo.rgb.chunks_exact(photo.width * 3))
    {
        for (pixel, w) in target.chunks_exact_mut(3).zip(&columns) {
            let mut sums = [0_i64; 3];
            for (s, &tap) in source[w.first * 3..].chunks_exact(3).zip(&w.taps) {
                for (sum, &v) in sums.iter_mut().zip(s) {
                    *sum += i64::from(v) * i64::from(tap);
                }
            }
            pixel.copy_from_slice(&sums.map(round));
        }
    }
    let mut rgb = vec![0_u8; height * width * 3];
    let rows = weights(photo.height, height);
    let mut sums = vec![0_i64; width * 3];
    for (target, w) in rgb.chunks_exact_mut(width * 3).zip(&rows) {
        sums.fill(0);
        for (source, &tap) in wide[w.first * width * 3..]
            .chunks_exact(width * 3)
            .zip(&w.taps)
        {
            for (sum, &v) in sums.iter_mut().zip(source) {
                *sum += i64::from(v) * i64::from(tap);
            }
        }
        for (v, &sum) in target.iter_mut().zip(&sums) {
            *v = round(sum);
        }
    }
    Photo { height, width, rgb }
}

/// Down by `factor` and back up.
pub(super) fn down_up(picture: &mut Picture, factor: f32) {
    if factor <= 1.0 {
        return;
    }
    let reduced = |n: usize| ((n as f32 / factor).round() as usize).max(1);
    let photo = Photo::from_picture(picture);
    let small = bicubic(&photo, reduced(picture.width), reduced(picture.height));
    *picture = bicubic(&small, picture.width, picture.height).picture();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_to_pillow_to_the_byte() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/resize");
        let read = |name: &str| Photo::from_picture(&Picture::load(&folder.join(name)).unwrap());
        let source = read("source_176x176.png");
        let down = bicubic(&source, 88, 88);
        assert_eq!(down, read("bicubic_down_88x88.png"));
        assert_eq!(
            bicubic(&down, 176, 176),
            read("bicubic_down_up_176x176.png")
        );
    }
}

//! Crops, flips, turns, colour jitter.

use rand::Rng;

use crate::data::photo::Photo;
use crate::data::random::Stream;
use crate::picture::Picture;

/// Mean Sobel magnitude `(|gx| + |gy|) / 8` of the luma, 0..1: flat sky is below 0.01, fine detail above 0.1.
pub fn sharpness(picture: &Picture) -> f32 {
    let luma = picture.luma();
    let (h, w) = (luma.height, luma.width);
    if h < 3 || w < 3 {
        return 0.0;
    }
    let mut total = 0.0_f64;
    for y in 1..h - 1 {
        let row = |dy: usize| &luma.data[(y + dy - 1) * w..(y + dy) * w];
        let (a, b, c) = (row(0), row(1), row(2));
        let mut sum = 0.0_f32;
        for x in 1..w - 1 {
            let gx =
                (a[x + 1] + 2.0 * b[x + 1] + c[x + 1]) - (a[x - 1] + 2.0 * b[x - 1] + c[x - 1]);
            let gy = (c[x - 1] + 2.0 * c[x] + c[x + 1]) - (a[x - 1] + 2.0 * a[x] + a[x + 1]);
            sum += gx.abs() + gy.abs();
        }
        total += f64::from(sum);
    }
    (total / 8.0 / ((h - 2) * (w - 2)) as f64) as f32
}

/// Redraws of a flat patch.
const REDRAWS: usize = 8;

/// Where to cut a patch: (top, left) drawn evenly, drawn again up to eight times while the patch is less sharp
/// than `least`; the sharpest of those when none is sharp enough.
pub(super) fn place(photo: &Photo, crop: usize, least: f32, rng: &mut Stream) -> (isize, isize) {
    let mut draw = || {
        let top = rng.random_range(0..=photo.height.saturating_sub(crop)) as isize;
        let left = rng.random_range(0..=photo.width.saturating_sub(crop)) as isize;
        (top, left)
    };
    let mut place = draw();
    if least > 0.0 {
        let score = |(top, left)| sharpness(&photo.window(top, left, crop, crop));
        let mut best = score(place);
        for _ in 0..REDRAWS {
            if best >= least {
                break;
            }
            let other = draw();
            let score = score(other);
            if score > best {
                (best, place) = (score, other);
            }
        }
    }
    place
}

/// Most pixels by which a sequence made of one picture moves from frame to frame, each way.
const DRIFT: i32 = 6;

/// Whole pixels down and across by which a sequence moves from frame to frame. Half of them stand
/// still, as cameras on a mast do.
pub(super) fn drift(rng: &mut Stream) -> (isize, isize) {
    if rng.random_bool(0.5) {
        return (0, 0);
    }
    let mut step = || rng.random_range(-DRIFT..=DRIFT) as isize;
    (step(), step())
}

/// One of the eight symmetries of the square.
#[derive(Debug, Clone, Copy)]
pub struct Symmetry(u8);

impl Symmetry {
    /// Draws one; the unchanged square unless `wanted`.
    pub fn draw(rng: &mut Stream, wanted: bool) -> Self {
        let drawn = rng.random_range(0..8);
        Self(if wanted { drawn } else { 0 })
    }

    /// Applies it; square pictures only.
    pub(super) fn apply(self, picture: &mut Picture) {
        if picture.height == picture.width {
            self.apply_planes(&mut picture.data, picture.width);
        }
    }

    /// Applies it to square planes laid one after the other.
    pub fn apply_planes<T>(self, planes: &mut [T], side: usize) {
        if self.0 == 0 {
            return;
        }
        for plane in planes.chunks_exact_mut(side * side) {
            if self.0 & 1 != 0 {
                plane.chunks_exact_mut(side).for_each(<[T]>::reverse);
            }
            if self.0 & 2 != 0 {
                for y in 0..side / 2 {
                    let (upper, lower) = plane.split_at_mut((side - 1 - y) * side);
                    upper[y * side..(y + 1) * side].swap_with_slice(&mut lower[..side]);
                }
            }
            if self.0 & 4 != 0 {
                for y in 0..side {
                    for x in y + 1..side {
                        plane.swap(y * side + x, x * side + y);
                    }
                }
            }
        }
    }
}

/// A random change of exposure, contrast and colour balance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jitter {
    gain: [f32; 3],
    contrast: f32,
}

impl Jitter {
    pub(super) fn draw(rng: &mut Stream, most: f32) -> Self {
        let mut around_one = |most: f32| 1.0 + most * (2.0 * rng.random::<f32>() - 1.0);
        let exposure = around_one(most);
        Self {
            gain: std::array::from_fn(|_| exposure * around_one(most * 0.3)),
            contrast: around_one(most),
        }
    }

    /// Applies it, rounded to bytes again.
    pub(super) fn apply(self, picture: &mut Picture) {
        if self.contrast == 1.0 && self.gain == [1.0; 3] {
            return;
        }
        let plane = picture.width * picture.height;
        for (samples, gain) in picture.data.chunks_exact_mut(plane).zip(self.gain) {
            for v in samples {
                let changed = ((*v * gain - 0.5) * self.contrast + 0.5).clamp(0.0, 1.0);
                *v = (changed * 255.0).round() / 255.0;
            }
        }
    }
}

/// Where a patch lies in its picture.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub top: isize,
    pub left: isize,
    pub height: usize,
    pub width: usize,
}

impl Area {
    /// The middle of a photo, `side` pixels high and wide where it is as large.
    pub(super) fn middle(photo: &Photo, side: usize) -> Self {
        let (height, width) = (photo.height.min(side), photo.width.min(side));
        Self {
            top: ((photo.height - height) / 2) as isize,
            left: ((photo.width - width) / 2) as isize,
            height,
            width,
        }
    }

    /// What a photo shows there.
    pub(super) fn of(&self, photo: &Photo) -> Picture {
        photo.window(self.top, self.left, self.height, self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::random::stream;

    #[test]
    fn symmetries_are_eight_different_ones() {
        let mut seen = Vec::new();
        for i in 0..8 {
            let mut picture = Picture::new(1, 3, 3);
            picture.data = (0..9).map(|v| v as f32).collect();
            Symmetry(i).apply(&mut picture);
            assert!(!seen.contains(&picture.data), "{i}");
            seen.push(picture.data);
        }
    }

    #[test]
    fn jitter_moves_colours_by_no_more_than_asked_and_both_pictures_alike() {
        let grey = |v: f32| {
            let mut picture = Picture::new(3, 2, 2);
            picture.data.fill(v);
            picture
        };
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let jitter = Jitter::draw(&mut stream(&[seed]), 0.2);
            let (mut a, mut b) = (grey(0.6), grey(0.6));
            jitter.apply(&mut a);
            jitter.apply(&mut b);
            assert_eq!(a, b);
            // (0.6 * 1.2 * 1.06 - 0.5) * 1.2 + 0.5 and its counterpart, on the byte grid.
            for v in &a.data {
                assert!((0.44..0.82).contains(v), "{v}");
                assert!((v * 255.0 - (v * 255.0).round()).abs() < 1e-3);
            }
            seen.insert(a.to_bytes());
        }
        assert!(seen.len() > 40);
        let mut same = grey(0.3);
        Jitter::draw(&mut stream(&[1]), 0.0).apply(&mut same);
        assert_eq!(same, grey(0.3));
    }

    #[test]
    fn flat_places_are_avoided() {
        // The left half of the photo is flat.
        let mut picture = crate::data::synth::scene(1, 0, 128, 64);
        for row in picture.data.chunks_exact_mut(128) {
            row[..64].fill(0.5);
        }
        let photo = Photo::from_picture(&picture);
        let left = |least: f32| -> usize {
            let flat = |seed| place(&photo, 32, least, &mut stream(&[seed])).1 < 32;
            (0..100).filter(|&seed| flat(seed)).count()
        };
        assert!(left(0.0) > 20);
        assert!(left(0.02) < 3);
    }

    #[test]
    fn blur_lowers_sharpness() {
        let sharp = crate::data::synth::scene(1, 0, 64, 64);
        let degradation: crate::data::degrade::Degradation = "disc:radius=3".parse().unwrap();
        let soft = degradation.apply(&sharp, &mut stream(&[1])).unwrap();
        assert!(sharpness(&sharp) > 1.5 * sharpness(&soft));
        assert_eq!(sharpness(&Picture::new(3, 9, 9)), 0.0);
    }
}

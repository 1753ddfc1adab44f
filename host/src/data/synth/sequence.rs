//! Moving scenes with exact sharp truth: a background under a panning, shaking camera, and objects that
//! move by themselves. A blurred frame is the mean of many instants of the exposure in linear light.
//!
//! The middle of every exposure lies on whole pixels, so the truth is drawn without interpolation.

use rand::Rng;

use super::canvas::Canvas;
use super::leaves::Shape;
use crate::data::photo::mirror;
use crate::data::random::{Stream, stream};
use crate::picture::Picture;

/// How a sequence moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SequenceOptions {
    /// Part of the frame time for which the shutter is open, 0..1.
    pub shutter: f32,
    /// Fastest camera pan and object motion, pixels per frame.
    pub speed: f32,
    /// Deviation of the camera shake, pixels.
    pub shake: f32,
    /// Objects with their own motion.
    pub objects: usize,
}

impl Default for SequenceOptions {
    fn default() -> Self {
        Self {
            shutter: 0.6,
            speed: 8.0,
            shake: 2.0,
            objects: 4,
        }
    }
}

/// One frame of a [`Sequence`].
#[derive(Debug, Clone, PartialEq)]
pub struct MovingFrame {
    /// The instant in the middle of the exposure, `[3,H,W]`.
    pub sharp: Picture,
    /// The mean over the exposure, `[3,H,W]`.
    pub blur: Picture,
}

struct Track {
    start: (f32, f32),
    speed: (f32, f32),
    /// Amplitude, frequency (radians per frame), phase for each axis' oscillations.
    shake: [[(f32, f32, f32); 3]; 2],
}

impl Track {
    fn draw(rng: &mut Stream, start: (f32, f32), speed: f32, shake: f32) -> Self {
        let angle: f32 = rng.random_range(0.0..std::f32::consts::TAU);
        let speed = speed * rng.random_range(0.2_f32..1.0);
        let mut oscillation = || {
            std::array::from_fn(|i| {
                (
                    shake * rng.random_range(0.3..1.0) / (i + 1) as f32,
                    rng.random_range(0.3..1.1) * (i + 1) as f32,
                    rng.random_range(0.0..std::f32::consts::TAU),
                )
            })
        };
        Self {
            start,
            shake: [oscillation(), oscillation()],
            speed: (speed * angle.cos(), speed * angle.sin()),
        }
    }

    fn at(&self, time: f32) -> (f32, f32) {
        let sway = |axis: usize| -> f32 {
            self.shake[axis]
                .iter()
                .map(|(amplitude, frequency, phase)| amplitude * (frequency * time + phase).sin())
                .sum()
        };
        (
            self.start.0 + self.speed.0 * time + sway(0),
            self.start.1 + self.speed.1 * time + sway(1),
        )
    }

    /// The position at `time`, moved so that the position at `middle` is whole.
    fn anchored(&self, time: f32, middle: f32) -> (f32, f32) {
        let (now, anchor) = (self.at(time), self.at(middle));
        (
            anchor.0.round() + now.0 - anchor.0,
            anchor.1.round() + now.1 - anchor.1,
        )
    }
}

struct Object {
    picture: Canvas,
    coverage: Vec<f32>,
    track: Track,
}

/// A moving scene; frames are drawn when asked for.
pub struct Sequence {
    width: usize,
    height: usize,
    options: SequenceOptions,
    background: Canvas,
    camera: Track,
    objects: Vec<Object>,
}

impl Sequence {
    /// The `index`-th sequence of `seed`.
    pub fn new(
        seed: u64,
        index: u64,
        width: usize,
        height: usize,
        options: SequenceOptions,
    ) -> Self {
        let rng = &mut stream(&[seed, index, 0x006d_6f76_6965]);
        let (width, height) = (width.max(1), height.max(1));
        // Twice the frame; a camera that pans further sees it mirrored.
        let background = super::draw(rng, 2 * width, 2 * height);
        let camera = Track::draw(
            rng,
            (width as f32 / 2.0, height as f32 / 2.0),
            options.speed,
            options.shake,
        );
        let objects = (0..options.objects)
            .map(|_| {
                let radius = width.min(height) as f32 * rng.random_range(0.06..0.2);
                let side = 2 * radius.ceil() as usize + 4;
                let shape = Shape::draw(rng, radius);
                let middle = side as f32 / 2.0;
                let start = (
                    rng.random_range(0.0..width as f32) - middle,
                    rng.random_range(0.0..height as f32) - middle,
                );
                Object {
                    picture: super::draw(rng, side, side),
                    coverage: (0..side * side)
                        .map(|i| {
                            let x = (i % side) as f32 + 0.5 - middle;
                            let y = (i / side) as f32 + 0.5 - middle;
                            (0.5 - shape.distance(x, y)).clamp(0.0, 1.0)
                        })
                        .collect(),
                    track: Track::draw(rng, start, options.speed, 0.0),
                }
            })
            .collect();
        Self {
            width,
            height,
            options,
            background,
            camera,
            objects,
        }
    }

    /// Frame `number`, truth and blur.
    pub fn frame(&self, number: usize) -> MovingFrame {
        let middle = number as f32;
        let open = self.options.shutter.clamp(0.0, 1.0);
        // As many instants as the fastest thing moves pixels, so that nothing leaves separate ghosts.
        let travel = std::iter::once(&self.camera)
            .chain(self.objects.iter().map(|o| &o.track))
            .map(|track| {
                let (a, b) = (track.at(middle - open / 2.0), track.at(middle + open / 2.0));
                (a.0 - b.0).hypot(a.1 - b.1)
            })
            .fold(0.0, f32::max);
        let instants = (travel.ceil() as usize + 1).clamp(3, 48);
        let mut sum = Canvas::new(self.width, self.height);
        for i in 0..instants {
            let time = middle + open * ((i as f32 + 0.5) / instants as f32 - 0.5);
            let instant = self.instant(time, middle);
            for (total, pixel) in sum.pixels.iter_mut().zip(&instant.pixels) {
                for (t, p) in total.iter_mut().zip(pixel) {
                    *t += p / instants as f32;
                }
            }
        }
        MovingFrame {
            sharp: self.instant(middle, middle).picture(),
            blur: sum.picture(),
        }
    }

    fn instant(&self, time: f32, middle: f32) -> Canvas {
        let mut canvas = Canvas::new(self.width, self.height);
        let (left, top) = self.camera.anchored(time, middle);
        sample(&self.background, left, top, &mut canvas);
        for object in &self.objects {
            object.place(object.track.anchored(time, middle), &mut canvas);
        }
        canvas
    }
}

/// The window of `source` at (`left`, `top`), bilinear, mirrored outside.
fn sample(source: &Canvas, left: f32, top: f32, target: &mut Canvas) {
    let (x0, y0) = (left.floor(), top.floor());
    let (fx, fy) = (left - x0, top - y0);
    let weights = [
        (1.0 - fx) * (1.0 - fy),
        fx * (1.0 - fy),
        (1.0 - fx) * fy,
        fx * fy,
    ];
    let columns: Vec<usize> = (0..=target.width)
        .map(|x| mirror(x as isize + x0 as isize, source.width))
        .collect();
    for (y, row) in target.pixels.chunks_exact_mut(target.width).enumerate() {
        let line = |dy: isize| {
            let at = mirror(y as isize + y0 as isize + dy, source.height) * source.width;
            &source.pixels[at..at + source.width]
        };
        let (upper, lower) = (line(0), line(1));
        for (pixel, pair) in row.iter_mut().zip(columns.windows(2)) {
            let (a, b) = (upper[pair[0]], upper[pair[1]]);
            let (c, d) = (lower[pair[0]], lower[pair[1]]);
            *pixel = std::array::from_fn(|k| {
                a[k] * weights[0] + b[k] * weights[1] + c[k] * weights[2] + d[k] * weights[3]
            });
        }
    }
}

impl Object {
    /// Lays the object over `canvas` at a fractional position; colours and coverage are interpolated together.
    fn place(&self, (left, top): (f32, f32), canvas: &mut Canvas) {
        let (x0, y0) = (left.floor() as isize, top.floor() as isize);
        let (fx, fy) = (left - left.floor(), top - top.floor());
        let side = self.picture.width as isize;
        let weights = [
            ((0, 0), (1.0 - fx) * (1.0 - fy)),
            ((1, 0), fx * (1.0 - fy)),
            ((0, 1), (1.0 - fx) * fy),
            ((1, 1), fx * fy),
        ];
        for y in 0..=side {
            for x in 0..=side {
                let (px, py) = (x + x0, y + y0);
                if px < 0 || py < 0 || px >= canvas.width as isize || py >= canvas.height as isize {
                    continue;
                }
                let mut covered = 0.0;
                let mut light = [0.0; 3];
                for ((dx, dy), weight) in weights {
                    let (sx, sy) = (x - dx, y - dy);
                    if sx < 0 || sy < 0 || sx >= side || sy >= side {
                        continue;
                    }
                    let at = (sy * side + sx) as usize;
                    let share = weight * self.coverage[at];
                    covered += share;
                    for (l, p) in light.iter_mut().zip(self.picture.pixels[at]) {
                        *l += share * p;
                    }
                }
                if covered > 0.0 {
                    let pixel = &mut canvas.pixels[py as usize * canvas.width + px as usize];
                    for (p, l) in pixel.iter_mut().zip(light) {
                        *p = *p * (1.0 - covered) + l;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_still_camera_gives_truth_and_motion_keeps_the_light() {
        let still = SequenceOptions {
            speed: 0.0,
            shake: 0.0,
            objects: 2,
            shutter: 0.5,
        };
        let frame = Sequence::new(1, 0, 64, 48, still).frame(3);
        let error = |f: &MovingFrame| {
            let pairs = f.sharp.data.iter().zip(&f.blur.data);
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
        };
        assert!(error(&frame) < 1e-4, "{}", error(&frame));
        let moving = Sequence::new(1, 0, 64, 48, SequenceOptions::default());
        let (first, second) = (moving.frame(0), moving.frame(1));
        assert!(error(&first) > 0.1);
        assert_ne!(first.sharp, second.sharp);
        assert_eq!(second, moving.frame(1));
    }

    #[test]
    fn blur_is_the_mean_of_instants_in_linear_light() {
        let sequence = Sequence::new(9, 1, 96, 64, SequenceOptions::default());
        let frame = sequence.frame(2);
        let energy = |p: &Picture| p.data.iter().map(|v| f64::from(v.powf(2.2))).sum::<f64>();
        let (sharp, blur) = (energy(&frame.sharp), energy(&frame.blur));
        assert!((sharp / blur - 1.0).abs() < 0.1, "{sharp} {blur}");
    }
}

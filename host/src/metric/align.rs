//! Which frame of the reference each frame of a video shows, when frames were dropped or repeated.

use rayon::prelude::*;

use super::MetricError;

/// Cells of a thumbnail, across and down.
const CELLS: (usize, usize) = (32, 18);
/// Least cost of a break in step, in mean squared steps of 1/255 of a thumbnail: a frame must fit this
/// much better elsewhere before it counts as dropped or repeated.
const LEAST_BREAK: f32 = 0.02;
/// The cost of a break against the usual distance of a frame to the one it fits best, which is noise.
const BREAK_OVER_NOISE: f32 = 0.5;
/// How far the two may run apart beyond the difference in length, in frames.
const SLACK: usize = 90;
/// Most places of all frames together, a byte each.
const MAX_PLACES: usize = 1 << 31;

/// A step from the frame before: to the next frame of the reference.
const ON: u8 = 0;
/// To the same frame again.
const AGAIN: u8 = 1;
/// From the cheapest place that lies two or more back.
const OVER: u8 = 2;
/// Beside one of the steps: no place before this one is as cheap.
const CHEAPEST: u8 = 4;

/// A frame's luma as means over a grid of cells, in steps of 1/255: what blur and codecs leave alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Thumbnail(Vec<f32>);

impl Thumbnail {
    /// Of a plane of bytes, row by row.
    pub fn of_plane(width: usize, height: usize, plane: &[u8]) -> Self {
        let (across, down) = (CELLS.0.min(width), CELLS.1.min(height));
        let mut cells = Vec::with_capacity(across * down);
        for row in 0..down {
            let rows = row * height / down..(row + 1) * height / down;
            for column in 0..across {
                let columns = column * width / across..(column + 1) * width / across;
                let count = rows.len() * columns.len();
                let of_row = |y: usize| &plane[y * width..][columns.clone()];
                let sum: u64 = rows.clone().flat_map(of_row).map(|&b| u64::from(b)).sum();
                cells.push(sum as f32 / count as f32);
            }
        }
        Self(cells)
    }

    fn distance(&self, other: &Self) -> f32 {
        let pairs = self.0.iter().zip(&other.0);
        pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f32>() / self.0.len().max(1) as f32
    }
}

/// A video laid along its reference.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Alignment {
    /// For each frame of the video, the frame of the reference that it shows, from 0; never falling.
    pub shows: Vec<usize>,
    /// Frames of the reference that no frame shows.
    pub dropped: Vec<usize>,
    /// Frames of the video that show what the one before shows already.
    pub repeated: Vec<usize>,
}

/// Lays `distorted` along `reference` at least total distance between thumbnails (dynamic
/// programming; time only moves on), each break in step at a small price.
///
/// Both must hold a frame.
///
/// # Errors
/// When there are too many frames to look for each of them all along.
pub fn align(reference: &[Thumbnail], distorted: &[Thumbnail]) -> Result<Alignment, MetricError> {
    let (total, count) = (reference.len(), distorted.len());
    let slack = SLACK + total.abs_diff(count);
    // Where frame `j` may lie; one place where lengths differ by more than the slack allows for.
    let band = |j: usize| {
        let low = j.saturating_sub(slack).min(total.saturating_sub(1));
        low..(j + slack + 1).clamp(low + 1, total.max(low + 1))
    };
    if (0..count).map(|j| band(j).len()).sum::<usize>() > MAX_PLACES {
        return Err(MetricError::TooLong {
            reference: total,
            distorted: count,
        });
    }
    // Made twice: all of them at once would fill the memory.
    let distances = |j: usize| {
        let places = reference[band(j)].par_iter();
        places.map(move |r| distorted[j].distance(r))
    };
    let least = |j: usize| distances(j).reduce(|| f32::INFINITY, f32::min);
    let price = price_of_a_break((0..count).into_par_iter().map(least).collect());
    let mut costs: Vec<f32> = Vec::new();
    let mut steps: Vec<Vec<u8>> = Vec::with_capacity(count);
    for j in 0..count {
        let distances: Vec<f32> = distances(j).collect();
        let (here, before) = (band(j), j.checked_sub(1).map(band));
        let cost = |i: usize| {
            let place = before.as_ref().filter(|b| b.contains(&i));
            place.map_or(f32::INFINITY, |b| costs[i - b.start])
        };
        let mut next = Vec::with_capacity(here.len());
        let mut from = Vec::with_capacity(here.len());
        // The cheapest place of the frame before that lies two or more back.
        let mut far = f32::INFINITY;
        let mut cheapest = f32::INFINITY;
        let mut seen = before.as_ref().map_or(0, |b| b.start);
        for (i, distance) in here.zip(distances) {
            let reached = match before {
                None => (if i == 0 { 0.0 } else { price }, ON),
                Some(_) => {
                    while seen + 2 <= i {
                        far = far.min(cost(seen));
                        seen += 1;
                    }
                    let mut best = (cost(i) + price, AGAIN);
                    if far + price < best.0 {
                        best = (far + price, OVER);
                    }
                    // Ties go to the step that drops and repeats nothing.
                    if let Some(last) = i.checked_sub(1)
                        && cost(last) <= best.0
                    {
                        best = (cost(last), ON);
                    }
                    best
                }
            };
            let cost = reached.0 + distance;
            let mark = if cost < cheapest { CHEAPEST } else { 0 };
            cheapest = cheapest.min(cost);
            next.push(cost);
            from.push(reached.1 | mark);
        }
        costs = next;
        steps.push(from);
    }
    // What is missing at the end is a break as well.
    let mut best = (f32::INFINITY, 0);
    for (i, cost) in band(count.saturating_sub(1)).zip(&costs) {
        let cost = cost + if i + 1 == total { 0.0 } else { price };
        if cost < best.0 {
            best = (cost, i);
        }
    }
    let mut shows = vec![0; count];
    let mut at = best.1;
    for j in (0..count).rev() {
        shows[j] = at;
        at = match steps[j][at - band(j).start] & !CHEAPEST {
            AGAIN => at,
            OVER if j > 0 => {
                let start = band(j - 1).start;
                let mut places = steps[j - 1].iter().take(at.saturating_sub(start + 1));
                start + places.rposition(|place| place & CHEAPEST != 0).unwrap_or(0)
            }
            _ => at.saturating_sub(1),
        };
    }
    let repeated = (1..count).filter(|&j| shows[j] == shows[j - 1]).collect();
    let mut dropped = Vec::new();
    let mut next = 0;
    for &i in &shows {
        dropped.extend(next..i);
        next = next.max(i + 1);
    }
    dropped.extend(next..total);
    Ok(Alignment {
        shows,
        dropped,
        repeated,
    })
}

/// From each frame's least distance.
fn price_of_a_break(mut noise: Vec<f32>) -> f32 {
    noise.sort_by(f32::total_cmp);
    let middle = noise.get(noise.len() / 2).copied().unwrap_or(0.0);
    (BREAK_OVER_NOISE * middle).max(LEAST_BREAK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bright square that wanders over a slope, and a little noise that differs by `seed`.
    fn frame(time: usize, seed: u64) -> Thumbnail {
        let (w, h) = (160usize, 90usize);
        let mut noise = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let plane: Vec<u8> = (0..w * h)
            .map(|i| {
                let (x, y) = (i % w, i / w);
                noise = noise.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                let square = x.abs_diff(20 + 2 * time) < 12 && y.abs_diff(40) < 12;
                let level = if square { 210 } else { 60 + x / 4 };
                level as u8 + (noise >> 61) as u8
            })
            .collect();
        Thumbnail::of_plane(w, h, &plane)
    }

    #[test]
    fn dropped_and_repeated_frames_are_named() {
        let reference: Vec<_> = (0..40).map(|t| frame(t, 1)).collect();
        let given: Vec<usize> = (0..5)
            .chain(7..20)
            .chain([19, 19])
            .chain(20..31)
            .chain(32..39)
            .collect();
        let distorted: Vec<_> = given.iter().map(|&t| frame(t, 2)).collect();
        let found = align(&reference, &distorted).unwrap();
        assert_eq!(found.shows, given);
        assert_eq!(found.dropped, [5, 6, 31, 39]);
        assert_eq!(found.repeated, [18, 19]);
    }

    #[test]
    fn a_still_scene_keeps_step_and_short_videos_fit() {
        let still: Vec<_> = (0..12).map(|t| frame(3, t)).collect();
        let other: Vec<_> = (0..12).map(|t| frame(3, 100 + t)).collect();
        let found = align(&still, &other).unwrap();
        assert_eq!(found.shows, (0..12).collect::<Vec<_>>());
        let one = align(&still[..1], &other[..3]).unwrap();
        assert_eq!((one.shows, one.repeated), (vec![0, 0, 0], vec![1, 2]));
        let few = align(&still, &other[..1]).unwrap();
        assert_eq!((few.shows.len(), few.dropped.len()), (1, 11));
    }

    #[test]
    fn too_many_frames_are_refused_before_they_fill_the_memory() {
        let frames = vec![Thumbnail(Vec::new()); 100_000];
        let error = align(&frames, &frames[..50_000]).unwrap_err().to_string();
        assert!(error.contains("100000 and 50000 frames"), "{error}");
    }
}

//! Sample grids: input | student | teacher | truth of a few validation pictures.

use tch::{Kind, Tensor};

use super::guide::Guide;
use super::validate::ValidationPair;
use crate::picture::Picture;

/// Most rows of a grid.
const ROWS: usize = 4;
/// White pixels between pictures.
const GAP: usize = 4;

/// A row of the grid: what stays the same from epoch to epoch.
#[derive(Debug)]
pub struct Sample {
    pair: ValidationPair,
    teacher: Option<Tensor>,
}

/// The first validation pictures, and what the teacher makes of them. `for_teacher` are the same
/// pictures in the teacher's colour.
pub fn choose(
    pairs: &[ValidationPair],
    guide: Option<&Guide>,
    for_teacher: &[ValidationPair],
) -> Vec<Sample> {
    let answer = |i: usize| Some(guide?.guide(&for_teacher.get(i)?.input).output);
    let sample = |(i, pair): (usize, &ValidationPair)| Sample {
        pair: pair.shallow_clone(),
        teacher: answer(i),
    };
    pairs.iter().take(ROWS).enumerate().map(sample).collect()
}

/// Draws the grid, one row for each sample.
pub(super) fn grid(samples: &[Sample], restore: &dyn Fn(&ValidationPair) -> Tensor) -> Picture {
    let rows: Vec<Vec<Tensor>> = samples
        .iter()
        .map(|s| {
            let restored = tch::no_grad(|| restore(&s.pair));
            let mut row = vec![s.pair.input.shallow_clone(), restored];
            row.extend(s.teacher.as_ref().map(Tensor::shallow_clone));
            row.push(s.pair.truth.shallow_clone());
            row
        })
        .collect();
    let size = |t: &Tensor| (t.size()[2] as usize, t.size()[3] as usize);
    let sum = |sides: Vec<usize>| sides.iter().sum::<usize>() + GAP * sides.len().saturating_sub(1);
    let height = sum(rows.iter().map(|r| size(&r[0]).0).collect());
    let width = |r: &Vec<Tensor>| sum(r.iter().map(|t| size(t).1).collect());
    let width = rows.iter().map(width).max().unwrap_or(0);
    let channels = rows.first().map_or(1, |r| r[0].size()[1] as usize);
    let mut picture = Picture::new(channels, height, width);
    picture.data.fill(1.0);
    let mut top = 0;
    for row in &rows {
        let mut left = 0;
        for tensor in row {
            paste(&mut picture, tensor, top, left);
            left += size(tensor).1 + GAP;
        }
        top += size(&row[0]).0 + GAP;
    }
    picture
}

fn paste(picture: &mut Picture, tensor: &Tensor, top: usize, left: usize) {
    let (height, width) = (tensor.size()[2] as usize, tensor.size()[3] as usize);
    let flat = tensor
        .to_device(tch::Device::Cpu)
        .to_kind(Kind::Float)
        .contiguous()
        .flatten(0, -1);
    let mut data = vec![0.0_f32; flat.numel()];
    flat.copy_data(&mut data, flat.numel());
    for (i, line) in data.chunks_exact(width).enumerate() {
        let (c, y) = (i / height, i % height);
        if c < picture.channels {
            let start = (c * picture.height + top + y) * picture.width + left;
            picture.data[start..start + width].copy_from_slice(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn rows_show_input_student_and_truth_side_by_side() {
        let plane = |v: f64| Tensor::full([1, 1, 12, 16], v, (Kind::Float, Device::Cpu));
        let pair = || ValidationPair {
            earlier: Vec::new(),
            input: plane(0.0),
            truth: plane(0.5),
        };
        let samples = choose(&[pair(), pair()], None, &[]);
        let picture = grid(&samples, &|pair| &pair.input + 0.25);
        assert_eq!((picture.height, picture.width), (28, 56));
        let at = |y: usize, x: usize| picture.data[y * picture.width + x];
        assert_eq!((at(0, 0), at(0, 20), at(27, 55)), (0.0, 0.25, 0.5));
        assert_eq!((at(0, 17), at(13, 0)), (1.0, 1.0));
    }
}

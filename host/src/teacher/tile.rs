//! Large pictures in tiles.

use anyhow::ensure;
use tch::{Device, Kind, Tensor};

use super::Teacher;

/// Restores `x` `[N,C,H,W]` in square tiles of `tile` pixels that share `overlap` pixels with their
/// neighbours; where tiles overlap, their mean is taken, as SwinIR's published test code does.
/// `progress` is called after each of the tiles with their number.
///
/// # Errors
/// When `overlap` is not smaller than `tile`.
pub fn run(
    teacher: &dyn Teacher,
    x: &Tensor,
    tile: i64,
    overlap: i64,
    mut progress: impl FnMut(usize),
) -> anyhow::Result<Tensor> {
    ensure!(
        tile > 0 && (0..tile).contains(&overlap),
        "the overlap of {overlap} pixels must be smaller than the tile of {tile}"
    );
    let (n, _, height, width) = x.size4()?;
    let starts = |length: i64| -> Vec<i64> {
        let last = (length - tile).max(0);
        (0..last)
            .step_by((tile - overlap) as usize)
            .chain([last])
            .collect()
    };
    let (rows, columns) = (starts(height), starts(width));
    let (scale, total) = (teacher.scale(), rows.len() * columns.len());
    let mut sum: Option<Tensor> = None;
    let mut weight = Tensor::zeros(
        [1, 1, height * scale, width * scale],
        (Kind::Float, Device::Cpu),
    );
    for &top in &rows {
        for &left in &columns {
            let (h, w) = (tile.min(height), tile.min(width));
            let y = teacher
                .forward(&x.narrow(2, top, h).narrow(3, left, w))
                .to_device(Device::Cpu);
            let place = |t: &Tensor| {
                t.narrow(2, top * scale, h * scale)
                    .narrow(3, left * scale, w * scale)
            };
            let channels = y.size()[1];
            let sum = sum.get_or_insert_with(|| {
                Tensor::zeros(
                    [n, channels, height * scale, width * scale],
                    (Kind::Float, Device::Cpu),
                )
            });
            let _ = place(sum).g_add_(&y);
            let _ = place(&weight).g_add_scalar_(1.0);
            progress(total);
        }
    }
    let _ = weight.clamp_min_(1.0);
    Ok(sum.unwrap_or_else(|| x.shallow_clone()) / weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teacher::{TeacherConfig, build, unet::UNetConfig};

    fn far(a: &Tensor, b: &Tensor) -> f64 {
        assert_eq!(a.size(), b.size());
        (a - b).abs().max().double_value(&[])
    }

    /// A teacher that sees 10 pixels around, and changes what it sees.
    fn teacher() -> Box<dyn Teacher> {
        tch::manual_seed(2);
        let vs = tch::nn::VarStore::new(Device::Cpu);
        let config = TeacherConfig::UNet(UNetConfig {
            channels: 3,
            width: 4,
            depth: 1,
            scale: 1,
        });
        let teacher = build(&config, &vs.root()).unwrap();
        // It would begin with its input.
        let mut output = vs.variables()["output.weight"].shallow_clone();
        let _ = tch::no_grad(|| output.normal_(0.0, 0.5));
        teacher
    }

    #[test]
    fn tiles_give_their_mean_and_the_whole_where_they_see_enough() {
        let _guard = tch::no_grad_guard();
        let (teacher, kind) = (teacher(), (Kind::Float, Device::Cpu));
        let x = Tensor::rand([1, 3, 52, 88], kind);
        let whole = teacher.forward(&x);
        let mut tiles = 0;
        let y = run(teacher.as_ref(), &x, 32, 4, |total| {
            assert_eq!(total, 6);
            tiles += 1;
        });
        let y = y.unwrap();
        assert_eq!(tiles, 6);

        let (mut sum, mut count) = (x.zeros_like(), x.zeros_like());
        for (top, left) in [0, 20]
            .into_iter()
            .flat_map(|t| [0, 28, 56].map(|l| (t, l)))
        {
            let part = teacher.forward(&x.narrow(2, top, 32).narrow(3, left, 32));
            let around = [left, 56 - left, top, 20 - top];
            sum += part.constant_pad_nd(around);
            count += part.ones_like().constant_pad_nd(around);
        }
        assert!(far(&y, &(sum / count)) < 1e-5);

        // Each of one tile, 10 pixels and more from where that ends within the picture.
        for (top, rows) in [(0, 20), (32, 20)] {
            for (left, columns) in [(0, 22), (38, 12), (66, 22)] {
                let part = |t: &Tensor| t.narrow(2, top, rows).narrow(3, left, columns);
                let error = far(&part(&y), &part(&whole));
                assert!(error < 1e-5, "{top} {left}: {error}");
                assert!(far(&part(&y), &part(&x)) > 0.1);
            }
        }
        assert!(far(&y, &whole) > 1e-3, "no tile's end shows");
    }

    #[test]
    fn a_tile_as_large_as_the_picture_is_the_whole() {
        let _guard = tch::no_grad_guard();
        let teacher = teacher();
        let x = Tensor::rand([1, 3, 37, 50], (Kind::Float, Device::Cpu));
        let whole = teacher.forward(&x);
        for (tile, overlap) in [(64, 8), (50, 0)] {
            let y = run(teacher.as_ref(), &x, tile, overlap, |_| ()).unwrap();
            assert!(far(&y, &whole) < 1e-6, "{tile}");
        }
        assert!(run(teacher.as_ref(), &x, 8, 8, |_| ()).is_err());
    }
}

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

    #[test]
    fn tiles_cover_the_picture() {
        let vs = tch::nn::VarStore::new(Device::Cpu);
        let config = TeacherConfig::UNet(UNetConfig {
            channels: 3,
            width: 2,
            depth: 1,
            scale: 1,
        });
        let teacher = build(&config, &vs.root()).unwrap();
        let x = Tensor::rand([1, 3, 37, 50], (Kind::Float, Device::Cpu));
        for (tile, overlap) in [(16, 4), (64, 8), (37, 0)] {
            let y = run(teacher.as_ref(), &x, tile, overlap, |_| ()).unwrap();
            let error = (y - &x).abs().max().double_value(&[]);
            assert!(error < 1e-6, "{tile}: {error}");
        }
        assert!(run(teacher.as_ref(), &x, 8, 8, |_| ()).is_err());
    }
}

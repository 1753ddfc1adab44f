//! `hone teacher run`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use safetensors::tensor::{Dtype, TensorView};
use tch::{Device, Kind, Tensor};

use super::progress;
use super::teacher_weights::WeightsArgs;
use crate::checkpoint;
use crate::picture::Picture;
use crate::teacher::{Teacher, TeacherConfig, load, tile};

/// Arguments of `hone teacher run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hone teacher run --weights restormer.pth --input blurred.png --output sharp.png --tile 512"
)]
pub struct RunArgs {
    #[command(flatten)]
    teacher: WeightsArgs,
    /// An image, or .safetensors with a tensor `input` `[N,C,H,W]` f32 in 0..1
    #[arg(long)]
    input: PathBuf,
    /// An image (.png, .jpg), or .safetensors that gets a tensor `output`
    #[arg(long)]
    output: PathBuf,
    /// Work in square tiles of this many pixels
    #[arg(long, value_name = "PIXELS")]
    tile: Option<i64>,
    /// Pixels that neighbouring tiles share
    #[arg(long, value_name = "PIXELS", default_value_t = 32)]
    overlap: i64,
}

impl RunArgs {
    /// Restores one picture or tensor.
    ///
    /// # Errors
    /// When the teacher or the input cannot be read, the channels differ, the memory does not
    /// suffice, or the output cannot be written.
    pub fn run(self) -> anyhow::Result<()> {
        let (config, teacher, device) = self.teacher.load()?;
        let x = read_input(&self.input, teacher.channels())?;
        let kind = self.teacher.precision.into();
        let y =
            tch::no_grad(|| self.restore(&config, teacher.as_ref(), &x.to_device(device), kind))?;
        write_output(
            &self.output,
            &y.to_device(Device::Cpu).to_kind(Kind::Float).contiguous(),
        )
    }

    fn restore(
        &self,
        config: &TeacherConfig,
        teacher: &dyn Teacher,
        x: &Tensor,
        kind: Kind,
    ) -> anyhow::Result<Tensor> {
        let (n, _, height, width) = x.size4()?;
        if let Some(side) = self.tile {
            check_memory(config, n * side * side, kind, x.device())?;
            let mut bar = None;
            let y = tile::run(teacher, x, side, self.overlap, |total| {
                bar.get_or_insert_with(|| progress::bar(total as u64, "tiles"))
                    .inc(1);
            })?;
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
            return Ok(y);
        }
        check_memory(config, n * height * width, kind, x.device())?;
        Ok(teacher.forward(x))
    }
}

/// Says what the picture would need before torch runs out of it.
fn check_memory(
    config: &TeacherConfig,
    pixels: i64,
    kind: Kind,
    device: Device,
) -> anyhow::Result<()> {
    let needed = tile::working_bytes(config, pixels, kind);
    let Some(available) = available_memory().filter(|_| device == Device::Cpu) else {
        return Ok(());
    };
    ensure!(
        needed <= available,
        "{} needs about {:.1} GB for {:.2} megapixels at once, and {:.1} GB are free; use --tile with a smaller side, e.g. --tile 512",
        config.name(),
        needed as f64 / 1e9,
        pixels as f64 / 1e6,
        available as f64 / 1e9
    );
    Ok(())
}

/// Bytes that the system can give, as Linux tells.
fn available_memory() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<i64>()
        .ok()
        .map(|kb| kb * 1024)
}

fn is_safetensors(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "safetensors")
}

fn read_input(path: &Path, channels: i64) -> anyhow::Result<Tensor> {
    let x = if is_safetensors(path) {
        let entries = checkpoint::read(path, None)?.entries;
        let input = entries.iter().find(|e| e.name == "input");
        load::tensor(input.with_context(|| format!("{} has no tensor 'input'", path.display()))?)?
    } else {
        let picture = Picture::load(path)?;
        let picture = if channels == 1 {
            picture.luma()
        } else {
            picture
        };
        let sides = [
            1,
            picture.channels as i64,
            picture.height as i64,
            picture.width as i64,
        ];
        Tensor::from_slice(&picture.data).view(sides)
    };
    let size = x.size();
    ensure!(
        size.len() == 4 && x.numel() > 0,
        "{}: the input is {size:?}, not [N,C,H,W]",
        path.display()
    );
    if size[1] != channels {
        bail!(
            "{} has {} channels, and this teacher takes {channels}",
            path.display(),
            size[1]
        );
    }
    Ok(x.to_kind(Kind::Float))
}

fn write_output(path: &Path, y: &Tensor) -> anyhow::Result<()> {
    let size: Vec<usize> = y.size().iter().map(|&s| s as usize).collect();
    let values = Vec::<f32>::try_from(y.flatten(0, -1))?;
    if is_safetensors(path) {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, size, &bytes)?;
        let file = safetensors::serialize([("output", view)], None)?;
        return Ok(hone_device::atomic::write_bytes(path, &file)?);
    }
    ensure!(
        size[0] == 1,
        "{} pictures do not fit one image; use .safetensors",
        size[0]
    );
    Picture {
        channels: size[1],
        height: size[2],
        width: size[3],
        data: values,
    }
    .save(path)
}

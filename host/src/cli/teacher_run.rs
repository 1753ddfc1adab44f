//! `hone teacher run`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use indicatif::ProgressBar;
use tch::{Device, Kind, Tensor};

use super::teacher_io::{self, Given};
use super::teacher_weights::{Loaded, WeightsArgs};
use super::{overwrite, progress};
use crate::teacher::{self, Teacher, TeacherConfig, memory, tile};
use crate::train::memory::guard;

/// Arguments of `hone teacher run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hone teacher run --weights restormer.pth --input blurred.png --output sharp.png\n  hone teacher run --weights restormer.pth --input large.png --output sharp.png --tile 512"
)]
pub struct RunArgs {
    #[command(flatten)]
    teacher: WeightsArgs,
    /// An image, or .safetensors with a tensor `input` `[N,C,H,W]` f32 in 0..1
    #[arg(long)]
    input: PathBuf,
    /// An image (.png, .jpg), or .safetensors that gets a tensor `output`; colours that a teacher of luma leaves out are put
    /// back into an image
    #[arg(long)]
    output: PathBuf,
    /// Work in square tiles of this many pixels
    #[arg(long, value_name = "PIXELS")]
    tile: Option<i64>,
    /// Pixels that neighbouring tiles share; 32, or a quarter of a smaller tile, when absent
    #[arg(long, value_name = "PIXELS", requires = "tile")]
    overlap: Option<i64>,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

impl RunArgs {
    /// Restores one picture or tensor.
    ///
    /// # Errors
    /// When the teacher or the input cannot be read, the channels differ, the memory does not
    /// suffice, or the output cannot be written or is one of the files that are read.
    pub fn run(self) -> anyhow::Result<()> {
        teacher_io::check_output(&self.output)?;
        let (weights, config) = self.teacher.files();
        let read = [Some(&self.input), Some(&weights), config.as_ref()];
        overwrite::refuse(
            &self.output,
            read.into_iter().flatten().map(PathBuf::as_path),
        )?;
        let given = Given::read(&self.input)?;
        let Loaded {
            config,
            teacher,
            device,
            ..
        } = self.teacher.load()?;
        let (x, coloured) = given.into_tensor(teacher.channels())?;
        let start = Instant::now();
        let y = teacher::checked(self.restore(&config, teacher.as_ref(), &x.to_device(device))?)?;
        let y = y.to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
        let seconds = start.elapsed().as_secs_f64();
        teacher_io::write(&self.output, &y, coloured.as_ref())?;
        self.report(&config, &x, seconds);
        Ok(())
    }

    fn restore(
        &self,
        config: &TeacherConfig,
        teacher: &dyn Teacher,
        x: &Tensor,
    ) -> anyhow::Result<Tensor> {
        let kind = self.teacher.precision.into();
        let (n, _, height, width) = x.size4()?;
        let Some(side) = self.tile else {
            memory::ensure_fits(config, n * height * width, kind, x.device())?;
            let waiting = ProgressBar::new_spinner()
                .with_message(format!("{}: {width}x{height}", config.name()));
            waiting.enable_steady_tick(Duration::from_millis(200));
            let y = enough_memory(|| Ok(tch::no_grad(|| teacher.forward(x))));
            waiting.finish_and_clear();
            return y;
        };
        if side < 1 {
            bail!("--tile must be at least 1, e.g. --tile 512");
        }
        let overlap = self.overlap.unwrap_or_else(|| 32.min(side / 4));
        memory::ensure_fits(
            config,
            n * side.min(height) * side.min(width),
            kind,
            x.device(),
        )?;
        let mut bar = None;
        let y = enough_memory(|| {
            tch::no_grad(|| {
                tile::run(teacher, x, side, overlap, |total| {
                    bar.get_or_insert_with(|| progress::bar(total as u64, "tiles"))
                        .inc(1);
                })
            })
        });
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        y
    }

    fn report(&self, config: &TeacherConfig, x: &Tensor, seconds: f64) {
        let (peak, size) = (memory::peak_bytes(), x.size());
        if self.json {
            let outcome = serde_json::json!({
                "architecture": config.name(), "input": size, "output": self.output,
                "seconds": seconds, "peak_bytes": peak,
            });
            println!("{outcome}");
            return;
        }
        let peak = peak.map_or_else(String::new, |p| {
            format!(", at most {:.2} GB", p as f64 / 1e9)
        });
        println!(
            "{}: {}x{} in {seconds:.2} s{peak}: {}",
            config.name(),
            size[3],
            size[2],
            self.output.display()
        );
    }
}

/// Runs `f`; want of memory becomes an error that says what to do.
fn enough_memory(f: impl FnOnce() -> anyhow::Result<Tensor>) -> anyhow::Result<Tensor> {
    // torch's panic is told as an error, once.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let outcome = guard(f);
    std::panic::set_hook(hook);
    outcome?.context("there is not enough memory for this picture at once; use --tile 512, or less")
}

//! `hone teacher run`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::ProgressBar;
use tch::{Device, Kind, Tensor};

use super::teacher_io::{self, Given};
use super::teacher_tiles::TileArgs;
use super::teacher_weights::WeightsArgs;
use super::{overwrite, progress};
use crate::teacher::{self, Teacher, TeacherConfig, memory};

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
    /// An image (.png, .jpg), or .safetensors that gets a tensor `output`
    #[arg(long)]
    output: PathBuf,
    #[command(flatten)]
    tiles: TileArgs,
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
        let (config, teacher, device) = self.teacher.load()?;
        let x = given.into_tensor(teacher.channels())?;
        let start = Instant::now();
        let y = teacher::checked(self.restore(&config, teacher.as_ref(), &x.to_device(device))?)?;
        let y = y.to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
        let seconds = start.elapsed().as_secs_f64();
        teacher_io::write(&self.output, &y)?;
        self.report(&config, &x, seconds);
        Ok(())
    }

    fn restore(
        &self,
        config: &TeacherConfig,
        teacher: &dyn Teacher,
        x: &Tensor,
    ) -> anyhow::Result<Tensor> {
        let (_, _, height, width) = x.size4()?;
        let waiting =
            ProgressBar::new_spinner().with_message(format!("{}: {width}x{height}", config.name()));
        waiting.enable_steady_tick(Duration::from_millis(200));
        let kind = self.teacher.precision.into();
        let mut bar: Option<ProgressBar> = None;
        let y = self.tiles.restore((config, teacher), kind, x, |total| {
            waiting.finish_and_clear();
            bar.get_or_insert_with(|| progress::bar(total as u64, "tiles"))
                .inc(1);
        });
        waiting.finish_and_clear();
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

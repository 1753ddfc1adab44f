//! `hone teacher bench`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::ensure;
use clap::Args;
use tch::{Kind, Tensor};

use super::size::sides;
use super::teacher_weights::TorchPrecision;
use super::torch_device::DeviceChoice;
use crate::teacher::config::read_file;
use crate::teacher::load::untrained;
use crate::teacher::{LoadOptions, memory};

/// Arguments of `hone teacher bench`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hone teacher bench --config restormer.json --size 256x256 --json\n  make bench-teachers   # beside PyTorch"
)]
pub struct BenchArgs {
    /// Architecture and options (JSON or TOML); weights are random
    #[arg(long)]
    config: PathBuf,
    /// Width and height of the picture
    #[arg(long, default_value = "256x256", value_parser = sides(1..=16_384))]
    size: (usize, usize),
    /// Runs after a first one; the fastest counts
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Threads of torch
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=1024))]
    threads: Option<i32>,
    /// cpu, cuda, cuda:N or auto
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// What the network computes in
    #[arg(long, value_enum, default_value = "f32")]
    precision: TorchPrecision,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl BenchArgs {
    /// Times the forward pass.
    ///
    /// # Errors
    /// When the configuration is wrong or the device is not there.
    pub fn run(self) -> anyhow::Result<()> {
        ensure!(self.repeat > 0, "--repeat must be at least 1");
        if let Some(threads) = self.threads {
            tch::set_num_threads(threads);
        }
        let config = read_file(&self.config)?.config;
        let device = self.device.resolve()?;
        let kind = self.precision.into();
        let options = LoadOptions {
            device,
            kind,
            key: None,
        };
        let teacher = untrained(&config, &options)?;
        let (width, height) = (self.size.0 as i64, self.size.1 as i64);
        let x = Tensor::rand(
            [1, teacher.channels(), height, width],
            (Kind::Float, device),
        );
        let before = memory::held_bytes();
        let mut best = f64::INFINITY;
        for _ in 0..=self.repeat {
            let start = Instant::now();
            let y = tch::no_grad(|| teacher.forward(&x));
            // Waits for a GPU to finish.
            let _ = y.mean(Kind::Float).double_value(&[]);
            best = best.min(start.elapsed().as_secs_f64());
        }
        let per_megapixel = best * 1e6 / (width * height) as f64;
        let used = memory::peak_bytes().zip(before).map(|(p, b)| p - b);
        let expected = memory::working_bytes(&config, width * height, kind);
        if self.json {
            println!(
                "{}",
                serde_json::json!({
                    "architecture": config.name(), "seconds": best,
                    "seconds_per_megapixel": per_megapixel, "threads": tch::get_num_threads(),
                    "working_bytes": used, "expected_bytes": expected,
                })
            );
            return Ok(());
        }
        let gigabytes = |bytes: i64| format!("{:.2} GB", bytes as f64 / 1e9);
        println!(
            "{}: {best:.3} s, {per_megapixel:.2} s a megapixel; working memory {}, expected {}",
            config.name(),
            used.map_or_else(|| "unknown".to_owned(), gigabytes),
            gigabytes(expected)
        );
        Ok(())
    }
}

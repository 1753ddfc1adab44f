//! What a picture needs at once, before torch runs out of it.

use anyhow::ensure;
use tch::{Device, Kind};

use super::TeacherConfig;

/// About how many bytes of working memory a picture of `pixels` needs at once, above the weights.
pub fn working_bytes(config: &TeacherConfig, pixels: i64, kind: Kind) -> i64 {
    // What every picture needs, and channels of f32 maps that live together: measured with `hone teacher
    // bench` on the published networks (Restormer and NAFNet at 128, 256
    // and 512 pixels a side, U-Net at 512, MPRNet and SwinIR at 256), rounded up.
    let (fixed, channels) = match config {
        TeacherConfig::UNet(c) => (0, 10.0 * c.width as f64),
        TeacherConfig::Restormer(c) => (140_000_000, 8.7 * c.dim as f64),
        TeacherConfig::SwinIr(c) => (
            0,
            c.embed_dim as f64 * 15.0 + 64.0 * (c.upscale * c.upscale) as f64 * 2.0,
        ),
        TeacherConfig::MprNet(c) => (
            0,
            11.0 * (c.n_feat + c.scale_orsnetfeats) as f64 + 6.0 * c.n_feat as f64,
        ),
        TeacherConfig::NafNet(c) => (32_000_000, 6.5 * c.width as f64),
    };
    fixed + (channels * pixels as f64) as i64 * element_bytes(kind)
}

fn element_bytes(kind: Kind) -> i64 {
    if kind == Kind::Float { 4 } else { 2 }
}

/// Refuses a picture that would not fit the CPU's free memory; torch itself tells on a GPU.
///
/// # Errors
/// Says what it needs, what is free, and what to do.
pub fn ensure_fits(
    config: &TeacherConfig,
    pixels: i64,
    kind: Kind,
    device: Device,
) -> anyhow::Result<()> {
    let needed = working_bytes(config, pixels, kind);
    let Some(available) = available_bytes().filter(|_| device == Device::Cpu) else {
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
fn available_bytes() -> Option<i64> {
    kilobytes("/proc/meminfo", "MemAvailable:")
}

/// The most memory that this process has held so far, as Linux tells.
pub fn peak_bytes() -> Option<i64> {
    kilobytes("/proc/self/status", "VmHWM:")
}

/// The memory that this process holds now, as Linux tells.
pub fn held_bytes() -> Option<i64> {
    kilobytes("/proc/self/status", "VmRSS:")
}

/// A line `name 123 kB` of a file, in bytes.
fn kilobytes(path: &str, name: &str) -> Option<i64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let count = line.trim().strip_suffix("kB")?.trim().parse::<i64>().ok()?;
    Some(count * 1024)
}

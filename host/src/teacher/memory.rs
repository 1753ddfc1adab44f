//! What a picture needs at once, before torch runs out of it.

use anyhow::ensure;
use tch::{Device, Kind};

use super::TeacherConfig;

/// About how many bytes of working memory a picture of `pixels` needs at once, above the weights.
pub fn working_bytes(config: &TeacherConfig, pixels: i64, kind: Kind) -> i64 {
    let element = element_bytes(kind);
    // What every picture needs, and channels of maps that live together: measured with `hone teacher
    // bench` on the published networks (Restormer at 128, 256 and 512 pixels a side, NAFNet at 512 to 1024, U-Net
    // of all scales at 512 and 1024, MPRNet and SwinIR at 256), rounded up.
    let (fixed, channels) = match config {
        TeacherConfig::UNet(c) => (
            32_000_000,
            12.0 * c.width as f64 / (c.scale * c.scale) as f64 + 8.0 * c.channels as f64,
        ),
        TeacherConfig::Restormer(c) => (140_000_000, 8.7 * c.dim as f64),
        TeacherConfig::SwinIr(c) => (
            0,
            c.embed_dim as f64 * 15.0 + 64.0 * (c.upscale * c.upscale) as f64 * 2.0,
        ),
        TeacherConfig::MprNet(c) => (
            0,
            11.0 * (c.n_feat + c.scale_orsnetfeats) as f64 + 6.0 * c.n_feat as f64,
        ),
        TeacherConfig::NafNet(c) => {
            // Maps of 2 bytes go back less readily. Sliding means are summed up in f64, some channels at once.
            let each = if kind == Kind::Float { 7.0 } else { 10.0 };
            let sums = c.local_window.map_or(0, |_| 80 / element);
            (32_000_000, each * c.width as f64 + sums as f64)
        }
    };
    fixed + (channels * pixels as f64) as i64 * element
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teacher::nafnet::NafNetConfig;
    use crate::teacher::unet::UNetConfig;

    #[test]
    fn a_scale_in_front_and_sliding_means_count() {
        let unet = |scale| {
            let config = TeacherConfig::UNet(UNetConfig {
                scale,
                ..UNetConfig::default()
            });
            working_bytes(&config, 1 << 20, Kind::Float)
        };
        // Measured: 1437, 473 and 145 MB.
        assert!(unet(1) > 1_437_000_000);
        assert!((473_000_000..600_000_000).contains(&unet(2)));
        assert!((145_000_000..290_000_000).contains(&unet(4)));
        let nafnet = |local_window, kind| {
            let config = TeacherConfig::NafNet(NafNetConfig {
                local_window,
                ..NafNetConfig::default()
            });
            working_bytes(&config, 1 << 20, kind)
        };
        // Measured: 922, 973 and 672 MB.
        assert!((922_000_000..1_000_000_000).contains(&nafnet(None, Kind::Float)));
        assert!((973_000_000..1_100_000_000).contains(&nafnet(Some(384), Kind::Float)));
        assert!((672_000_000..750_000_000).contains(&nafnet(None, Kind::BFloat16)));
    }
}

//! Frames of video files, by an installed GStreamer.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Writes every `every`-th frame of `clip` to `folder/NNNNNN.png`; gives their number.
///
/// # Errors
/// When `gst-launch-1.0` is missing or cannot decode the clip.
pub fn extract(clip: &Path, folder: &Path, every: usize) -> anyhow::Result<usize> {
    if !clip.is_file() {
        bail!("{} is no file", clip.display());
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // Properties go in as separate arguments, so that any path is taken literally.
    let location = format!("location={}", clip.display());
    let pattern = format!("location={}/%06d.png", folder.display());
    let output = Command::new("gst-launch-1.0")
        .args(["--quiet", "filesrc", &location, "!", "decodebin", "!", "videoconvert"])
        .args(["!", "video/x-raw,format=RGB", "!", "pngenc", "compression-level=1"])
        .args(["!", "multifilesink", &pattern])
        .stdin(Stdio::null())
        .output()
        .context(
            "videos need GStreamer's gst-launch-1.0 (Debian: gstreamer1.0-tools, gstreamer1.0-plugins-good, \
             gstreamer1.0-libav)",
        )?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        let line = message
            .lines()
            .find(|l| l.contains("ERROR"))
            .unwrap_or("no message");
        bail!("GStreamer cannot decode {}: {line}", clip.display());
    }
    let mut kept = 0;
    for number in 0.. {
        let path = folder.join(format!("{number:06}.png"));
        if !path.is_file() {
            break;
        }
        if number % every.max(1) == 0 {
            kept += 1;
        } else {
            std::fs::remove_file(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    if kept == 0 {
        bail!("{} has no frame", clip.display());
    }
    Ok(kept)
}

//! VP8, by an installed GStreamer.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use super::{FPS, Yuv, bits_per_second, pan};
use crate::data::clips::colours;
use crate::data::random::Stream;
use crate::picture::Picture;

/// `vp8enc` and `vp8dec`, one process per picture. A positive `cpu-used` would
/// let the encoder choose its effort by the clock, and the same picture come out differently.
pub(in crate::data::degrade) fn vp8(
    picture: &mut Picture,
    kbps: f32,
    frames: f32,
    rng: &mut Stream,
) -> anyhow::Result<()> {
    // GStreamer fills rows of I420 up to multiples of four bytes, those of chroma too.
    let frames = pan(picture, 8, frames, rng);
    let Some(first) = frames.first() else {
        bail!("VP8 needs at least one frame");
    };
    let (width, height) = (first.width, first.height);
    let bytes: Vec<u8> = frames
        .iter()
        .flat_map(|f| f.planes.iter().copied())
        .collect();
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let bps = bits_per_second(picture, kbps);
    let planes = through_vp8(folder.path(), &bytes, (width, height), bps)?;
    Yuv {
        width,
        height,
        planes,
    }
    .read_into(picture);
    Ok(())
}

/// The last of the I420 frames in `bytes` as VP8 leaves it; `folder` holds the files on the way.
fn through_vp8(
    folder: &Path,
    bytes: &[u8],
    (width, height): (usize, usize),
    bps: u32,
) -> anyhow::Result<Vec<u8>> {
    let (raw, decoded) = (folder.join("in.yuv"), folder.join("out.yuv"));
    std::fs::write(&raw, bytes).with_context(|| format!("cannot write {}", raw.display()))?;
    let coding = format!(
        "! rawvideoparse format=i420 width={width} height={height} framerate={FPS}/1 \
         ! vp8enc target-bitrate={bps} deadline=1 cpu-used=-8 threads=1 \
         ! vp8dec ! video/x-raw,format=I420 ! filesink"
    );
    let output = Command::new("gst-launch-1.0")
        .args(["--quiet", "filesrc"])
        .arg(colours::location(&raw))
        .args(coding.split_whitespace())
        .arg(colours::location(&decoded))
        .stdin(Stdio::null())
        // Ctrl-C is for hone alone: the file would end early, without an error.
        .process_group(0)
        .output()
        .context("VP8 needs GStreamer's gst-launch-1.0 (Debian: gstreamer1.0-tools, gstreamer1.0-plugins-good)")?;
    if !output.status.success() {
        bail!(
            "gst-launch-1.0 could not code VP8: {}",
            String::from_utf8_lossy(&output.stderr)
                .lines()
                .next()
                .unwrap_or("no message")
        );
    }
    let mut coded =
        std::fs::read(&decoded).with_context(|| format!("cannot read {}", decoded.display()))?;
    ensure!(
        coded.len() == bytes.len(),
        "gst-launch-1.0 gave {} bytes of VP8 frames where {} went in: try again",
        coded.len(),
        bytes.len()
    );
    Ok(coded.split_off(coded.len() - width * height * 3 / 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::random::stream;
    use crate::metric::Metric;

    #[test]
    fn temporary_files_may_lie_anywhere() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("with a blank");
        std::fs::create_dir(&folder).unwrap();
        let frame = [128; 32 * 32 * 3 / 2];
        let planes = through_vp8(&folder, &frame, (32, 32), 100_000).unwrap();
        assert_eq!(planes.len(), frame.len());
        let cut = &frame.repeat(2)[..frame.len() + 9];
        let error = through_vp8(&folder, cut, (32, 32), 100_000).unwrap_err();
        assert!(error.to_string().contains("where 1545 went in"), "{error}");
    }

    #[test]
    fn vp8_takes_pictures_of_any_width() {
        let whole = crate::data::synth::scene(3, 0, 40, 40);
        for width in [40, 35, 34] {
            let sharp = whole.crop(0, 0, 33, width);
            let mut seen = sharp.clone();
            vp8(&mut seen, 1e6, 3.0, &mut stream(&[1])).unwrap();
            let psnr = Metric::named("psnr_rgb").unwrap().compute(&sharp, &seen);
            assert!(
                psnr.as_ref().is_ok_and(|psnr| *psnr > 25.0),
                "{width}: {psnr:?}"
            );
        }
    }
}

//! A clip's frames out of `gst-launch-1.0`.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};

use super::ask::NEEDED;
use super::colours::{self, Colours, Stream};
use super::damage;
use crate::data::photo::Photo;

/// Longest line and side of a frame's header.
const MAX_LINE: u64 = 64;
const MAX_SIDE: usize = 16_384;
/// Y, U and V as they are decoded, behind a deinterlacer, upright; the colours are converted here. They go by the names of R, G and B,
/// for pictures in a row may differ in size, and Y4M says it only once.
const PLANES: &str = "! video/x-raw,format=Y444 \
     ! videoconvert matrix-mode=none ! video/x-raw,format=RGB ! videoflip video-direction=auto ! pnmenc ! fdsink fd=1";
/// For what is no Y, U and V to begin with.
const PICTURES: &str = "! video/x-raw,format=RGB \
     ! videoflip video-direction=auto ! pnmenc ! fdsink fd=1";

/// A decoder that writes frames, one after the other, into a pipe.
pub(super) struct Frames {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Of what comes out of the pipe, unless that is R, G and B.
    colours: Option<Colours>,
    complaints: std::fs::File,
    clip: PathBuf,
}

impl Frames {
    pub(super) fn of(clip: &Path) -> anyhow::Result<Self> {
        let complaints = tempfile::tempfile().context("cannot make a temporary file")?;
        let stream = colours::probe(clip)?;
        let deinterlacer = Stream::deinterlacer(stream);
        let colours = stream.and_then(|stream| stream.colours);
        let pipeline = if colours.is_some() { PLANES } else { PICTURES };
        let mut command = Command::new("gst-launch-1.0");
        command
            .args(["--quiet", "filesrc"])
            .arg(colours::location(clip))
            .args(["!", "decodebin", "!", "videoconvert", "!"])
            .args(deinterlacer.split(' '))
            .args(pipeline.split_whitespace());
        damage::listen(&mut command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(complaints.try_clone()?)
            // Ctrl-C is for hone alone: the decoder would end as if the clip did.
            .process_group(0)
            .spawn()
            .context(NEEDED)?;
        let output = child.stdout.take().context("the decoder has no pipe")?;
        Ok(Self {
            child,
            output: BufReader::with_capacity(1 << 20, output),
            colours,
            complaints,
            clip: clip.to_owned(),
        })
    }

    /// The next frame; `None` at the clip's end.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Photo>> {
        match ppm(&mut self.output) {
            Ok(Some(mut photo)) => {
                if let Some(colours) = self.colours {
                    colours.to_rgb(&mut photo.rgb);
                }
                Ok(Some(photo))
            }
            end => self.ended(end),
        }
    }

    /// What the end of the pipe means: the decoder's own words say more than that it broke.
    fn ended(&mut self, end: anyhow::Result<Option<Photo>>) -> anyhow::Result<Option<Photo>> {
        let cut = |cause: &(dyn std::error::Error + 'static)| {
            let cause = cause.downcast_ref::<std::io::Error>();
            cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::UnexpectedEof)
        };
        // A decoder with more to say than the pipe holds would be waited for for ever.
        let ended = end
            .as_ref()
            .err()
            .is_none_or(|error| error.chain().any(cut));
        if ended && !self.child.wait()?.success() {
            let said = self.said();
            let line = said.lines().find(|line| line.contains("ERROR:"));
            bail!(
                "GStreamer cannot decode {}: {}",
                self.clip.display(),
                line.unwrap_or("it gave no reason").trim()
            );
        }
        end.with_context(|| format!("cannot decode {}", self.clip.display()))
    }

    /// How often the decoder complained although it went on, and of what first.
    pub(super) fn damage(&mut self) -> Option<String> {
        damage::told(self.said().lines().filter_map(damage::complaint))
    }

    fn said(&mut self) -> String {
        let mut bytes = Vec::new();
        let read = self.complaints.seek(SeekFrom::Start(0));
        let _ = read.and_then(|_| self.complaints.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        // Already gone at the clip's end; else nobody reads its pipe any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a binary 8-bit PPM picture; `None` where the stream ends before one.
fn ppm(input: &mut impl BufRead) -> anyhow::Result<Option<Photo>> {
    if input.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut line = || -> anyhow::Result<String> {
        let mut text = String::new();
        input.by_ref().take(MAX_LINE).read_line(&mut text)?;
        Ok(text.trim_end().to_owned())
    };
    let (kind, size, depth) = (line()?, line()?, line()?);
    let side = |text: &str| text.parse().ok().filter(|n| (1..=MAX_SIDE).contains(n));
    let sides = size
        .split_once(' ')
        .and_then(|(w, h)| Some((side(w)?, side(h)?)));
    let (Some((width, height)), "P6", "255") = (sides, kind.as_str(), depth.as_str()) else {
        bail!("a frame is damaged");
    };
    let mut rgb = vec![0; 3 * width * height];
    input.read_exact(&mut rgb).context("a frame is cut off")?;
    Ok(Some(Photo { height, width, rgb }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_one_after_the_other_and_damage_is_named() {
        let stream = b"P6\n2 1\n255\nabcdefP6\n1 1\n255\nxyz";
        let mut input = &stream[..];
        let first = ppm(&mut input).unwrap().unwrap();
        assert_eq!(
            (first.width, first.height, &first.rgb[..]),
            (2, 1, &b"abcdef"[..])
        );
        assert_eq!(ppm(&mut input).unwrap().unwrap().rgb, b"xyz");
        assert!(ppm(&mut input).unwrap().is_none());
        for (wrong, words) in [
            (&stream[..14], "cut off"),
            (b"P5\n2 1\n255\nab", "damaged"),
            (b"P6\n2 99999\n255\nab", "damaged"),
        ] {
            let error = format!("{:#}", ppm(&mut &wrong[..]).unwrap_err());
            assert!(error.contains(words), "{error}");
        }
    }

    fn all(clip: &Path) -> Vec<Photo> {
        let mut frames = Frames::of(clip).unwrap();
        std::iter::from_fn(|| frames.next().unwrap()).collect()
    }

    #[test]
    fn a_clip_may_change_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let clip = folder.path().join("clip.h264");
        let mut whole = Vec::new();
        for (width, height) in [(64, 48), (94, 62)] {
            let launch = format!(
                "-q videotestsrc num-buffers=3 pattern=white ! video/x-raw,format=I420,width={width},height={height} \
                 ! x264enc ! video/x-h264,stream-format=byte-stream ! filesink"
            );
            let status = Command::new("gst-launch-1.0")
                .args(launch.split_whitespace())
                .arg(colours::location(&clip))
                .status()
                .unwrap();
            assert!(status.success());
            whole.extend(std::fs::read(&clip).unwrap());
        }
        std::fs::write(&clip, whole).unwrap();
        let photos = all(&clip);
        let sizes: Vec<_> = photos.iter().map(|p| (p.width, p.height)).collect();
        assert_eq!(sizes, [[(64, 48); 3], [(94, 62); 3]].concat());
        for photo in photos {
            assert!(photo.rgb.iter().all(|&v| v >= 252));
        }
    }

    #[test]
    fn the_colours_of_y4m_do_not_go_by_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let clip = folder.path().join("red.y4m");
        // A width whose rows end in padding, and one that GStreamer takes for BT.709.
        for (width, height) in [(63, 45), (1280, 720)] {
            let mut bytes =
                format!("YUV4MPEG2 W{width} H{height} F25:1 C444\nFRAME\n").into_bytes();
            for level in [81, 90, 240] {
                bytes.extend(vec![level; width * height]);
            }
            std::fs::write(&clip, bytes).unwrap();
            let [photo] = &all(&clip)[..] else {
                panic!("not one frame");
            };
            assert_eq!((photo.width, photo.height), (width, height));
            let red = |pixel: &[u8]| pixel == [254, 0, 0];
            assert!(photo.rgb.chunks(3).all(red), "{:?}", &photo.rgb[..3]);
        }
    }
}

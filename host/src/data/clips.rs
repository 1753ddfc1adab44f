//! Frames of video files, by an installed GStreamer.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail, ensure};
use rayon::prelude::*;

use super::photo::Photo;

/// Endings of files that are taken for videos.
pub const ENDINGS: [&str; 9] = [
    "mp4", "mkv", "avi", "mov", "webm", "h264", "264", "y4m", "m4v",
];
/// Frames that are coded as PNG at once.
const BATCH: usize = 16;
/// Longest line and side of a frame's header.
const MAX_LINE: u64 = 64;
const MAX_SIDE: usize = 16_384;

/// Whether the ending is one of a video file.
pub fn is_clip(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| ENDINGS.contains(&e.to_string_lossy().to_lowercase().as_str()))
}

/// `root` itself when it is a video, else the videos in this folder, by name.
///
/// # Errors
/// When there is none.
pub fn under(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if root.is_file() {
        return Ok(vec![root.to_owned()]);
    }
    let listing =
        std::fs::read_dir(root).with_context(|| format!("cannot read {}", root.display()))?;
    let mut clips = Vec::new();
    for entry in listing {
        let path = entry
            .with_context(|| format!("cannot read {}", root.display()))?
            .path();
        if path.is_file() && is_clip(&path) {
            clips.push(path);
        }
    }
    ensure!(!clips.is_empty(), "{} holds no video", root.display());
    clips.sort();
    Ok(clips)
}

/// The folder of each clip's frames under `out`, called after the clip.
///
/// # Errors
/// When two clips would share a folder, or one is there already.
pub fn folders(clips: &[PathBuf], out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let folder = |clip: &PathBuf| out.join(clip.file_stem().unwrap_or_default());
    let folders: Vec<PathBuf> = clips.iter().map(folder).collect();
    for (i, folder) in folders.iter().enumerate() {
        if let Some(other) = folders[..i].iter().position(|f| f == folder) {
            bail!(
                "{} and {} would share the folder {}: take their frames one by one",
                clips[other].display(),
                clips[i].display(),
                folder.display()
            );
        }
        ensure!(
            !folder.exists(),
            "{} is there already: name a new folder",
            folder.display()
        );
    }
    Ok(folders)
}

/// Writes every `every`-th frame of `clip` to `folder/NNNNNN.png` (numbered as in the clip); gives
/// their number. The folder appears when it is complete. `told` hears the number of frames read.
///
/// # Errors
/// When `gst-launch-1.0` is missing or cannot decode the clip, or the disk is full.
pub fn extract(
    clip: &Path,
    folder: &Path,
    every: usize,
    told: &dyn Fn(u64),
) -> anyhow::Result<usize> {
    ensure!(clip.is_file(), "{} is no file", clip.display());
    // A killed run's leftovers are replaced.
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = folder.with_file_name(name);
    if part.exists() {
        std::fs::remove_dir_all(&part)
            .with_context(|| format!("cannot remove {}", part.display()))?;
    }
    std::fs::create_dir_all(&part).with_context(|| format!("cannot make {}", part.display()))?;
    let mut frames = Frames::of(clip)?;
    let (mut number, mut kept) = (0, 0);
    let mut waiting: Vec<(PathBuf, Photo)> = Vec::with_capacity(BATCH);
    loop {
        let frame = frames.next()?;
        let ended = frame.is_none();
        if let Some(photo) = frame {
            if number % every.max(1) == 0 {
                waiting.push((part.join(format!("{number:06}.png")), photo));
                kept += 1;
            }
            number += 1;
            told(number as u64);
        }
        if ended || waiting.len() == BATCH {
            let save = |(path, photo): (PathBuf, Photo)| photo.picture().save(&path);
            waiting.par_drain(..).try_for_each(save)?;
        }
        if ended {
            break;
        }
    }
    ensure!(kept > 0, "{} has no frame", clip.display());
    std::fs::rename(&part, folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(kept)
}

/// A decoder that writes PPM pictures, one after the other, into a pipe.
struct Frames {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    complaints: std::fs::File,
    clip: PathBuf,
}

impl Frames {
    fn of(clip: &Path) -> anyhow::Result<Self> {
        let complaints = tempfile::tempfile().context("cannot make a temporary file")?;
        // Properties go in as separate arguments, so that any path is taken literally.
        let mut child = Command::new("gst-launch-1.0")
            .args(["--quiet", "filesrc", &format!("location={}", clip.display())])
            .args(["!", "decodebin", "!", "videoconvert", "!", "video/x-raw,format=RGB"])
            .args(["!", "pnmenc", "!", "fdsink", "fd=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(complaints.try_clone()?)
            .spawn()
            .context(
                "videos need GStreamer's gst-launch-1.0 (Debian: gstreamer1.0-tools, gstreamer1.0-plugins-good, \
                 gstreamer1.0-plugins-bad, gstreamer1.0-libav)",
            )?;
        let output = child.stdout.take().context("the decoder has no pipe")?;
        Ok(Self {
            child,
            output: BufReader::with_capacity(1 << 20, output),
            complaints,
            clip: clip.to_owned(),
        })
    }

    /// The next frame; `None` at the clip's end.
    fn next(&mut self) -> anyhow::Result<Option<Photo>> {
        match ppm(&mut self.output) {
            Ok(Some(photo)) => Ok(Some(photo)),
            // The decoder's own words say more than that its pipe broke.
            end => {
                if !self.child.wait()?.success() {
                    let complaint = self.complaint();
                    bail!(
                        "GStreamer cannot decode {}: {complaint}",
                        self.clip.display()
                    );
                }
                end.with_context(|| format!("cannot decode {}", self.clip.display()))
            }
        }
    }

    fn complaint(&mut self) -> String {
        let mut text = String::new();
        let read = self.complaints.seek(SeekFrom::Start(0));
        let _ = read.and_then(|_| self.complaints.read_to_string(&mut text));
        let line = text.lines().find(|line| line.contains("ERROR"));
        line.unwrap_or("it gave no reason").trim().to_owned()
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

    #[test]
    fn a_clips_frames_appear_when_all_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let clip = folder.path().join("a clip.mkv");
        let launch = "videotestsrc num-buffers=7 pattern=ball ! video/x-raw,width=48,height=32 ! jpegenc ! matroskamux ! filesink";
        let status = Command::new("gst-launch-1.0")
            .args(launch.split_whitespace())
            .arg(format!("location={}", clip.display()))
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        let out = folder.path().join("frames");
        let place = folders(std::slice::from_ref(&clip), &out)
            .unwrap()
            .remove(0);
        assert_eq!(extract(&clip, &place, 3, &|_| {}).unwrap(), 3);
        let mut names: Vec<_> = std::fs::read_dir(&place)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["000000.png", "000003.png", "000006.png"]);
        assert_eq!(
            crate::data::read::size(&place.join(&names[0])).unwrap(),
            (48, 32)
        );
        let error = folders(std::slice::from_ref(&clip), &out).unwrap_err();
        assert!(error.to_string().contains("there already"), "{error}");
        let twins = [clip.clone(), folder.path().join("a clip.mp4")];
        let error = folders(&twins, folder.path()).unwrap_err();
        assert!(error.to_string().contains("share the folder"), "{error}");

        std::fs::write(&clip, b"no video").unwrap();
        let other = folder.path().join("other");
        let error = extract(&clip, &other, 1, &|_| {}).unwrap_err().to_string();
        assert!(
            error.contains("cannot decode") && !other.exists(),
            "{error}"
        );
    }
}

//! Frames of video files, by an installed GStreamer.

pub(crate) mod ask;
pub mod colours;
pub mod container;
pub(crate) mod damage;
mod frames;
mod kept;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use rayon::prelude::*;

use super::part;
use super::photo::Photo;
use frames::Frames;
pub use kept::kept;

/// Endings of files that are taken for videos; the last four are streams without a container.
const ENDINGS: [&str; 12] = [
    "mp4", "mkv", "mov", "avi", "webm", "m4v", "ts", "y4m", "h264", "264", "h265", "265",
];
/// Frames that are coded as PNG at once.
const BATCH: usize = 16;

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
        // Hidden: what is being written, or was left there by a killed run.
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.is_file() && is_clip(&path) {
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
/// When two clips would share a folder.
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
    }
    Ok(folders)
}

/// A clip of which no frame can be used; of others they may well be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadClip(String);

impl BadClip {
    fn of(error: anyhow::Error) -> anyhow::Error {
        Self(format!("{error:#}")).into()
    }
}

/// What [`extract`] took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Frames on disk.
    pub frames: usize,
    /// What the decoder complained of although it went on.
    pub damage: Option<String>,
}

/// Writes every `every`-th frame of `clip` to `folder/NNNNNN.png` (numbered as in the clip). The folder
/// appears when it is complete, and [`kept()`] knows it from then on. `told` hears the number of frames read.
///
/// # Errors
/// [`BadClip`] when `gst-launch-1.0` cannot decode the clip, or it is cut off or ends early; others when the program is missing
/// or the disk is full.
pub fn extract(
    clip: &Path,
    folder: &Path,
    every: usize,
    told: &dyn Fn(u64),
) -> anyhow::Result<Taken> {
    let announced = container::announced(clip).map_err(BadClip::of)?;
    part::fill(folder, |part| {
        let mut frames = Frames::of(clip).map_err(|error| match error.is::<std::io::Error>() {
            true => error,
            false => BadClip::of(error),
        })?;
        let (mut number, mut kept) = (0, 0);
        let mut waiting: Vec<(PathBuf, Photo)> = Vec::with_capacity(BATCH);
        loop {
            let frame = frames.next().map_err(BadClip::of)?;
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
        if kept == 0 {
            bail!(BadClip(format!("{} has no frame", clip.display())));
        }
        if let Some(words) = container::shortage(clip, number as u64, announced) {
            bail!(BadClip(words));
        }
        // Before the folder has its name: one without a note is somebody else's.
        kept::note(clip, folder, every, kept)?;
        Ok(Taken {
            frames: kept,
            damage: frames.damage(),
        })
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_a_killed_run_left_is_no_clip() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.mp4", "a.mkv", "c.TS", ".a.hone-part.mp4", "notes.txt"] {
            std::fs::write(folder.path().join(name), b"1").unwrap();
        }
        let names = ["a.mkv", "b.mp4", "c.TS"].map(|name| folder.path().join(name));
        assert_eq!(under(folder.path()).unwrap(), names);
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
        let taken = extract(&clip, &place, 3, &|_| {}).unwrap();
        assert_eq!((taken.frames, taken.damage), (3, None));
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
        assert_eq!(kept(&clip, &place, 3).unwrap(), Some(3));
        assert_eq!(kept(&clip, &out.join("new"), 3).unwrap(), None);
        let error = kept(&clip, &place, 2).unwrap_err();
        assert!(error.to_string().contains("there already"), "{error}");
        let twins = [clip.clone(), folder.path().join("a clip.mp4")];
        let error = folders(&twins, folder.path()).unwrap_err();
        assert!(error.to_string().contains("share the folder"), "{error}");

        let whole = std::fs::read(&clip).unwrap();
        std::fs::write(&clip, &whole[..whole.len() / 2]).unwrap();
        assert!(kept(&clip, &place, 3).is_err(), "another clip's frames");
        let other = folder.path().join("other");
        let refused = || {
            let error = extract(&clip, &other, 1, &|_| {}).unwrap_err();
            assert!(error.is::<BadClip>() && !other.exists(), "{error:?}");
            error.to_string()
        };
        let error = refused();
        assert!(error.contains("a clip.mkv is cut off"), "{error}");
        std::fs::write(&clip, b"no video").unwrap();
        let error = refused();
        assert!(error.contains("cannot decode"), "{error}");
        std::fs::write(&clip, &whole).unwrap();
        std::fs::remove_file(place.join("000003.png")).unwrap();
        assert!(kept(&clip, &place, 3).is_err(), "a frame is missing");
    }
}

//! Where frames go: the text a user gives, and the pipeline it stands for.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::elements;
use super::error::CameraError;
use crate::atomic;

/// A kind of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkKind {
    /// H.264 in an `.mp4` or `.mkv` file.
    File(PathBuf),
    /// FFV1, lossless, in an `.mkv` file.
    Lossless(PathBuf),
    /// A folder of PNG files: RGB and GRAY8 frames as they are, of all others the luma plane.
    Frames(PathBuf),
    /// A file of the frames' bytes, one after another, without header.
    Raw(PathBuf),
    /// Files of one length each in a folder, the oldest deleted when they are too many.
    Record(Recording),
    /// A virtual camera (v4l2loopback).
    V4l2(PathBuf),
    /// A window or the whole screen.
    Display,
    /// Nowhere.
    Null,
    /// A piece of a GStreamer launch line that takes raw video.
    Gst(String),
}

/// A recording in segments: earlier ones play whatever happens to the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Where the segments go.
    pub folder: PathBuf,
    /// Seconds of each.
    pub segment: u64,
    /// Most GiB of all together; `None` for no limit.
    pub quota: Option<u64>,
}

impl Recording {
    /// Reads `DIR[,segment=SECONDS][,quota=GIB]`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let mut recording = Self {
            folder: parts.next().filter(|folder| !folder.is_empty())?.into(),
            segment: 60,
            quota: None,
        };
        for part in parts {
            let (key, value) = part.split_once('=')?;
            let value = value.parse().ok().filter(|value| *value > 0)?;
            match key {
                "segment" if value <= 86_400 => recording.segment = value,
                "quota" => recording.quota = Some(value),
                _ => return None,
            }
        }
        Some(recording)
    }
}

/// A sink as the user described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkSpec {
    /// The text given.
    pub name: String,
    /// What it stands for.
    pub kind: SinkKind,
}

impl FromStr for SinkSpec {
    type Err = CameraError;

    fn from_str(text: &str) -> Result<Self, CameraError> {
        let wrong = |reason: &str| CameraError::SinkSpec {
            given: text.to_owned(),
            reason: reason.to_owned(),
        };
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        let kind = match scheme {
            "display" if rest.is_empty() => SinkKind::Display,
            "null" if rest.is_empty() => SinkKind::Null,
            "frames" if !rest.is_empty() => SinkKind::Frames(rest.into()),
            "raw" if !rest.is_empty() => SinkKind::Raw(rest.into()),
            "v4l2" if !rest.is_empty() => SinkKind::V4l2(rest.into()),
            "record" => SinkKind::Record(
                Recording::parse(rest)
                    .ok_or_else(|| wrong("give a folder, as in record:clips,segment=60,quota=8"))?,
            ),
            "lossless" if ends_in(rest, &["mkv"]) => SinkKind::Lossless(rest.into()),
            "lossless" => return Err(wrong("lossless video goes to a .mkv file")),
            "gst" if !rest.trim().is_empty() => SinkKind::Gst(rest.to_owned()),
            "file" if ends_in(rest, &["mp4", "mkv"]) => SinkKind::File(rest.into()),
            _ if ends_in(text, &["mp4", "mkv"]) => SinkKind::File(text.into()),
            _ => {
                return Err(wrong(
                    "give a .mp4 or .mkv file, lossless:FILE.mkv, frames:DIR, raw:FILE, record:DIR, v4l2:DEVICE, display, null or gst:LINE",
                ));
            }
        };
        Ok(Self {
            name: text.to_owned(),
            kind,
        })
    }
}

fn ends_in(path: &str, endings: &[&str]) -> bool {
    Path::new(path)
        .extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| endings.contains(&e.to_ascii_lowercase().as_str()))
}

impl SinkSpec {
    /// The file or folder that appears when the output is complete.
    pub fn target(&self) -> Option<&Path> {
        match &self.kind {
            SinkKind::File(path)
            | SinkKind::Lossless(path)
            | SinkKind::Raw(path)
            | SinkKind::Frames(path) => Some(path),
            SinkKind::Record(_)
            | SinkKind::V4l2(_)
            | SinkKind::Display
            | SinkKind::Null
            | SinkKind::Gst(_) => None,
        }
    }

    /// Makes the place that is written until then, so that a path that cannot be written is known
    /// before the first frame.
    ///
    /// # Errors
    /// [`CameraError::SinkPath`].
    pub fn prepare(&self) -> Result<(), CameraError> {
        match &self.kind {
            SinkKind::Record(recording) => {
                return std::fs::create_dir_all(&recording.folder)
                    .and_then(|()| std::fs::metadata(&recording.folder))
                    .map_err(|e| e.to_string())
                    .and_then(|meta| match meta.permissions().readonly() {
                        true => Err("the folder is read-only".into()),
                        false => Ok(()),
                    })
                    .map_err(|reason| CameraError::SinkPath {
                        path: recording.folder.clone(),
                        reason,
                    });
            }
            SinkKind::V4l2(device) => {
                return std::fs::metadata(device).map(|_| ()).map_err(|e| {
                    CameraError::SinkPath {
                        path: device.clone(),
                        reason: format!(
                            "{e}; make it with `sudo modprobe v4l2loopback exclusive_caps=1`, without which browsers do not see it"
                        ),
                    }
                });
            }
            _ => {}
        }
        let Some(target) = self.target() else {
            return Ok(());
        };
        let failed = |reason: String| CameraError::SinkPath {
            path: target.to_owned(),
            reason,
        };
        let part = atomic::part_path(target);
        if let SinkKind::Frames(_) = self.kind {
            if std::fs::read_dir(target).is_ok_and(|mut d| d.next().is_some()) {
                return Err(failed("the folder is not empty".into()));
            }
            // Left by a run that was killed: its frames must not mix with this run's.
            let _ = std::fs::remove_dir_all(&part);
            return std::fs::create_dir(&part).map_err(|e| failed(e.to_string()));
        }
        if target.is_dir() {
            return Err(failed("it is a folder".into()));
        }
        std::fs::File::create(&part)
            .map(|_| ())
            .map_err(|e| failed(e.to_string()))
    }

    /// The pipeline behind `appsrc name=in`; the element `exit` is the one that takes the raw frame.
    ///
    /// # Errors
    /// [`CameraError::MissingElement`] when nothing installed encodes or shows video.
    pub(super) fn tail(&self, live: bool) -> Result<String, CameraError> {
        Ok(match &self.kind {
            SinkKind::File(path) => {
                let muxer = if ends_in(&path.to_string_lossy(), &["mp4"]) {
                    "mp4mux"
                } else {
                    "matroskamux"
                };
                format!("{} ! {muxer} ! filesink name=file", h264(live)?)
            }
            SinkKind::Lossless(_) => {
                elements::require("avenc_ffv1")?;
                "videoconvert ! avenc_ffv1 name=exit ! matroskamux ! filesink name=file".into()
            }
            SinkKind::Frames(_) => "pngenc name=exit ! multifilesink name=file async=false".into(),
            SinkKind::Raw(_) => "filesink name=exit".into(),
            SinkKind::Record(recording) => {
                elements::require("splitmuxsink")?;
                elements::require("matroskamux")?;
                let length = recording.segment * 1_000_000_000;
                format!(
                    "{} ! splitmuxsink name=file muxer=matroskamux max-size-time={length} send-keyframe-requests=true",
                    h264(live)?
                )
            }
            SinkKind::V4l2(device) => {
                elements::require("v4l2sink")?;
                format!(
                    "videoconvert ! v4l2sink name=exit sync=false device=\"{}\"",
                    device.display()
                )
            }
            SinkKind::Display => display(!live)?,
            SinkKind::Null => "fakesink name=exit sync=false".into(),
            SinkKind::Gst(line) => format!("identity name=exit ! {line}"),
        })
    }
}

/// From raw video to an H.264 stream, with the encoder that this machine has; hardware first.
///
/// # Errors
/// [`CameraError::MissingElement`] when there is none.
pub(super) fn h264(live: bool) -> Result<String, CameraError> {
    const I420: &str = "videoconvert ! video/x-raw,format=I420";
    let quality = if live {
        "tune=zerolatency speed-preset=ultrafast key-int-max=60 bitrate=4000"
    } else {
        "speed-preset=veryfast pass=quant quantizer=18"
    };
    let encode = if elements::installed("v4l2h264enc") {
        format!("{I420} ! v4l2h264enc name=exit ! video/x-h264,level=(string)4")
    } else if elements::installed("nvv4l2h264enc") {
        format!(
            "{I420} ! nvvidconv ! video/x-raw(memory:NVMM),format=NV12 ! nvv4l2h264enc name=exit insert-sps-pps=true"
        )
    } else if elements::installed("x264enc") {
        format!("{I420} ! x264enc name=exit {quality}")
    } else if elements::installed("openh264enc") {
        format!("{I420} ! openh264enc name=exit")
    } else {
        return Err(elements::missing("x264enc"));
    };
    elements::require("h264parse")?;
    Ok(format!("{encode} ! h264parse"))
}

/// A sink for the screen that this machine has.
fn display(sync: bool) -> Result<String, CameraError> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let sink = if set("WAYLAND_DISPLAY") || set("DISPLAY") {
        "autovideosink"
    } else if Path::new("/dev/dri").exists() {
        "kmssink"
    } else {
        return Err(CameraError::SinkSpec {
            given: "display".into(),
            reason: "this machine has no screen (neither DISPLAY, WAYLAND_DISPLAY nor /dev/dri)"
                .into(),
        });
    };
    elements::require(sink)?;
    Ok(format!("videoconvert ! {sink} name=exit sync={sync}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> SinkKind {
        text.parse::<SinkSpec>().unwrap().kind
    }

    #[test]
    fn texts_stand_for_sinks() {
        assert_eq!(kind("out.MP4"), SinkKind::File("out.MP4".into()));
        assert_eq!(kind("file:a:b.mkv"), SinkKind::File("a:b.mkv".into()));
        assert_eq!(kind("frames:f"), SinkKind::Frames("f".into()));
        assert_eq!(kind("null"), SinkKind::Null);
        let recording = Recording {
            folder: "clips".into(),
            segment: 10,
            quota: Some(8),
        };
        assert_eq!(
            kind("record:clips,quota=8,segment=10"),
            SinkKind::Record(recording)
        );
        for wrong in [
            "",
            "out.txt",
            "lossless:a.mp4",
            "frames:",
            "gst: ",
            "record:,quota=1",
            "record:a,quota=0",
        ] {
            let error = wrong.parse::<SinkSpec>().unwrap_err().to_string();
            assert!(error.contains("is no sink"), "{error}");
        }
    }

    #[test]
    fn a_place_that_cannot_be_written_is_known_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let prepare = |text: String| text.parse::<SinkSpec>().unwrap().prepare();
        let inside = |name: &str| folder.path().join(name).display().to_string();
        let error = prepare(inside("none/out.mp4")).unwrap_err().to_string();
        assert!(error.contains("none/out.mp4: No such file"), "{error}");
        std::fs::write(folder.path().join("old.png"), b"").unwrap();
        let full = format!("frames:{}", folder.path().display());
        assert!(prepare(full).unwrap_err().to_string().contains("not empty"));
        prepare(inside("out.mp4")).unwrap();
        assert!(!folder.path().join("out.mp4").exists());
    }
}

//! Where frames go: the text a user gives, and what it stands for.

mod clash;
mod folder;
mod held;
mod packed;
mod place;
mod tail;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::address::without_password;
use super::error::CameraError;
use super::rtsp_address::RtspAddress;

pub use clash::{apart, spare};
pub use folder::{Playlist, Recording};
pub(super) use folder::{Unpublished, numbered};
pub(super) use held::Held;
pub(super) use packed::packed;
pub(super) use place::unheld;
pub(super) use tail::exact;

/// A kind of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkKind {
    /// H.264 in an `.mp4` or `.mkv` file.
    File(PathBuf),
    /// FFV1, lossless, in an `.mkv` file.
    Lossless(PathBuf),
    /// A folder of PNG files: RGB and GRAY8 frames as they are, of all others the luma plane. `hone eval --honed-frames`
    /// compares that plane to the byte, which a conversion to RGB and back would round; a PNG says whether it is video luma.
    Frames(PathBuf),
    /// A file of the frames' bytes, one after another, without header and without padding between rows.
    Raw(PathBuf),
    /// Files of one length each in a folder, the oldest deleted when they are too many.
    Record(Recording),
    /// H.264 for whoever connects.
    Rtsp(RtspAddress),
    /// H.264 in segments for a web server.
    Hls(Playlist),
    /// A virtual camera (v4l2loopback).
    V4l2(PathBuf),
    /// A window or the whole screen.
    Display,
    /// Nowhere.
    Null,
    /// A piece of a GStreamer launch line that takes raw video.
    Gst(String),
}

/// A sink as the user described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkSpec {
    /// The text given, without a password.
    pub name: String,
    /// What it stands for.
    pub kind: SinkKind,
}

impl FromStr for SinkSpec {
    type Err = CameraError;

    fn from_str(text: &str) -> Result<Self, CameraError> {
        let wrong = |reason: &str| CameraError::SinkSpec {
            given: without_password(text),
            reason: reason.to_owned(),
        };
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        let mut name = text.to_owned();
        let kind = match scheme {
            "display" if rest.is_empty() => SinkKind::Display,
            "null" if rest.is_empty() => SinkKind::Null,
            "frames" if !rest.is_empty() => SinkKind::Frames(rest.into()),
            "raw" if !rest.is_empty() => SinkKind::Raw(rest.into()),
            "v4l2" if !rest.is_empty() => SinkKind::V4l2(rest.into()),
            "record" => SinkKind::Record(Recording::parse(rest).map_err(|reason| wrong(&reason))?),
            "hls" => SinkKind::Hls(Playlist::parse(rest).map_err(|reason| wrong(&reason))?),
            "rtsp" => {
                let address = RtspAddress::parse(text).ok_or_else(|| {
                    wrong(
                        "give rtsp://0.0.0.0:8554/live, or rtsp://USER:PASSWORD@0.0.0.0:8554/live",
                    )
                })?;
                name = address.to_string();
                SinkKind::Rtsp(address)
            }
            "lossless" if ends_in(rest, &["mkv"]) => SinkKind::Lossless(rest.into()),
            "lossless" => return Err(wrong("lossless video goes to a .mkv file")),
            "gst" if !rest.trim().is_empty() => {
                name = without_password(text);
                SinkKind::Gst(rest.to_owned())
            }
            "file" if ends_in(rest, &["mp4", "mkv"]) => SinkKind::File(rest.into()),
            // An address of a server is no name of a file.
            _ if ends_in(text, &["mp4", "mkv"]) && !text.contains("://") => {
                SinkKind::File(text.into())
            }
            _ => {
                return Err(wrong(
                    "give a .mp4 or .mkv file, lossless:FILE.mkv, frames:DIR, raw:FILE, record:DIR, rtsp://HOST:PORT/PATH, hls:DIR, v4l2:DEVICE, display, null or gst:LINE",
                ));
            }
        };
        Ok(Self { name, kind })
    }
}

impl SinkSpec {
    /// The file or folder that appears when the output under `name` is complete.
    pub(in crate::camera) fn target_of(name: &str) -> Option<PathBuf> {
        let spec: Self = name.parse().ok()?;
        spec.target().map(Path::to_owned)
    }

    /// Whether frames are encoded as H.264 for it.
    pub fn encodes(&self) -> bool {
        matches!(
            self.kind,
            SinkKind::File(_) | SinkKind::Record(_) | SinkKind::Rtsp(_) | SinkKind::Hls(_)
        )
    }
}

fn ends_in(path: &str, endings: &[&str]) -> bool {
    Path::new(path)
        .extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| endings.contains(&e.to_ascii_lowercase().as_str()))
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
        let playlist = Playlist {
            folder: "www".into(),
            segment: 2,
            keep: 12,
        };
        assert_eq!(kind("hls:www,keep=12"), SinkKind::Hls(playlist));
        for wrong in [
            "",
            "out.txt",
            "lossless:a.mp4",
            "frames:",
            "gst: ",
            "record:,quota=1",
            "record:a,quota=0",
            "hls:www,keep=1",
            "rtsp://:8554",
        ] {
            let error = wrong.parse::<SinkSpec>().unwrap_err().to_string();
            assert!(error.contains("is no sink"), "{error}");
        }
    }

    #[test]
    fn a_password_is_not_part_of_the_name() {
        let sink: SinkSpec = "rtsp://pole:secret@0.0.0.0:8554/live".parse().unwrap();
        assert_eq!(sink.name, "rtsp://0.0.0.0:8554/live");
        assert!(!format!("{sink:?}").contains("secret"));
        let line = "gst:rtspclientsink location=\"rtsp://me:secret@h/x\" user-pw=secret";
        let sink: SinkSpec = line.parse().unwrap();
        assert_eq!(
            sink.name,
            "gst:rtspclientsink location=\"rtsp://h/x\" user-pw=..."
        );
        assert_eq!(sink.kind, SinkKind::Gst(line[4..].into()));
        for wrong in [
            "rtsp://me:secret@0.0.0.0/live",
            "rtmp://me:secret@h/x",
            "http://me:secret@h/x.mkv",
        ] {
            let error = wrong.parse::<SinkSpec>().unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
